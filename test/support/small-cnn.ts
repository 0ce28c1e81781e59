/** @file A small network with batch normalization, trained on the quadrants, to compress in seconds. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GraphBuilder } from "../../src/ir/builder.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { sizeOf, tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { emptyFolder, espalier } from "../cli-io.ts";
import { writeQuadrants } from "./quadrants.ts";

/** The file of an untrained network: twice convolution, normalization, ReLU, pool; dense. [N, 1, 8, 8] → [N, 4]. */
export function smallCnn(width = 8): Uint8Array {
  const b = new GraphBuilder("small");
  const random = randomOf(1, "small");
  const normal = (name: string, shape: readonly number[], deviation: number) => {
    const values = random.normals(sizeOf(shape)).map((v) => v * deviation);
    return b.constant(name, tensorOf("float32", shape, values));
  };
  const filled = (name: string, size: number, value: number) =>
    b.constant(name, tensorOf("float32", [size], new Float32Array(size).fill(value)));
  let x = b.input("input", "float32", ["N", 1, 8, 8]);
  for (const [i, inputs] of [1, width].entries()) {
    const name = `conv${i + 1}`;
    const weight = normal(`${name}.weight`, [width, inputs, 3, 3], Math.sqrt(2 / (9 * inputs)));
    const conv = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name });
    const statistics = [filled(`${name}.mean`, width, 0), filled(`${name}.variance`, width, 1)];
    const affine = [filled(`${name}.scale`, width, 1), filled(`${name}.shift`, width, 0)];
    const bn = b.node(
      "BatchNormalization",
      [...conv, ...affine, ...statistics],
      {},
      { name: `bn${i + 1}` },
    );
    const relu = b.node("Relu", bn, {}, { name: `relu${i + 1}` });
    const pool = { kernel_shape: [2, 2], strides: [2, 2] };
    [x] = b.node("MaxPool", relu, pool, { name: `pool${i + 1}` });
  }
  const flat = b.node("Flatten", [x], { axis: 1 }, { name: "flatten" });
  const dense = [...flat, normal("fc.weight", [4 * width, 4], 0.2), filled("fc.bias", 4, 0)];
  b.node("Gemm", dense, {}, { name: "fc", outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return concatBytes(encodeGraph(b.build()));
}

/** A folder with data and a network that was trained on them. */
export interface Workplace {
  readonly folder: string;
  readonly data: string;
  readonly net: string;
  /** Where a run may go. */
  readonly run: string;
}

/** A {@link Workplace} that vanishes when the test is over. */
export async function workplace(): Promise<Workplace> {
  return fill(await emptyFolder());
}

/** A {@link Workplace} that is the caller's to remove. */
export async function makeWorkplace(): Promise<Workplace> {
  return fill(await mkdtemp(join(tmpdir(), "espalier-cnn-")));
}

async function fill(folder: string): Promise<Workplace> {
  const data = join(folder, "data");
  await writeQuadrants(data);
  const untrained = join(folder, "untrained.onnx");
  await writeFile(untrained, smallCnn());
  const run = join(folder, "trained");
  const flags = ["--epochs", "6", "--batch", "20", "--lr", "0.1", "--threads", "1"];
  const argv = ["train", untrained, "--data", data, "-o", run, ...flags];
  const { exitCode, err } = await espalier(argv);
  if (exitCode !== 0) throw new Error(`training ended with ${exitCode}: ${err}`);
  return { folder, data, net: join(run, "model.onnx"), run: join(folder, "run") };
}
