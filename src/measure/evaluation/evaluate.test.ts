/** @file Evaluation against closed forms, on networks and data made by the test. */
import { describe, expect, it } from "vitest";
import { folderOf, idxFile, npyFile, zipFile } from "../../../test/data-files.ts";
import { type ModelPieces, modelOf } from "../../../test/tiny-models.ts";
import { openDataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import type { Shape } from "../../ir/graph.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import type { DType } from "../../tensor/dtype.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { comparePaired } from "../outcomes/paired.ts";
import { evaluateClasses as evaluate } from "./evaluate.ts";

/** Samples [N, classes] with labels, so that a network that passes them on has known outputs. */
async function vectors(rows: readonly (readonly number[])[], labels: readonly number[]) {
  const x = npyFile("<f4", [rows.length, rows[0].length], Float32Array.from(rows.flat()));
  const y = npyFile("<i4", [labels.length], Int32Array.from(labels));
  const parts = [
    { name: "x.npy", content: x },
    { name: "y.npy", content: y },
  ];
  return openDataset(await folderOf({ "test.npz": zipFile(parts) }));
}

/** y = op(x). */
function passing(
  shape: Shape,
  { opType = "Identity", dtype = "float32" }: { opType?: string; dtype?: DType } = {},
): ModelPieces {
  return modelOf((b) => {
    b.input("x", dtype, shape);
    b.node(opType, ["x"], {}, { outputs: ["y"] });
    b.output("y", { dtype, shape });
  });
}

/** Images of one pixel per channel; the pixels are the logits. */
async function pixels(options: DatasetOptions = {}) {
  const files = {
    "test-images-idx4-ubyte": idxFile([3, 1, 1, 3], [9, 1, 2, 1, 9, 2, 1, 9, 2]),
    "test-labels-idx1-ubyte": idxFile([3], [0, 1, 2]),
  };
  return openDataset(await folderOf(files), { scale: 1, ...options });
}

const log = Math.log;

describe("evaluate", () => {
  it.each([
    ["Identity", "logits", [-2, 0.5, 3, -0.1]],
    ["Sigmoid", "probabilities", [-2, 0.5, 3, -0.1]],
  ] as const)(
    "of one score per sample (%s) tells two classes apart",
    async (opType, kind, scores) => {
      const labels = [0, 1, 1, 1];
      const dataset = await vectors(
        scores.map((score) => [score]),
        labels,
      );
      const result = await evaluate(passing(["N", 1], { opType }), dataset, { keepOutputs: true });
      const p = scores.map((z) => 1 / (1 + Math.exp(-z)));
      const right = p.map((q, i) => (labels[i] === 1 ? q : 1 - q));
      expect(result).toMatchObject({ value: 0.75, classes: 2, outputKind: kind, samples: 4 });
      expect(result.loss).toBeCloseTo(-right.reduce((sum, q) => sum + log(q), 0) / 4, 6);
      const brier = right.reduce((sum, q) => sum + 2 * (1 - q) ** 2, 0) / 4;
      expect(result.brier.value).toBeCloseTo(brier, 6);
      expect([...result.predictions.predicted]).toEqual([0, 1, 1, 0]);
      expect(result.predictions.outputs).toHaveLength(4);
      expect(result.perClass.map(({ samples, correct }) => [samples, correct])).toEqual([
        [1, 1],
        [3, 2],
      ]);
    },
  );

  it("refuses more labels than one score tells apart", async () => {
    const dataset = await vectors([[1], [2], [3]], [0, 1, 2]);
    await expect(evaluate(passing(["N", 1]), dataset)).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      message: expect.stringContaining("tells 2 classes apart, the labels name 3"),
    });
  });

  it("takes a network as it was read", async () => {
    const dataset = await vectors([[1, 2, 0]], [1]);
    const bytes = passing(["N", 3]);
    const model = readModel(concatBytes(bytes));
    expect(await evaluate(model, dataset)).toEqual(await evaluate(bytes, dataset));
  });

  it("of logits measures accuracy, loss and calibration", async () => {
    const rows = [
      [log(6), log(3), log(1)],
      [log(1), log(8), log(1)],
      [log(2), log(2), log(6)],
      [log(5), log(1), log(4)],
    ];
    const dataset = await vectors(rows, [0, 1, 1, 0]);
    const result = await evaluate(passing(["N", 3]), dataset);
    expect(result.outputKind).toBe("logits");
    expect(result).toMatchObject({ metric: "top1", value: 0.75, samples: 4, classes: 3 });
    expect(result.loss).toBeCloseTo(-(log(0.6) + log(0.8) + log(0.2) + log(0.5)) / 4, 6);
    // Bins of .6, .8, .6, .5: the two of .6 share one, one of them right.
    const expected = (Math.abs(1 - 0.6 + (0 - 0.6)) + (1 - 0.8) + (1 - 0.5)) / 4;
    expect(result.calibrationError.value).toBeCloseTo(expected, 6);
    expect(result.top5.value).toBe(1);
    expect(result.perClass.map(({ samples, correct }) => [samples, correct])).toEqual([
      [2, 2],
      [2, 1],
      [0, 0],
    ]);
    // Wilson, 3 of 4.
    expect(result.ci95[0]).toBeCloseTo(0.3006, 4);
    expect(result.ci95[1]).toBeCloseTo(0.9544, 4);
    const { ci95 } = result.crossEntropy;
    expect(ci95[0]).toBeLessThan(result.loss);
    expect(ci95[1]).toBeGreaterThan(result.loss);
    expect([...result.predictions.isCorrect]).toEqual([1, 1, 0, 1]);
  });

  it("tells a Softmax at the end by its rows, and gets the same loss", async () => {
    const rows = [
      [2, 1, 0.5],
      [0, 3, 1],
    ];
    const dataset = await vectors(rows, [0, 2]);
    const raw = await evaluate(passing(["N", 3]), dataset);
    const soft = await evaluate(passing(["N", 3], { opType: "Softmax" }), dataset);
    const logSoft = await evaluate(passing(["N", 3], { opType: "LogSoftmax" }), dataset);
    expect([raw, soft, logSoft].map(({ outputKind }) => outputKind)).toEqual([
      "logits",
      "probabilities",
      "logits",
    ]);
    expect(soft.loss).toBeCloseTo(raw.loss, 5);
    expect(logSoft.loss).toBeCloseTo(raw.loss, 5);
    expect(soft.calibrationError.value).toBeCloseTo(raw.calibrationError.value, 5);
  });

  it("counts the five largest outputs", async () => {
    const row = [7, 6, 5, 4, 3, 2, 1];
    const dataset = await vectors([row, row, row, row], [0, 4, 5, 6]);
    const result = await evaluate(passing(["N", 7]), dataset);
    expect(result.value).toBe(0.25);
    expect(result.top5.value).toBe(0.5);
  });

  it.each([1, 2, 3, 8])("runs a batch fixed at %d, the last one filled up", async (batch) => {
    const rows = Array.from({ length: 5 }, (_, i) => [i % 2, 1 - (i % 2)]);
    const dataset = await vectors(rows, [1, 0, 1, 0, 0]);
    const fixed = await evaluate(passing([batch, 2]), dataset, { batchSize: 4 });
    const free = await evaluate(passing(["N", 2]), dataset, { batchSize: 2 });
    expect(fixed.value).toBe(0.8);
    expect(fixed).toEqual(free);
  });

  it("honours limit and reports progress", async () => {
    const rows = Array.from({ length: 10 }, () => [1, 0]);
    const dataset = await vectors(rows, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    const seen: number[] = [];
    const result = await evaluate(passing(["N", 2]), dataset, {
      limit: 4,
      batchSize: 3,
      onProgress: ({ done, total }) => seen.push(done, total),
    });
    expect(result.samples).toBe(4);
    expect(result.value).toBe(0.75);
    expect(seen).toEqual([3, 4, 4, 4]);
  });

  it("keeps outputs when asked, and repeats to the last bit", async () => {
    const dataset = await vectors(
      [
        [1, 2],
        [4, 3],
      ],
      [0, 0],
    );
    const first = await evaluate(passing(["N", 2]), dataset, { keepOutputs: true });
    expect(first.predictions.outputs).toEqual(Float32Array.of(1, 2, 4, 3));
    expect(await evaluate(passing(["N", 2]), dataset, { keepOutputs: true })).toEqual(first);
  });

  it("reads a class map [N, C, 1, 1], and images as vectors or without their axes of 1", async () => {
    const dataset = await pixels();
    for (const shape of [
      ["N", 3, 1, 1],
      ["N", 3],
      ["N", "c", "h", "w"],
    ])
      expect((await evaluate(passing(shape), dataset)).value).toBeCloseTo(2 / 3, 12);
  });

  it.each(["float16", "float64", "uint8", "int32"] as const)("converts to %s", async (dtype) => {
    const model = modelOf((b) => {
      b.input("x", dtype, ["N", 3, 1, 1]);
      b.node("Cast", ["x"], { to: 1 }, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: ["N", 3, 1, 1] });
    });
    expect((await evaluate(model, await pixels())).value).toBeCloseTo(2 / 3, 12);
  });

  it("reads float16 outputs", async () => {
    const model = passing(["N", 3], { opType: "Softmax", dtype: "float16" });
    const result = await evaluate(model, await pixels());
    expect(result.outputKind).toBe("probabilities");
    expect(result.value).toBeCloseTo(2 / 3, 12);
  });

  it("takes the first output that holds classes, or the one that is named", async () => {
    const model = modelOf((b) => {
      b.input("x", "float32", ["N", 3, 1, 1]);
      b.constant("shape", int64Vector([0, 3]));
      b.constant("minus", tensorOf("float32", [1], [-1]));
      b.node("GlobalAveragePool", ["x"], {}, { outputs: ["map"] });
      b.node("Reshape", ["x", "shape"], {}, { outputs: ["right"] });
      b.node("Mul", ["right", "minus"], {}, { outputs: ["wrong"] });
      b.node("Concat", ["x", "x"], { axis: 2 }, { outputs: ["wide"] });
      b.output("wide", { dtype: "float32", shape: ["N", 3, 2, 1] });
      b.output("right", { dtype: "float32", shape: ["N", 3] });
      b.output("wrong", { dtype: "float32", shape: ["N", 3] });
    });
    const dataset = await pixels();
    expect(await evaluate(model, dataset)).toMatchObject({ output: "right" });
    const wrong = await evaluate(model, dataset, { output: "wrong" });
    expect(wrong).toMatchObject({ output: "wrong", value: 0 });
    await expect(evaluate(model, dataset, { output: "wide" })).rejects.toMatchObject({
      code: "DATA_MISMATCH",
    });
    await expect(evaluate(model, dataset, { output: "none" })).rejects.toThrow(/right \[N, 3\]/);
  });
});

