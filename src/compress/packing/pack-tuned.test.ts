/** @file Packs within a tolerance, with and without tuning, on a network that was trained for the data. */
import { beforeAll, describe, expect, it } from "vitest";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import type { Dataset } from "../../data/dataset.ts";
import { measureOutcomes, metricOf, pairedDrop } from "../../measure/outcomes/outcomes.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { unpack } from "../../pack/unpack.ts";
import { train } from "../../train/loop/train.ts";
import { adam } from "../../train/step/optimizers.ts";
import { packTuned } from "./pack-tuned.ts";
import { packWithin } from "./pack-within.ts";

const folder = scratchFolder("pack-tuned");
const training = { batchSize: 40, threads: 1, optimizer: adam(), checksMemorisation: false };
const tuning = { ...training, epochs: 3, learningRate: 0.005 };
let dataset: Dataset;
let model: Model;
beforeAll(async () => {
  dataset = await openQuadrants(folder);
  const { best } = await train(quadrantNetwork(), dataset, {
    ...training,
    epochs: 6,
    learningRate: 0.02,
  });
  model = readModel(concatBytes(best.bytes));
}, 60_000);

describe("packs within a tolerance", () => {
  it("are smaller with tuning, and what they unpack to was measured", async () => {
    const maxDrop = 0.05;
    const plain = await packWithin(model, dataset, { maxDrop, threads: 1 });
    const tuned = await packWithin(model, dataset, { maxDrop, threads: 1, tuning });
    expect(tuned.packed.bytesAfter).toBeLessThan(plain.packed.bytesAfter);
    expect(tuned.candidates.slice(0, plain.candidates.length)).toEqual(plain.candidates);
    expect(plain.candidates.some(({ isTuned }) => isTuned)).toBe(false);
    const chosen = tuned.candidates.find((tried) => tried.isTuned && tried.bits === tuned.bits);
    expect(chosen?.isWithin).toBe(true);
    expect(tuned.bits).toBeLessThan(plain.bits ?? 0);

    // Anew, from the bytes alone.
    const unpacked = await unpack(tuned.packed.bytes);
    const outcomesOf = (bytes: Uint8Array, split: "select" | "test") =>
      measureOutcomes(bytes, dataset, { split, threads: 1 });
    const original = concatBytes(writeModel(model));
    const drops = new Map<string, number>();
    for (const split of ["select", "test"] as const) {
      const [before, after] = [
        await outcomesOf(original, split),
        await outcomesOf(unpacked, split),
      ];
      drops.set(split, pairedDrop(before, after, { level: 0.025 }).drop);
      if (split === "test") expect(tuned.result).toEqual(metricOf(after));
    }
    expect(drops.get("select")).toBe(chosen?.drop);
    expect(drops.get("test")).toBe(tuned.drop.drop);
  }, 120_000);

  it("refuse what cannot be tuned before anything is measured", async () => {
    const seen: unknown[] = [];
    const packed = packWithin(model, dataset, {
      maxDrop: 0.05,
      pack: { lambda: 0.1 },
      tuning,
      onCandidate: (candidate) => seen.push(candidate),
    });
    await expect(packed).rejects.toMatchObject({ code: "USAGE" });
    expect(seen).toEqual([]);
  });
});

it("a pack of two values per weight is tuned to what the network knew before", async () => {
  const { packed, result, baseline, training } = await packTuned(model, dataset, {
    pack: { codebook: 2 },
    tuning,
    threads: 1,
  });
  expect(training.history).toHaveLength(3);
  expect(packed.tensors.some(({ values }) => values === "table")).toBe(true);
  expect(result.value).toBeGreaterThan(baseline.value - 0.1);
}, 60_000);
