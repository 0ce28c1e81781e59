/** @file Outcomes through a file and back. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderOf } from "../../../test/data-files.ts";
import { randomOf } from "../../tensor/random.ts";
import { metricOf, type Outcomes } from "./outcomes.ts";
import { loadOutcomes, saveOutcomes } from "./outcomes-file.ts";

const indices = Int32Array.of(7, 3, 4);
const random = randomOf("outcomes");
const losses = Float64Array.from({ length: 3 }, () => random.uniform());
const all: Record<string, Outcomes> = {
  classes: {
    kind: "classes",
    predictions: {
      indices,
      losses,
      labels: Int32Array.of(0, 1, 2),
      predicted: Int32Array.of(0, 2, 2),
      isCorrect: Uint8Array.of(1, 0, 1),
      confidences: losses,
      outputs: undefined,
    },
  },
  maps: {
    kind: "maps",
    classes: 2,
    indices,
    losses,
    confusions: Float64Array.of(5, 1, 2, 8, 7, 0, 0, 9, 3, 3, 3, 7),
  },
  "scored classes": {
    kind: "classes",
    predictions: {
      indices,
      losses,
      labels: Int32Array.of(0, 1, 2),
      predicted: Int32Array.of(0, 2, 2),
      isCorrect: Uint8Array.of(1, 0, 1),
      confidences: losses,
      outputs: undefined,
      briers: losses,
    },
  },
  "scored maps": {
    kind: "maps",
    classes: 2,
    indices,
    losses,
    briers: losses,
    confusions: new Float64Array(12).fill(2),
    gaps: new Float64Array(45).fill(-0.5),
  },
  values: { kind: "values", metric: "ap", indices, values: losses },
};

describe("outcomes in a file", () => {
  it.each(Object.keys(all))("of %s come back bit for bit, and so does the metric", async (kind) => {
    const path = join(await folderOf({}), "outcomes.safetensors");
    await saveOutcomes(path, all[kind]);
    const loaded = await loadOutcomes(path);
    expect(loaded).toEqual(all[kind]);
    expect(metricOf(loaded)).toEqual(metricOf(all[kind]));
  });

  it("keep outputs where there are any", async () => {
    const path = join(await folderOf({}), "outcomes.safetensors");
    const { classes } = all;
    if (classes.kind !== "classes") throw new Error("classes");
    const outputs = Float32Array.from({ length: 9 }, (_, i) => i);
    const kept = { ...classes, predictions: { ...classes.predictions, outputs } };
    await saveOutcomes(path, kept);
    expect(await loadOutcomes(path)).toEqual(kept);
  });

  it("are refused where the file is not theirs, damaged or missing", async () => {
    const folder = await folderOf({});
    const path = join(folder, "outcomes.safetensors");
    await expect(loadOutcomes(path)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await writeFile(path, "not at all");
    await expect(loadOutcomes(path)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    const { maps } = all;
    if (maps.kind !== "maps") throw new Error("maps");
    await saveOutcomes(path, { ...maps, classes: 3 });
    await expect(loadOutcomes(path)).rejects.toThrow(/parts of different lengths/);
  });
});
