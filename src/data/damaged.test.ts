/** @file Data files that are damaged, hostile or at odds: each a typed error that names the file. */
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { cifarFile, folderOf, idxFile, npyFile, zipFile } from "../../test/data-files.ts";
import { EspalierError } from "../errors.ts";
import { openDataset } from "./dataset.ts";
import type { DatasetOptions } from "./options.ts";
import { roles } from "./splits.ts";

type Files = Record<string, Uint8Array | string>;

interface Case {
  readonly files: Files;
  readonly options?: DatasetOptions;
  readonly code?: string;
  readonly message: RegExp;
}

/** Opens the data set and reads all of it. */
async function readAll(path: string, options?: DatasetOptions): Promise<number> {
  const dataset = await openDataset(path, options);
  let count = 0;
  for (const role of roles) {
    if (dataset.size(role) === 0) continue;
    for await (const { indices } of dataset.batches(role, { batchSize: 4 }))
      count += indices.length;
  }
  return count;
}

async function failureOf(files: Files, options?: DatasetOptions): Promise<EspalierError> {
  const path = await folderOf(files);
  const failure = await readAll(path, options).catch((error: unknown) => error);
  if (failure instanceof EspalierError) return failure;
  throw new Error(`expected a typed error, got ${String(failure)}`);
}

const images = "train-images-idx3-ubyte";
const labels = "train-labels-idx1-ubyte";
const x = npyFile("|u1", [2, 3], new Uint8Array(6));
const png = await sharp({ create: { width: 16, height: 16, channels: 3, background: "red" } })
  .png()
  .toBuffer();
const large = await sharp({ create: { width: 20, height: 16, channels: 3, background: "red" } })
  .png()
  .toBuffer();
const gray = await sharp(new Uint8Array(256), { raw: { width: 16, height: 16, channels: 1 } })
  .toColourspace("b-w")
  .png()
  .toBuffer();
const zeros = new Uint8Array(70 * 2 ** 20);

