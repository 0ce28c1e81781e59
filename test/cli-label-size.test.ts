/** @file A network whose maps are smaller than the labels, through every command that measures or trains. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadTensors } from "../src/files/tensor-file.ts";
import { runPaths } from "../src/runs/folder/run-folder.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { idxFile } from "./data-files.ts";
import { modelOf } from "./tiny-models.ts";

const [height, width] = [15, 21];

/** Images of two brightnesses by blocks, labelled by them. */
async function blocks(folder: string): Promise<string> {
  const count = 80;
  const random = randomOf(1, "blocks");
  const maps = new Uint8Array(count * height * width);
  for (let i = 0; i < count; i++) {
    const cells = Array.from({ length: 6 }, () => random.integer(2));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        maps[(i * height + y) * width + x] = cells[Math.floor(y / 8) * 3 + Math.floor(x / 7)];
  }
  const images = Uint8Array.from({ length: maps.length * 3 }, (_, at) => {
    return 120 * maps[Math.floor(at / 3)] + random.integer(120);
  });
  const shape = [count, height, width];
  await writeFile(join(folder, "train-images-idx4-ubyte"), idxFile([...shape, 3], images));
  await writeFile(join(folder, "train-labels-idx3-ubyte"), idxFile(shape, maps));
  return folder;
}

/** [N, 3, 15, 21] → [N, 2, 8, 11] and an output besides, or maps of other sizes by other strides. */
async function halving(folder: string, strides: readonly [number, number]): Promise<string> {
  const random = randomOf(2, "network");
  const pieces = modelOf((b) => {
    b.input("x", "float32", ["N", 3, height, width]);
    const weight = (name: string, dims: readonly number[]) => {
      const values = random.normals(dims.reduce((a, d) => a * d, 1)).map((v) => v / 3);
      return b.constant(name, tensorOf("float32", dims, values));
    };
    const padded = { pads: [1, 1, 1, 1], strides };
    const first = ["x", weight("w", [16, 3, 3, 3]), weight("a", [16])];
    const [conv] = b.node("Conv", first, padded, { name: "conv" });
    const [relu] = b.node("Relu", [conv]);
    b.node("Conv", [relu, weight("v", [2, 16, 1, 1]), weight("c", [2])], {}, { outputs: ["y"] });
    b.node("Conv", [relu, weight("u", [4, 16, 1, 1])], {}, { outputs: ["auxiliary"] });
    b.output("y", { dtype: "float32", shape: ["N", 2, "h", "w"] });
    b.output("auxiliary", { dtype: "float32", shape: ["N", 4, "h", "w"] });
  });
  const path = join(folder, `net${strides.join("")}.onnx`);
  await writeFile(path, Buffer.concat(pieces));
  return path;
}

const note =
  "The network's maps are 11 x 8, the labels 21 x 15: scores are resized to the labels, linear.";
/** Where a terminal would wrap it. */
const oneLine = (text: string) => text.replace(/\s+/g, " ");
const timesTold = (text: string) => oneLine(text).split(note).length - 1;

it("maps of half the size are trained, compressed, packed and measured at that of the labels", async () => {
  const folder = await emptyFolder();
  const data = ["--data", await blocks(folder)];
  const quick = ["--threads", "1", "--json"];
  const model = await halving(folder, [2, 2]);
  const before = await espalier(["evaluate", model, ...data, ...quick]);
  expect(before).toMatchObject({ exitCode: 0 });
  expect(timesTold(before.err)).toBe(1);
  const untrained = JSON.parse(before.out);
  expect(untrained).toMatchObject({ metric: "miou" });

  const learnt = join(folder, "learnt");
  const training = ["--epochs", "12", "--batch", "8", "--lr", "0.1", "--threads", "1"];
  const trained = await espalier(["train", model, ...data, "-o", learnt, ...training]);
  expect(trained).toMatchObject({ exitCode: 0 });
  expect(timesTold(trained.err)).toBe(1);
  const good = join(learnt, "model.onnx");
  const after = JSON.parse((await espalier(["evaluate", good, ...data, ...quick])).out);
  expect(after.value).toBeGreaterThan(untrained.value + 0.1);
  // Half the resolution draws borders about right.
  expect(after.value).toBeGreaterThan(0.8);

  const run = join(folder, "run");
  const compressed = await espalier([
    ...["compress", good, ...data, "-o", run, "--macs", "0.6", "--rounds", "1", "--epochs", "2"],
    ...["--bench-seconds", "0.1", ...quick],
  ]);
  expect(compressed).toMatchObject({ exitCode: 0 });
  expect(timesTold(compressed.err)).toBe(1);
  const report = JSON.parse(compressed.out);
  expect(report).toMatchObject({ metric: "miou", hasLabels: true });
  expect(report.baseline.value).toBeCloseTo(after.value, 9);
  const result = JSON.parse((await espalier(["evaluate", run, ...quick])).out);
  expect(result.value).toBeCloseTo(report.result.value, 9);
  expect((await espalier(["verify", run])).exitCode).toBe(0);
  // What the report shows beside each other is of one size.
  const examples = await loadTensors(runPaths(run).predictions.examples);
  for (const name of ["truth", "original", "compressed"])
    expect(examples?.tensors.get(name)?.shape.slice(1)).toEqual([height, width]);

  const measured = await espalier(["sensitivity", good, ...data, "--points", "2", ...quick]);
  expect(measured).toMatchObject({ exitCode: 0 });
  expect(timesTold(measured.err)).toBe(1);
  const packed = join(folder, "net.pack");
  const tolerance = ["--max-drop", "0.5"];
  const packing = await espalier(["pack", good, ...data, "-o", packed, ...tolerance, ...quick]);
  expect(packing).toMatchObject({ exitCode: 0 });
  expect(timesTold(packing.err)).toBe(1);
}, 60_000);

it("maps of another aspect are refused by each of them, with what to do", async () => {
  const folder = await emptyFolder();
  const data = ["--data", await blocks(folder)];
  const model = await halving(folder, [2, 1]);
  const commands = [
    ["evaluate", model, ...data],
    ["train", model, ...data, "-o", join(folder, "learnt"), "--epochs", "1"],
    ["compress", model, ...data, "-o", join(folder, "run"), "--macs", "0.6"],
    ["sensitivity", model, ...data],
    ["pack", model, ...data, "-o", join(folder, "net.pack"), "--max-drop", "0.9"],
  ];
  for (const command of commands) {
    const { exitCode, err } = await espalier(command);
    expect(exitCode).not.toBe(0);
    expect(oneLine(err)).toContain("is 21 x 8 pixels, the label maps are 21 x 15");
    expect(oneLine(err)).toContain("--output-name");
  }
}, 60_000);
