/** @file Recalibration: statistics of an identity network are those of its samples. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { recalibrate } from "./recalibrate.ts";
import { train } from "./train.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-recalibrate-"));
afterAll(() => rmSync(folder, { recursive: true }));
let dataset: Dataset;
beforeAll(async () => {
  await writeQuadrants(folder);
  dataset = await openDataset(folder);
});

it("measures mean and unbiased variance of what a node sees", async () => {
  const b = new GraphBuilder("norm");
  b.input("x", "float32", ["N", 1, 8, 8]);
  const one = (name: string, value: number) => b.constant(name, tensorOf("float32", [1], [value]));
  const inputs = ["x", one("scale", 1), one("bias", 0), one("mean", 7), one("variance", 7)];
  b.node("BatchNormalization", inputs, {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 1, 8, 8] });
  const { graph } = await recalibrate(b.build(), dataset, { batchSize: 50, limit: 120 });
  const batches: Float32Array[] = [];
  for await (const { input } of dataset.batches("fit", { batchSize: 50, limit: 100 }))
    batches.push(input.data);
  const means = batches.map((x) => x.reduce((sum, v) => sum + v, 0) / x.length);
  const variances = batches.map(
    (x, i) => x.reduce((sum, v) => sum + (v - means[i]) ** 2, 0) / (x.length - 1),
  );
  const read = (name: string) => {
    const constant = graph.constants.get(name);
    return constant ? toNumbers(constant.read())[0] : Number.NaN;
  };
  expect(read("mean")).toBeCloseTo((means[0] + means[1]) / 2, 5);
  expect(read("variance")).toBeCloseTo((variances[0] + variances[1]) / 2, 5);
  expect([read("scale"), read("bias")]).toEqual([1, 0]);
});

it("repairs a network whose statistics were lost, and touches no weight", async () => {
  const trained = (
    await train(quadrantNetwork(), dataset, { epochs: 8, batchSize: 32, learningRate: 0.02 })
  ).final.graph;
  const lost = {
    ...trained,
    constants: new Map(trained.constants).set("bn.mean", {
      ...(trained.constants.get("bn.mean") ?? fail()),
      read: () => tensorOf("float32", [4], [9, 9, 9, 9]),
    }),
  };
  const { bytes } = await recalibrate(lost, dataset);
  const { graph } = readModel(concatBytes(bytes));
  const [mean, wanted] = [graph, trained].map((g) =>
    toNumbers(g.constants.get("bn.mean")?.read() ?? fail()),
  );
  for (const [i, value] of wanted.entries()) expect(Math.abs(mean[i] - value)).toBeLessThan(0.1);
  expect(graph.constants.get("conv.weight")?.read()).toEqual(
    trained.constants.get("conv.weight")?.read(),
  );
});

function fail(): never {
  throw new Error("the constant is there");
}
