/** @file Segmentation measured on networks that pass their input on, against counts by hand. */
import { describe, expect, it } from "vitest";
import { folderOf, npyFile, zipFile } from "../../../test/data-files.ts";
import { type ModelPieces, modelOf } from "../../../test/tiny-models.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { measureOutcomes, metricOf } from "../outcomes/outcomes.ts";
import { withLabelsFrom } from "../unlabelled/pseudo-labels.ts";
import { evaluate, evaluateClasses, evaluateMaps } from "./evaluate.ts";

/** Images [N, C, H, W], whose channels are the scores of a network that passes them on. */
async function scored(
  shape: readonly [number, number, number, number],
  scores: ArrayLike<number>,
  labels: readonly number[] | undefined,
  options: DatasetOptions = {},
): Promise<Dataset> {
  const [n, , h, w] = shape;
  const x = npyFile("<f4", shape, Float32Array.from(scores));
  const parts = [{ name: "x.npy", content: x }];
  if (labels !== undefined)
    parts.push({ name: "y.npy", content: npyFile("<i4", [n, h, w], Int32Array.from(labels)) });
  return openDataset(await folderOf({ "test.npz": zipFile(parts) }), options);
}

function passing(channels: number, ...ops: readonly string[]): ModelPieces {
  return modelOf((b) => {
    b.input("x", "float32", ["N", channels, "h", "w"]);
    const names = ["x", ...ops.map((_, i) => `t${i}`), "y"];
    for (const [i, op] of [...ops, "Identity"].entries())
      b.node(op, [names[i]], op === "Softmax" ? { axis: 1 } : {}, { outputs: [names[i + 1]] });
    b.output("y", { dtype: "float32", shape: ["N", channels, "h", "w"] });
  });
}

/** Two images of 1x4 pixels, three classes, scores one-hot by hand: the class of each pixel. */
const predicted = [
  [0, 0, 1, 1],
  [1, 1, 0, 2],
];
const truth = [
  [0, 1, 1, 1],
  [1, 255, 0, 0],
];
const shape = [2, 3, 1, 4] as const;
const hot = predicted.flatMap((row) => [0, 1, 2].flatMap((k) => row.map((c) => Number(c === k))));

describe("evaluate with label maps", () => {
  it("counts IoU, Dice and pixels over the whole role, without what is ignored", async () => {
    const dataset = await scored(shape, hot, truth.flat());
    const result = await evaluateMaps(passing(3), dataset);
    // 0: both 2, truth 3, predicted 3. 1: both 3, truth 4, predicted 3. 2: predicted 1, never true.
    const iou = [2 / 4, 3 / 4, 0];
    const dice = [4 / 6, 6 / 7, 0];
    expect(result).toMatchObject({ metric: "miou", samples: 2, split: "test", classes: 3 });
    expect(result.value).toBeCloseTo((iou[0] + iou[1] + iou[2]) / 3, 12);
    expect(result.dice.value).toBeCloseTo((dice[0] + dice[1] + dice[2]) / 3, 12);
    expect(result.pixelAccuracy.value).toBeCloseTo(5 / 7, 12);
    expect(result.perClass.map((own) => own.iou)).toEqual(iou);
    expect(result.perClass.map((own) => own.pixels)).toEqual([3, 4, 0]);
    // One-hot scores are a distribution: a right pixel costs nothing, a wrong one 126 ln 2.
    expect(result.outputKind).toBe("probabilities");
    expect(result.loss).toBeCloseTo((2 * 126 * Math.log(2)) / 7, 9);
    expect([...result.predictions.confusions.subarray(0, 9)]).toEqual([1, 0, 0, 1, 2, 0, 0, 0, 0]);
    // A resample of two images holds one twice, or both.
    expect(result.ci95[0]).toBeLessThanOrEqual(result.value);
    expect(result.ci95[1]).toBeGreaterThanOrEqual(result.value);
  });

  it("leaves classes that do not occur out of the mean", async () => {
    const dataset = await scored([1, 3, 1, 4], hot.slice(0, 12), truth[0]);
    const result = await evaluateMaps(passing(3), dataset);
    expect(result.value).toBeCloseTo((1 / 2 + 2 / 3) / 2, 12);
    expect(result.perClass[2]).toMatchObject({ iou: null, dice: null, pixels: 0 });
  });

  it("never predicts the ignored class, where a network has one", async () => {
    const labels = truth.flat().map((label) => (label === 255 ? 2 : label));
    const dataset = await scored(shape, hot, labels, { ignoreLabel: 2 });
    const result = await evaluateMaps(passing(3), dataset);
    // The pixel that said 2 says 0 now (the first of equals), which it is.
    expect(result.perClass.map(({ iou }) => iou)).toEqual([3 / 4, 3 / 4, null]);
  });

  it("has the loss of log-softmax, for logits and behind a Softmax", async () => {
    const random = randomOf("scores");
    const scores = random.normals(4 * 3 * 5 * 6);
    const labels = Array.from({ length: 4 * 30 }, () => random.integer(3));
    const dataset = await scored([4, 3, 5, 6], scores, labels);
    let loss = 0;
    for (const [i, label] of labels.entries()) {
      const row = [0, 1, 2].map((k) => scores[(Math.floor(i / 30) * 3 + k) * 30 + (i % 30)]);
      loss += Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label];
    }
    const raw = await evaluateMaps(passing(3), dataset, { batchSize: 3 });
    const soft = await evaluateMaps(passing(3, "Softmax"), dataset);
    expect([raw.outputKind, soft.outputKind]).toEqual(["logits", "probabilities"]);
    expect(raw.loss).toBeCloseTo(loss / labels.length, 6);
    expect(soft.loss).toBeCloseTo(loss / labels.length, 5);
    expect(soft.value).toBe(raw.value);
  });

  it("takes one channel for two classes, and tells a Sigmoid by the graph", async () => {
    // As logits all say 1, as probabilities half of them do: the values alone could be either.
    const scores = [0.1, 0.9, 0.6, 0.4];
    const dataset = await scored([1, 1, 2, 2], scores, [0, 1, 1, 0]);
    const logits = await evaluateMaps(passing(1), dataset);
    expect(logits).toMatchObject({ outputKind: "logits", classes: 2 });
    expect(logits.perClass.map(({ iou }) => iou)).toEqual([0, 1 / 2]);
    const sigmoid = await evaluateMaps(passing(1, "Sigmoid"), dataset);
    const read = readModel(concatBytes(passing(1, "Sigmoid")));
    expect(await evaluateMaps(read, dataset)).toEqual(sigmoid);
    expect(sigmoid).toMatchObject({ outputKind: "probabilities", classes: 2 });
    expect(sigmoid.value).toBe(logits.value);
    const cost = (z: number, label: number) => Math.log(1 + Math.exp(label === 1 ? -z : z));
    const want = (cost(0.1, 0) + cost(0.9, 1) + cost(0.6, 1) + cost(0.4, 0)) / 4;
    expect(logits.loss).toBeCloseTo(want, 6);
    expect(sigmoid.loss).toBeCloseTo(want, 6);
  });

  it("gives the same figures from outcomes", async () => {
    const dataset = await scored(shape, hot, truth.flat());
    const { metric, value, ci95, loss } = await evaluate(passing(3), dataset);
    expect(metricOf(await measureOutcomes(passing(3), dataset))).toEqual({
      metric,
      value,
      ci95,
      loss,
    });
  });
});

