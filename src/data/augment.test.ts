/** @file Shuffling and augmentation: every sample once, moves that a person can check, the same each time. */
import { describe, expect, it } from "vitest";
import { folderOf, idxFile } from "../../test/data-files.ts";
import { moveRaster } from "./augment.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { rasterOf } from "./raster.ts";
import type { BatchOptions } from "./serve.ts";

/** 48 images of 3x4 pixels, of which 40 are `fit`; pixel k of image i is (12 i + k) mod 256. */
async function images(): Promise<Dataset> {
  const path = await folderOf({
    "train-images-idx3-ubyte": idxFile([48, 3, 4]),
    "train-labels-idx1-ubyte": idxFile(
      [48],
      Array.from({ length: 48 }, (_, i) => i),
    ),
    "test-images-idx3-ubyte": idxFile([1, 3, 4]),
    "test-labels-idx1-ubyte": idxFile([1]),
  });
  return openDataset(path, { scale: 1 });
}

async function served(dataset: Dataset, options: BatchOptions) {
  const batches: { indices: number[]; pixels: number[] }[] = [];
  for await (const { indices, input } of dataset.batches("fit", options))
    batches.push({ indices: [...indices], pixels: [...input.data] });
  return batches;
}

const numbersOf = (batches: readonly { readonly indices: readonly number[] }[]) =>
  batches.flatMap(({ indices }) => indices);
const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

describe("shuffling", () => {
  it("serves every sample once, in an order that seed and epoch decide", async () => {
    const dataset = await images();
    const plain = numbersOf(await served(dataset, { batchSize: 7 }));
    const orders = [];
    for (const [seed, epoch] of [
      [1, 0],
      [1, 1],
      [2, 0],
      [1, 0],
    ])
      orders.push(
        numbersOf(await served(dataset, { batchSize: 7, shuffle: { seed, epoch } })).join(),
      );
    expect(new Set(orders).size).toBe(3);
    expect(orders[3]).toBe(orders[0]);
    for (const order of orders) expect(sorted(order.split(",").map(Number))).toEqual(sorted(plain));
  });

  it("takes from the first `limit` samples only", async () => {
    const dataset = await images();
    const first = numbersOf(await served(dataset, { batchSize: 10, limit: 10 }));
    const shuffle = { seed: 0, epoch: 0 };
    const some = numbersOf(await served(dataset, { batchSize: 4, limit: 10, shuffle }));
    expect(sorted(some)).toEqual(sorted(first));
  });

  it("leaves out samples at the beginning, and the last one if it is not full", async () => {
    const dataset = await images();
    const options = { batchSize: 7, shuffle: { seed: 3, epoch: 2 } };
    const all = await served(dataset, options);
    expect(all.map(({ indices }) => indices.length)).toEqual([7, 7, 7, 7, 7, 5]);
    expect(await served(dataset, { ...options, skip: 14, dropsLast: true })).toEqual(
      all.slice(2, 5),
    );
    expect(await served(dataset, { ...options, skip: 40 })).toEqual([]);
  });
});

describe("augmentation", () => {
  it("moves an image as one would by hand", () => {
    const image = rasterOf(
      Uint8Array.of(1, 2, 3, 4, 5, 6),
      { height: 2, width: 3, channels: 1 },
      "hwc",
    );
    const seen = (pad: number, top: number, left: number, isFlipped: boolean) => {
      const moved = moveRaster(image, { pad, top, left, isFlipped }, 9);
      return Array.from({ length: 6 }, (_, i) => {
        const [y, x] = [Math.floor(i / 3), i % 3];
        return moved.data[moved.offset + y * moved.rowStride + x * moved.columnStride];
      });
    };
    expect(seen(1, 1, 1, false)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(seen(0, 0, 0, true)).toEqual([3, 2, 1, 6, 5, 4]);
    expect(seen(1, 0, 0, false)).toEqual([9, 9, 9, 9, 1, 2]);
    expect(seen(1, 2, 2, false)).toEqual([5, 6, 9, 9, 9, 9]);
    expect(seen(1, 0, 0, true)).toEqual([9, 9, 9, 2, 1, 9]);
  });

  it("depends on seed, epoch and sample, not on batches or order", async () => {
    const dataset = await images();
    const pixelsOf = async (options: Omit<BatchOptions, "batchSize">, batchSize: number) => {
      const bySample = new Map<number, string>();
      for (const { indices, pixels } of await served(dataset, { batchSize, ...options }))
        for (const [i, index] of indices.entries())
          bySample.set(index, pixels.slice(12 * i, 12 * i + 12).join());
      return [...bySample].sort(([a], [b]) => a - b).map(([, pixels]) => pixels);
    };
    const augment = { seed: 5, epoch: 0, crop: 1, flip: true };
    const one = await pixelsOf({ augment }, 40);
    expect(await pixelsOf({ augment, shuffle: { seed: 1, epoch: 1 } }, 3)).toEqual(one);
    expect(await pixelsOf({ augment: { ...augment, epoch: 1 } }, 40)).not.toEqual(one);
    const plain = await pixelsOf({}, 40);
    const same = one.filter((pixels, i) => pixels === plain[i]).length;
    // One in 18 stays as it is; 40 samples have 2.2 of them on average.
    expect(same).toBeLessThan(10);
  });

  it("moves a label map with its image", async () => {
    const labels = Array.from({ length: 10 * 12 }, (_, i) => i % 250);
    const path = await folderOf({
      "train-images-idx4-ubyte": idxFile([10, 3, 4, 1], labels),
      "train-labels-idx3-ubyte": idxFile([10, 3, 4], labels),
    });
    const dataset = await openDataset(path, { scale: 1, ignoreLabel: 255 });
    const augment = { seed: 1, epoch: 0, crop: 2, flip: true };
    for await (const { input, labelMaps } of dataset.batches("fit", { batchSize: 6, augment })) {
      const maps = [...(labelMaps?.data ?? [])];
      expect(maps.map((label) => (label === 255 ? 0 : label))).toEqual([...input.data]);
      expect(maps).toContain(255);
    }
  });

  it("refuses vectors and negative crops", async () => {
    const dataset = await images();
    const augment = { seed: 0, epoch: 0, crop: -1 };
    await expect(served(dataset, { batchSize: 1, augment })).rejects.toMatchObject({
      code: "USAGE",
    });
  });
});