/** A PNG whose header says that it is of this size. */
function largePng(width: number, height: number): Uint8Array {
  const bytes = Buffer.from(png);
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

const cases: Readonly<Record<string, Case>> = {
  "an empty folder": {
    files: {},
    code: "DATA_NOT_FOUND",
    message: /no data set that can be recognised/,
  },
  "another format than the one asked for": {
    files: { [images]: idxFile([1, 2, 2]) },
    options: { format: "npz" },
    code: "DATA_NOT_FOUND",
    message: /no data in the format npz/,
  },
  "two formats at once": {
    files: { [images]: idxFile([1, 2, 2]), "x.npz": zipFile([]) },
    message: /holds data as idx and as npz/,
  },
  "IDX: wrong magic": {
    files: { [images]: Buffer.from("GIF89a..........") },
    message: /train-images-idx3-ubyte: is no IDX file/,
  },
  "IDX: floating point": {
    files: { [images]: Buffer.from([0, 0, 0x0d, 1, 0, 0, 0, 0]) },
    message: /element type 0xd/,
  },
  "IDX: ends within its header": {
    files: { [images]: Buffer.from([0, 0, 8, 3, 0, 0]) },
    message: /ends within its header/,
  },
  "IDX: truncated": {
    files: { [images]: idxFile([4, 2, 2]).subarray(0, 20) },
    message: /holds 20 bytes; its header says 32/,
  },
  "IDX: longer than it says": {
    files: { [images]: Buffer.concat([idxFile([4, 2, 2]), Buffer.alloc(1)]) },
    message: /holds 33 bytes; its header says 32/,
  },
  "IDX: dimensions beyond all memory": {
    files: { [images]: Buffer.from([0, 0, 8, 3, ...new Array(12).fill(255)]) },
    message: /the limit is/,
  },
  "IDX: no images": {
    files: { [images]: idxFile([0, 2, 2]) },
    code: "DATA_NOT_FOUND",
    message: /no samples/,
  },
  "IDX: truncated gzip": {
    files: { [`${images}.gz`]: gzipSync(idxFile([9, 9, 9])).subarray(0, 200) },
    message: /train-images-idx3-ubyte.gz: .*(cannot be decompressed|no gzip)/,
  },
  "IDX: no gzip at all": {
    files: { [`${images}.gz`]: idxFile([1, 2, 2]) },
    message: /is no gzip file/,
  },
  "IDX: gzip bomb": {
    files: { [`${images}.gz`]: gzipSync(Buffer.concat([idxFile([1, 2, 2]), zeros])) },
    message: /inflates to more than the 20 bytes/,
  },
  "IDX: fewer labels than images": {
    files: { [images]: idxFile([3, 2, 2]), [labels]: idxFile([2]) },
    message: /train-labels-idx1-ubyte: holds 2 labels for the 3 images/,
  },
  "IDX: labels without images": {
    files: { [images]: idxFile([3, 2, 2]), "t10k-labels-idx1-ubyte": idxFile([2]) },
    message: /t10k-labels-idx1-ubyte: has no images file/,
  },
  "IDX: one split labelled, the other not": {
    files: {
      [images]: idxFile([3, 2, 2]),
      [labels]: idxFile([3]),
      "test-images-idx3-ubyte": idxFile([3, 2, 2]),
    },
    message: /test-images-idx3-ubyte: is not labelled/,
  },
  "IDX: some names with a split, some without": {
    files: { [images]: idxFile([3, 2, 2]), "images-idx3-ubyte": idxFile([3, 2, 2]) },
    message: /names no split/,
  },
  "IDX: maps of another size": {
    files: { "images-idx4-ubyte": idxFile([1, 2, 2, 3]), "labels-idx3-ubyte": idxFile([1, 2, 3]) },
    message: /label maps are 2x3/,
  },
  "IDX: splits of different sizes": {
    files: { [images]: idxFile([12, 2, 2]), "test-images-idx3-ubyte": idxFile([2, 3, 2]) },
    code: "DATA_MISMATCH",
    message: /test-images-idx3-ubyte is 2x3x1/,
  },
  "CIFAR: half a record": {
    files: { "test_batch.bin": new Uint8Array(3000) },
    message: /test_batch.bin: is 3000 bytes long/,
  },
  "CIFAR: a label that does not exist": {
    files: { "test_batch.bin": cifarFile([[1], [10]]) },
    message: /record 1 has label 10/,
  },
  "npz: not a zip": { files: { "a.npz": "hello" }, message: /a.npz: is no zip archive/ },
  "npz: empty": { files: { "a.npz": "" }, message: /is no zip archive/ },
  "npz: truncated": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x }]).subarray(0, -30) },
    message: /truncated/,
  },
  "npz: no x": {
    files: { "a.npz": zipFile([{ name: "weights.npy", content: x }]) },
    message: /no array named x \(it holds: weights\)/,
  },
  "npz: labels alone": {
    files: { "a.npz": zipFile([{ name: "y.npy", content: x }]) },
    message: /no samples/,
  },
  "npz: bomb by its own account": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: zeros }]) },
    message: /x.npy would inflate from \d+ to 73400320 bytes/,
  },
  "npz: bomb that lies about its size": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: zeros, claims: { size: 100 } }]) },
    message: /x.npy cannot be inflated/,
  },
  "npz: more than the memory": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x, claims: { size: 0xffffffff } }]) },
    message: /inflate to more than/,
  },
  "npz: too many entries": {
    files: {
      "a.npz": zipFile(Array.from({ length: 1025 }, (_, i) => ({ name: `${i}`, content: x }))),
    },
    message: /holds 1025 entries/,
  },
  "npz: wrong checksum": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x, claims: { crc: 1 } }]) },
    message: /wrong checksum/,
  },
  "npz: encrypted": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x, claims: { flags: 1 } }]) },
    message: /encrypted/,
  },
  "npz: unknown method": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x, claims: { method: 14 } }]) },
    message: /method 14/,
  },
  "npz: entry outside the file": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: x, claims: { headerAt: 1 << 30 } }]) },
    message: /not where the directory says/,
  },
  "npz: no deflate stream": {
    files: {
      "a.npz": zipFile([
        { name: "x.npy", content: Buffer.alloc(8, 255), isStored: true, claims: { method: 8 } },
      ]),
    },
    message: /cannot be inflated/,
  },
  "npz: both x and images": {
    files: {
      "a.npz": zipFile([
        { name: "x.npy", content: x },
        { name: "images.npy", content: x },
      ]),
    },
    message: /both x.npy and images.npy/,
  },
  "npz: pickled objects": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: npyFile("|O", [2], x) }]) },
    message: /elements of type \|O/,
  },
  "npz: no npy": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: deflateRawSync(x) }]) },
    message: /x.npy is no npy array/,
  },
  "npz: Fortran order": {
    files: {
      "a.npz": zipFile([
        { name: "x.npy", content: npyFile("|u1", [2, 3], new Uint8Array(6), true) },
      ]),
    },
    message: /Fortran/,
  },
  "npz: shape and bytes disagree": {
    files: { "a.npz": zipFile([{ name: "x.npy", content: npyFile("<f4", [2, 3], x) }]) },
    message: /takes another number/,
  },
  "npz: one-hot labels": {
    files: {
      "a.npz": zipFile([
        { name: "x.npy", content: x },
        { name: "y.npy", content: x },
      ]),
    },
    message: /labels have shape \[2,3\]/,
  },
  "npz: negative labels": {
    files: {
      "a.npz": zipFile([
        { name: "x.npy", content: x },
        { name: "y.npy", content: npyFile("|i1", [2], Int8Array.of(0, -1)) },
      ]),
    },
    message: /has the label -1/,
  },
  "images: truncated": {
    files: { "cat/a.png": png, "dog/b.png": png.subarray(0, 60) },
    message: /b.png: cannot be decoded/,
  },
  "images: text": {
    files: { "cat/a.png": png, "dog/b.jpg": "<svg/>" },
    message: /b.jpg: is no JPEG, PNG or WebP image/,
  },
  "images: of two sizes": {
    files: { "cat/a.png": png, "dog/b.png": large },
    code: "DATA_MISMATCH",
    message: /b.png is 20x16x3/,
  },
  "images: colour among grey": {
    files: { "cat/a.png": gray, "dog/b.png": png },
    message: /b.png: is a colour image/,
  },
  "images: no mask": {
    files: { "images/a.png": png, "images/b.png": png, "masks/a.png": gray },
    message: /b.png: has no mask/,
  },
  "images: a coloured mask": {
    files: { "images/a.png": png, "masks/a.png": png },
    message: /a.png: is a colour image; a mask/,
  },
  "images: a mask of another size": {
    files: { "images/a.png": large, "masks/a.png": gray },
    message: /a.png: is 16x16, its image 20x16/,
  },
  "images: a mask of another shape, though both are resized": {
    files: { "images/a.png": large, "masks/a.png": gray },
    options: { resize: [8, 8] },
    message: /a.png: is 16x16, its image 20x16/,
  },
  "a resize beyond all memory": {
    files: { [images]: idxFile([1, 2, 2]), "dataset.json": '{"resize": [100000, 100000]}' },
    code: "DATA_MISMATCH",
    message: /would be 100000x100000x1 when it is resized/,
  },
  "a resize of the shorter side whose longer one is beyond all memory": {
    files: { [images]: idxFile([1, 1, 200]), "dataset.json": '{"resize": 20000}' },
    code: "DATA_MISMATCH",
    message: /would be 4000000x20000x1 when it is resized/,
  },
  "a resize to one row, whose first pass is beyond all memory": {
    files: { [images]: idxFile([1, 200, 2]), "dataset.json": '{"resize": [90000000, 1]}' },
    code: "DATA_MISMATCH",
    message: /would be 90000000x200x1 when it is resized/,
  },
  "a pad beyond all memory": {
    files: { "test_batch.bin": cifarFile([[1]]), "dataset.json": '{"pad": 1000000}' },
    code: "DATA_MISMATCH",
    message: /would be 2000032x2000032x3 when it is padded/,
  },
  "IDX: more images than there is memory, of no pixels": {
    files: { [images]: Buffer.from([0, 0, 8, 3, 255, 255, 255, 255, ...new Array(8).fill(0)]) },
    message: /samples of shape \[0,0\] hold nothing/,
  },
  "npz: a billion samples of nothing": {
    files: {
      "a.npz": zipFile([{ name: "x.npy", content: npyFile("|u1", [1e9, 0], new Uint8Array(0)) }]),
    },
    message: /samples of shape \[0\] hold nothing/,
  },
  "a PNG of 4 x 10^9 pixels in 33 bytes": {
    files: { "cat/a.png": largePng(65_535, 65_535) },
    message: /a.png: cannot be decoded/,
  },
  "a crop larger than the image": {
    files: { [images]: idxFile([1, 2, 2]) },
    options: { crop: [3, 2] },
    code: "DATA_MISMATCH",
    message: /smaller than the crop 3x2/,
  },
  "means for another number of channels": {
    files: { [images]: idxFile([1, 2, 2]) },
    options: { mean: [0, 0, 0] },
    code: "DATA_MISMATCH",
    message: /`mean` gives 3 values/,
  },
  "fewer classes than labels": {
    files: { [images]: idxFile([3, 2, 2]), [labels]: idxFile([3]) },
    options: { classes: 2 },
    message: /has the label 2; expected 0 to 1/,
  },
  "a standard deviation of zero": {
    files: { [images]: idxFile([1, 2, 2]) },
    options: { std: [0] },
    code: "USAGE",
    message: /std: must not be 0/,
  },
  "dataset.json: no JSON": {
    files: { [images]: idxFile([1, 2, 2]), "dataset.json": "{" },
    message: /dataset.json: is no JSON/,
  },
  "dataset.json: an unknown key": {
    files: { [images]: idxFile([1, 2, 2]), "dataset.json": '{"means": [1]}' },
    message: /dataset.json: .*means/,
  },
  "dataset.json: a wrong value": {
    files: { [images]: idxFile([1, 2, 2]), "dataset.json": '{"layout": "chw"}' },
    message: /dataset.json: layout/,
  },
};

describe("a typed error for", () => {
  it.each(Object.entries(cases))("%s", async (_, { files, options, code, message }) => {
    const failure = await failureOf(files, options);
    expect(failure.message).toMatch(message);
    expect(failure.code).toBe(code ?? "DATA_INVALID");
  });

  it("a batch beyond all memory", async () => {
    const path = await folderOf({ [images]: idxFile([80, 2, 2]) });
    const dataset = await openDataset(path, { pad: 2499 });
    await expect(
      dataset.batches("fit", { batchSize: 64 })[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject({
      code: "DATA_MISMATCH",
      message: expect.stringMatching(/a batch of \d+ samples \[1, 5000, 5000\] has more/),
    });
  });

  it("a folder that does not exist", async () => {
    const path = await folderOf({});
    await expect(readAll(`${path}/nowhere`)).rejects.toMatchObject({ code: "DATA_NOT_FOUND" });
  });
});
