/** @file Sensitivity on networks that lose a class with each channel, so that every drop is known. */
import { describe, expect, it } from "vitest";
import { folderOf, npyFile, zipFile } from "../../test/data-files.ts";
import { modelOf } from "../../test/tiny-models.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { readModel } from "../onnx/reading/read.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { tensorOf } from "../tensor/host-tensor.ts";
import { sensitivity } from "./sensitivity.ts";
import { readOnce } from "./sensitivity-samples.ts";

const classes = 4;
const samples = 40;

/** One-hot vectors; the class is where the 1 is. */
async function oneHot({ hasLabels = true } = {}): Promise<Dataset> {
  const labels = Int32Array.from({ length: samples }, (_, i) => i % classes);
  const x = new Float32Array(samples * classes);
  for (const [i, label] of labels.entries()) x[i * classes + label] = 1;
  const parts = [
    { name: "x.npy", content: npyFile("<f4", [samples, classes], x) },
    ...(hasLabels ? [{ name: "y.npy", content: npyFile("<i4", [samples], labels) }] : []),
  ];
  return openDataset(await folderOf({ "test.npz": zipFile(parts) }));
}

/**
 * Two hidden layers with a unit for each class, and an output that says "none of them" (class 4) without
 * any evidence. The first layer's filters grow with the class, those of the second shrink.
 */
function classPerUnit(first = "a*", second = "ab") {
  const diagonal = (values: readonly number[], columns = values.length) =>
    tensorOf(
      "float32",
      [values.length, columns],
      Array.from({ length: values.length * columns }, (_, i) =>
        i % columns === Math.floor(i / columns) ? values[i % columns] : 0,
      ),
    );
  return readModel(
    concatBytes(
      modelOf((b) => {
        b.input("x", "float32", ["N", classes]);
        b.constant("w1", diagonal([1, 2, 3, 4]));
        b.constant("w2", diagonal([4, 3, 2, 1]));
        b.constant("w3", diagonal([1, 1, 1, 1], classes + 1));
        b.constant("b3", tensorOf("float32", [classes + 1], [0, 0, 0, 0, 0.1]));
        b.node("MatMul", ["x", "w1"], {}, { name: first, outputs: ["h1"] });
        b.node("Relu", ["h1"], {}, { outputs: ["r1"] });
        b.node("MatMul", ["r1", "w2"], {}, { name: second, outputs: ["h2"] });
        b.node("Relu", ["h2"], {}, { outputs: ["r2"] });
        b.node("MatMul", ["r2", "w3"], {}, { name: "out", outputs: ["s"] });
        b.node("Add", ["s", "b3"], {}, { outputs: ["y"] });
        b.output("y", { dtype: "float32", shape: ["N", classes + 1] });
      }),
    ),
  );
}

