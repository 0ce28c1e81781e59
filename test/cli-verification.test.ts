/** @file `prune` and `verify` on networks whose outputs prove little, from the command line. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadModel, saveModel } from "../src/files/model-file.ts";
import { GraphBuilder } from "../src/ir/builder.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { int64Vector, sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, espalier } from "./cli-io.ts";

/** Two convolutions, boxes, and scores that no threshold lets through. */
async function detector(folder: string): Promise<string> {
  const b = new GraphBuilder("detector");
  const random = randomOf(2, "weights");
  const weights = (...shape: number[]) => {
    const values = Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal());
    return b.constant(undefined, tensorOf("float32", shape, values));
  };
  const numbers = (shape: readonly number[], ...values: number[]) =>
    b.constant(undefined, tensorOf("float32", shape, values));
  const ints = (...values: number[]) => b.constant(undefined, int64Vector(values));
  const op = (...args: Parameters<GraphBuilder["node"]>) => b.node(...args)[0];
  const conv = (x: string, from: number, to: number) =>
    op("Conv", [x, weights(to, from, 3, 3), weights(to)], { pads: [1, 1, 1, 1] });
  const x = b.input("x", "float32", [1, 3, 8, 8]);
  const map = op("Relu", [conv(op("Relu", [conv(x, 3, 12)]), 12, 12)]);
  const flat = op("Reshape", [conv(map, 12, 4), ints(1, 4, 64)]);
  const boxes = op("Transpose", [flat], { perm: [0, 2, 1] });
  const low = op("Sub", [conv(map, 12, 1), numbers([], 1e6)]);
  const scores = op("Reshape", [op("Sigmoid", [low]), ints(1, 1, 64)]);
  const half = numbers([1], 0.5);
  b.output(op("NonMaxSuppression", [boxes, scores, ints(10), half, half]), {
    dtype: "int64",
    shape: ["boxes", 3],
  });
  const path = join(folder, "detector.onnx");
  await writeFile(path, concatBytes(encodeGraph(b.build())));
  return path;
}

test("an output without elements proves little: what it is made of is compared instead", async () => {
  const folder = await emptyFolder();
  const net = await detector(folder);
  const small = join(folder, "small.onnx");
  const flags = ["--macs", "0.6", "--method", "magnitude", "--no-isolate"];
  const pruned = await espalier(["prune", net, "-o", small, ...flags]);
  expect(pruned).toMatchObject({ exitCode: 0 });
  expect(pruned.out).toMatch(
    /proves little: it is empty on the inputs tried\ncompared instead: \d/,
  );

  const json = ["--json", "--no-isolate"];
  const right = JSON.parse((await espalier(["verify", net, small, ...json])).out);
  expect(right).toMatchObject({ passed: true, provesLittle: [{ finding: "empty" }] });
  expect(right.innerTensors).toBeGreaterThan(0);

  const model = await loadModel(small);
  const [name, constant] =
    [...model.graph.constants].find(([, { shape }]) => shape.length === 4) ?? [];
  if (name === undefined || constant === undefined) throw new Error("a convolution has weights");
  const read = () => tensorOf("float32", constant.shape, new Float64Array(sizeOf(constant.shape)));
  const constants = new Map(model.graph.constants).set(name, { ...constant, read });
  await saveModel(small, writeModel(model, { ...model.graph, constants }));
  const spoiled = await espalier(["verify", net, small, "--no-isolate"]);
  expect(spoiled).toMatchObject({ exitCode: 4 });
  expect(spoiled.out).toContain("inner tensor");
});

test("--tolerance says how large an error may be", async () => {
  const folder = await emptyFolder();
  const net = await detector(folder);
  const small = join(folder, "small.onnx");
  const flags = ["--macs", "0.6", "--method", "magnitude", "--json", "--no-isolate"];
  const { out } = await espalier(["prune", net, "-o", small, ...flags, "--tolerance", "0.003"]);
  expect(JSON.parse(out).verification).toMatchObject({ passed: true, tolerance: 0.003 });
  const refused = await espalier(["prune", net, "-o", small, "--macs", "0.6", "--tolerance", "0"]);
  expect(refused.exitCode).not.toBe(0);
});
