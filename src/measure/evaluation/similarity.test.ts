/** @file Similarity of outputs against closed forms, on networks whose outputs are multiples of the sample. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { folderOf, npyFile, zipFile } from "../../../test/data-files.ts";
import { modelOf } from "../../../test/tiny-models.ts";
import { openDataset } from "../../data/dataset.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { measureOutcomes, metricOf, pairedDrop } from "../outcomes/outcomes.ts";
import { loadOutcomes, saveOutcomes } from "../outcomes/outcomes-file.ts";
import { withAnswersFrom } from "../unlabelled/pseudo-outputs.ts";
import { evaluate } from "./evaluate.ts";

const rows = [
  [1, 2],
  [3, -2],
  [-1, 0],
  [5, 4],
];

async function samples() {
  const x = npyFile("<f4", [rows.length, 2], Float32Array.from(rows.flat()));
  return openDataset(await folderOf({ "test.npz": zipFile([{ name: "x.npy", content: x }]) }));
}

/** y1 = f x + 10 and y2 = x [N, 1, 2], of which the last may be left out; "still" is the same for all. */
function scaled(factor: number, { offset = 10, batch = "N" as number | "N" } = {}) {
  return modelOf((b) => {
    b.input("x", "float32", [batch, 2]);
    const [f, c, z] = [factor, offset, 0].map((value, i) =>
      b.constant(`c${i}`, tensorOf("float32", [1], [value])),
    );
    const axes = b.constant("axes", { dtype: "int64", shape: [1], data: BigInt64Array.of(1n) });
    const [product] = b.node("Mul", ["x", f]);
    const [sum] = b.node("Add", [product, c]);
    b.node("Unsqueeze", [sum, axes], {}, { outputs: ["y1"] });
    b.node("Unsqueeze", ["x", axes], {}, { outputs: ["y2"] });
    const [zero] = b.node("Mul", ["x", z]);
    b.node("Add", [zero, c], {}, { outputs: ["still"] });
    for (const name of ["y1", "y2"]) b.output(name, { dtype: "float32", shape: [batch, 1, 2] });
    b.output("still", { dtype: "float32", shape: [batch, 2] });
  });
}

/** The mean variance of both numbers over the samples. */
const variance = (() => {
  const of = (values: readonly number[]) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  };
  return (of(rows.map(([a]) => a)) + of(rows.map(([, b]) => b))) / 2;
})();
/** The relative error of each sample for a network whose y1 is 1.5 x + 10. */
const errors = rows.map(([a, b]) => (0.25 * (a ** 2 + b ** 2)) / 2 / variance);

describe("similarity", () => {
  it("is that of every output that depends on the sample, relative to its spread", async () => {
    const dataset = await withAnswersFrom(await samples(), scaled(1));
    expect(dataset.labelKind).toBe("outputs");
    expect(dataset.answers?.map(({ output }) => output)).toEqual(["y1", "y2"]);
    for (const { spread, size } of dataset.answers ?? [])
      expect([spread ** 2, size]).toEqual([expect.closeTo(variance, 5), 2]);
    const found = await evaluate(scaled(1.5), dataset);
    if (found.metric !== "similarity") throw new Error(found.metric);
    const first = errors.map((e) => Math.max(0, 1 - e));
    const mean = first.reduce((a, b) => a + b, 0) / rows.length;
    expect(found.outputs.map(({ value }) => value)).toEqual([
      expect.closeTo(mean, 5),
      expect.closeTo(1, 5),
    ]);
    expect(found.value).toBeCloseTo((mean + 1) / 2, 5);
    expect(found.loss).toBeCloseTo(errors.reduce((a, b) => a + b, 0) / rows.length / 2, 5);
    expect(found.ci95[0]).toBeLessThan(found.value);
    expect(found.ci95[1]).toBeGreaterThan(found.value);
  });

  it("is 1 for the network itself, and 0 at least however wrong another is", async () => {
    const dataset = await withAnswersFrom(await samples(), scaled(1));
    expect((await evaluate(scaled(1), dataset)).value).toBe(1);
    const wrong = await evaluate(scaled(-30), dataset);
    if (wrong.metric !== "similarity") throw new Error(wrong.metric);
    expect(wrong.outputs.map(({ value }) => value)).toEqual([0, 1]);
  });

  it("of a mean answer for every sample is 0 in the mean of errors", async () => {
    const dataset = await withAnswersFrom(await samples(), scaled(1), { output: "y1" });
    // The means of both numbers are 2 and 1: close to 10 + 1.5.
    const found = await measureOutcomes(scaled(0, { offset: 11.5 }), dataset);
    const off = [rows.map(([a]) => a - 1.5), rows.map(([, b]) => b - 1.5)].flat();
    const expected = off.reduce((sum, d) => sum + d ** 2, 0) / 8 / variance;
    expect(metricOf(found).loss).toBeCloseTo(expected, 5);
    expect(expected).toBeCloseTo(1, 0);
  });

  it("is the same where the file fixes the batch", async () => {
    const open = await withAnswersFrom(await samples(), scaled(1));
    const fixed = await withAnswersFrom(await samples(), scaled(1, { batch: 1 }));
    expect(fixed.answers).toEqual(open.answers);
    const [a, b] = await Promise.all([
      evaluate(scaled(1.5), open),
      evaluate(scaled(1.5, { batch: 3 }), fixed),
    ]);
    expect(b).toEqual(a);
  });

  it("is paired, and kept on disk", async () => {
    const dataset = await withAnswersFrom(await samples(), scaled(1));
    const [first, second] = [
      await measureOutcomes(scaled(1), dataset),
      await measureOutcomes(scaled(1.5), dataset),
    ];
    expect(pairedDrop(first, second, { level: 0.025 })).toMatchObject({
      drop: expect.closeTo(1 - metricOf(second).value, 9),
      samples: 4,
      method: "bootstrap",
    });
    const folder = await mkdtemp(join(tmpdir(), "espalier-similarity-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await saveOutcomes(join(folder, "o.safetensors"), second);
    expect(await loadOutcomes(join(folder, "o.safetensors"))).toEqual(second);
  });

  it("is refused where nothing depends on the sample, or outputs differ", async () => {
    await expect(
      withAnswersFrom(await samples(), scaled(0), { output: "y1" }),
    ).rejects.toMatchObject({ code: "DATA_MISMATCH" });
    const dataset = await withAnswersFrom(await samples(), scaled(1));
    const other = modelOf((b) => {
      b.input("x", "float32", ["N", 2]);
      b.node("Identity", ["x"], {}, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: ["N", 2] });
    });
    await expect(evaluate(other, dataset)).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      message: expect.stringContaining("no output y1, y2; it has y"),
    });
  });
});