describe("sensitivity", () => {
  it("leaves out units that the method cannot score", async () => {
    const measured = await sensitivity(classPerUnit("a", "b"), await oneHot(), {
      split: "test",
      points: 1,
      method: {
        name: "own",
        summary: "",
        source: "",
        options: {},
        needs: { batchNorm: false, data: false },
        propose: ({ structure: { units, groups } }) => ({
          scores: Float64Array.from(units, ({ group, index }) =>
            groups[group].id === "a" || index % 2 === 1 ? Number.POSITIVE_INFINITY : index,
          ),
          edits: () => [],
          notes: [],
        }),
      },
    });
    expect(measured.groups).toMatchObject([{ id: "b", units: 4, prunableUnits: 2 }]);
    expect(measured.groups[0].points).toMatchObject([{ share: 0.5, units: 1 }]);
  });

  it("removes the smallest filters of one group and counts what is lost with them", async () => {
    const model = classPerUnit();
    const seen: string[] = [];
    const measured = await sensitivity(model, await oneHot(), {
      split: "test",
      points: 2,
      onProgress: ({ done, total, group }) => seen.push(`${done}/${total} ${group}`),
    });
    expect(measured).toMatchObject({
      method: "magnitude",
      metric: "top1",
      split: "test",
      samples,
      value: 1,
    });
    // A quarter of the classes goes with each unit. `a*` is a name, and not a pattern that `ab` fits.
    // There are 16 + 16 + 20 products; a unit of the first layer takes 4 + 4 of them, one of the second 4 + 5.
    const point = (share: number, units: number, cost: number) => ({
      share,
      units,
      drop: units / classes,
      macs: (52 - units * cost) / 52,
    });
    expect(measured.groups).toMatchObject([
      { id: "a*", units: 4, prunableUnits: 4, points: [point(0.25, 1, 8), point(0.75, 3, 8)] },
      { id: "ab", units: 4, prunableUnits: 4, points: [point(0.25, 1, 9), point(0.75, 3, 9)] },
    ]);
    for (const { drop, ci95 } of measured.groups.flatMap(({ points }) => points)) {
      expect(ci95[0]).toBeLessThan(drop);
      expect(ci95[1]).toBeGreaterThan(drop);
    }
    expect(seen).toEqual(["0/4 a*", "1/4 a*", "2/4 a*", "2/4 ab", "3/4 ab", "4/4 ab"]);
  });

  it("never narrows a layer to nothing, and keeps the rules", async () => {
    const model = classPerUnit();
    const measured = await sensitivity(model, await oneHot(), {
      split: "test",
      points: 5,
      rules: { except: ["ab"], minWidth: 2 },
    });
    expect(measured.groups.map(({ id }) => id)).toEqual(["a*"]);
    expect(measured.groups[0].points.map(({ share, units, drop }) => [share, units, drop])).toEqual(
      [
        ...[
          [0.1, 0, 0],
          [0.3, 1, 0.25],
          [0.5, 2, 0.5],
        ],
        ...[
          [0.7, 2, 0.5],
          [0.9, 2, 0.5],
        ],
      ],
    );
  });

  it("measures the agreement with the original where there are no labels", async () => {
    const dataset = await oneHot({ hasLabels: false });
    const measured = await sensitivity(classPerUnit("a", "b"), dataset, {
      split: "test",
      points: 2,
    });
    expect(measured).toMatchObject({ metric: "agreement", value: 1 });
    expect(measured.groups[0].points.map(({ drop }) => drop)).toEqual([0.25, 0.75]);
  });

  it("refuses methods that train, splits without samples, and no points", async () => {
    const model = classPerUnit();
    const dataset = await oneHot();
    await expect(
      sensitivity(model, dataset, { split: "test", method: "importance" }),
    ).rejects.toMatchObject({ code: "USAGE", hint: expect.stringContaining("magnitude") });
    await expect(sensitivity(model, dataset)).rejects.toMatchObject({ code: "DATA_NOT_FOUND" });
    await expect(sensitivity(model, dataset, { split: "test", points: 0 })).rejects.toMatchObject({
      code: "USAGE",
    });
  });

  it("stops when it is told to", async () => {
    const controller = new AbortController();
    const measuring = sensitivity(classPerUnit(), await oneHot(), {
      split: "test",
      signal: controller.signal,
      onProgress: ({ done }) => done === 2 && controller.abort(),
    });
    await expect(measuring).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("readOnce", () => {
  it("serves the same batches again without reading them", async () => {
    const dataset = await oneHot();
    let reads = 0;
    const counted: Dataset = {
      ...dataset,
      batches(role, options) {
        reads++;
        return dataset.batches(role, options);
      },
    };
    const once = readOnce(counted);
    const read = async (source: Dataset, options: { batchSize: number; limit?: number }) => {
      const batches = [];
      for await (const batch of source.batches("test", options)) batches.push(batch);
      return batches;
    };
    const expected = await read(dataset, { batchSize: 16 });
    expect(await read(once, { batchSize: 16 })).toEqual(expected);
    expect(await read(once, { batchSize: 16 })).toEqual(expected);
    expect(reads).toBe(1);
    const fewer = await read(dataset, { batchSize: 16, limit: 20 });
    expect(await read(once, { batchSize: 16, limit: 20 })).toEqual(fewer);
    expect(reads).toBe(2);
  });
});