describe("evaluate refuses", () => {
  it.each([
    [["N", 1, 1, 1], {}, /Try `color` gray/],
    [["N", 3, 8, 6], {}, /Try `resize` 6x8/],
    [["N", 1, 8, 6], {}, /Try `color` gray `resize` 6x8/],
    [["N", 8, 6, 3], {}, /Try `layout` nhwc `resize` 6x8/],
    [["N", 3, 8, 6], { layout: "nhwc" as const }, /Try `layout` nchw `resize` 6x8/],
    [["N", 3, 1, 2], { layout: "nhwc" as const, resize: [2, 1] as const }, /Try `layout` nchw/],
    [["N", 5], {}, /Choose another data set/],
  ])("images [3, 1, 1] for %j", async (shape, options, hint) => {
    const failure = evaluate(passing(shape), await pixels(options));
    await expect(failure).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      hint: expect.stringMatching(hint),
      data: { expected: shape },
    });
  });

  it("fractions for an integer input", async () => {
    const model = passing(["N", 3, 1, 1], { dtype: "uint8" });
    await expect(evaluate(model, await pixels({ scale: 1 / 255 }))).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      hint: expect.stringContaining("`scale` 1"),
    });
  });

  it("labels beyond the network's classes", async () => {
    const dataset = await vectors([[1, 2]], [2]);
    await expect(evaluate(passing(["N", 2]), dataset)).rejects.toThrow(
      /tells 2 classes apart, the labels name 3/,
    );
  });

  it("samples without labels", async () => {
    const path = await folderOf({ "test-images-idx3-ubyte": idxFile([1, 1, 3]) });
    const dataset = await openDataset(path);
    await expect(evaluate(passing(["N", 3]), dataset)).rejects.toMatchObject({
      code: "DATA_INVALID",
    });
  });

  it("no samples at all", async () => {
    const dataset = await vectors([[1, 2]], [0]);
    await expect(evaluate(passing(["N", 2]), dataset, { limit: 0 })).rejects.toMatchObject({
      code: "USAGE",
    });
  });

  it("a network with two inputs", async () => {
    const model = modelOf((b) => {
      b.input("a", "float32", ["N", 2]);
      b.input("b", "float32", ["N", 2]);
      b.node("Add", ["a", "b"], {}, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: ["N", 2] });
    });
    const dataset = await vectors([[1, 2]], [0]);
    await expect(evaluate(model, dataset)).rejects.toThrow(/2 inputs \(a, b\)/);
  });

  it("outputs that are not numbers", async () => {
    const dataset = await vectors(
      [
        [1, 2],
        [-1, 2],
      ],
      [0, 0],
    );
    await expect(evaluate(passing(["N", 2], { opType: "Log" }), dataset)).rejects.toThrow(
      /not a number for sample 1/,
    );
  });

  it("to go on when it is aborted", async () => {
    const dataset = await vectors([[1, 2]], [0]);
    const signal = AbortSignal.abort();
    await expect(evaluate(passing(["N", 2]), dataset, { signal })).rejects.toMatchObject({
      code: "ABORTED",
    });
  });
});

describe("comparePaired", () => {
  it("counts who is right alone", async () => {
    const dataset = await vectors(
      [
        [1, 2],
        [2, 1],
        [3, 1],
        [1, 4],
      ],
      [1, 0, 1, 1],
    );
    const first = await evaluate(passing(["N", 2]), dataset);
    const second = await evaluate(passing(["N", 2], { opType: "Neg" }), dataset);
    const result = comparePaired(first.predictions, second.predictions);
    expect(result).toMatchObject({ difference: -0.5, onlyFirst: 3, onlySecond: 1, samples: 4 });
    expect(result.interval[0]).toBeLessThan(-0.5);
    expect(result.interval[1]).toBeGreaterThan(-0.5);
  });

  it("refuses different samples", async () => {
    const dataset = await vectors(
      [
        [1, 2],
        [2, 1],
      ],
      [1, 0],
    );
    const all = await evaluate(passing(["N", 2]), dataset);
    const one = await evaluate(passing(["N", 2]), dataset, { limit: 1 });
    expect(() => comparePaired(all.predictions, one.predictions)).toThrow(/different samples/);
  });
});