describe("evaluate with label maps refuses", () => {
  it("an output of another aspect, saying both sizes", async () => {
    const dataset = await scored([1, 3, 8, 12], new Float32Array(288), new Array(96).fill(0));
    const low = modelOf((b) => {
      b.input("x", "float32", ["N", 3, "h", "w"]);
      b.node("AveragePool", ["x"], { kernel_shape: [4, 1], strides: [4, 1] }, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: ["N", 3, "a", "b"] });
    });
    await expect(evaluate(low, dataset)).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      message: expect.stringMatching(/is 12 x 2 pixels, the label maps are 12 x 8: their sides/),
      hint: expect.stringContaining("`output`"),
    });
  });

  it("a label that the network does not know, naming file and sample", async () => {
    const dataset = await scored(shape, hot, [...truth[0], 1, 9, 0, 0]);
    await expect(evaluate(passing(3), dataset)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(/test.npz \(labels\): .* sample 1 holds the label 9/),
    });
  });

  it("outputs that are no numbers, where they count", async () => {
    const scores = hot.map((value, i) => (i === 5 ? Number.NaN : value));
    const dataset = await scored(shape, scores, truth.flat());
    await expect(evaluate(passing(3), dataset)).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
  });

  it("labels of the other kind", async () => {
    const dataset = await scored(shape, hot, truth.flat());
    await expect(evaluateClasses(passing(3), dataset)).rejects.toThrow(/maps of classes, not one/);
    const bare = await scored(shape, hot, undefined);
    await expect(evaluateMaps(passing(3), bare)).rejects.toThrow(/no labels/);
  });
});

describe("withLabelsFrom", () => {
  it("makes maps of what a network says, with which it agrees throughout", async () => {
    const scores = randomOf("pseudo").normals(5 * 3 * 4 * 4);
    const dataset = await scored([5, 3, 4, 4], scores, undefined);
    const labelled = await withLabelsFrom(dataset, passing(3), { threads: 1 });
    expect(labelled).toMatchObject({ labelKind: "maps", classes: 3 });
    expect(await evaluate(passing(3), labelled)).toMatchObject({ metric: "miou", value: 1 });
    // Kept labels are those that were computed.
    expect((await evaluate(passing(3, "Neg"), labelled)).value).toBeLessThan(0.2);
    const first = await evaluate(passing(3, "Neg"), await withLabelsFrom(dataset, passing(3)));
    expect(await evaluate(passing(3, "Neg"), labelled)).toEqual(first);
  });

  it("makes classes of a classifier's scores, in batches of any size", async () => {
    const rows = randomOf("rows").normals(7 * 4);
    const x = npyFile("<f4", [7, 4], rows);
    const path = await folderOf({ "test.npz": zipFile([{ name: "x.npy", content: x }]) });
    const net = modelOf((b) => {
      b.input("x", "float32", [2, 4]);
      b.constant("s", tensorOf("float32", [1], [3]));
      b.node("Mul", ["x", "s"], {}, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: [2, 4] });
    });
    const labelled = await withLabelsFrom(await openDataset(path), net);
    const seen: number[] = [];
    for await (const { labels } of labelled.batches("test", { batchSize: 3 }))
      seen.push(...(labels ?? []));
    const best = Array.from({ length: 7 }, (_, i) => {
      const row = [...rows.subarray(4 * i, 4 * i + 4)];
      return row.indexOf(Math.max(...row));
    });
    expect(seen).toEqual(best);
    expect(await evaluate(net, labelled)).toMatchObject({ metric: "top1", value: 1 });
  });

  it("refuses outputs that are no classes", async () => {
    const dataset = await scored([1, 1, 2, 2], [1, 2, 3, 4], undefined);
    const pooled = modelOf((b) => {
      b.input("x", "float32", ["N", 1, 2, 2]);
      b.node("GlobalAveragePool", ["x"], {}, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: ["N", 1, 1, 1] });
    });
    await expect(withLabelsFrom(dataset, pooled)).rejects.toMatchObject({ code: "DATA_MISMATCH" });
  });
});
