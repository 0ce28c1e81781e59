/** @file Damaged data sets of every format: opened and read to the end. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32, gzipSync } from "node:zlib";
import sharp from "sharp";
import { openDataset } from "../../../src/data/dataset.ts";
import { roles } from "../../../src/data/splits.ts";
import { cifarFile, idxFile, npyFile, zipFile } from "../../data-files.ts";
import type { Fuzz, Pick } from "./fuzz.ts";
import { mutatedText } from "./mutate-json.ts";

type Files = Record<string, Uint8Array | string>;

const image = (width: number, height: number, channels: 1 | 3) => {
  const values = Uint8Array.from({ length: width * height * channels }, (_, i) => i * 7);
  return sharp(values, { raw: { width, height, channels } });
};
const png = await image(16, 12, 3).png().toBuffer();
const jpeg = await image(16, 12, 3).jpeg().toBuffer();
const webp = await image(16, 12, 3).webp().toBuffer();
const gray = await image(16, 12, 1).toColourspace("b-w").png().toBuffer();

const pixels = (count: number) => Uint8Array.from({ length: count }, (_, i) => i * 3);
const labels = npyFile(
  "|u1",
  [12],
  Uint8Array.from({ length: 12 }, (_, i) => i % 3),
);
const npz = (descr: string, shape: readonly number[], body: ArrayBufferView) =>
  zipFile([
    { name: "x.npy", content: npyFile(descr, shape, body) },
    { name: "y.npy", content: labels },
  ]);

/** Valid data sets, one of each kind. */
const valid: readonly (() => Files)[] = [
  () => ({
    "train-images-idx3-ubyte": idxFile([12, 6, 5]),
    "train-labels-idx1-ubyte": idxFile([12]),
  }),
  () => ({
    "train-images-idx3-ubyte.gz": gzipSync(idxFile([12, 6, 5])),
    "train-labels-idx1-ubyte.gz": gzipSync(idxFile([12])),
  }),
  () => ({ "images-idx4-ubyte": idxFile([6, 5, 4, 3]), "labels-idx3-ubyte": idxFile([6, 5, 4]) }),
  () => ({
    "data_batch_1.bin": cifarFile([[1], [2], [3], [4], [5], [6]]),
    "test_batch.bin": cifarFile([[1], [2], [3]]),
    "batches.meta.txt": "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n",
  }),
  () => ({
    "train.bin": cifarFile([
      [1, 2],
      [3, 4],
      [5, 6],
    ]),
    "test.bin": cifarFile([[7, 8]]),
  }),
  () => ({ "data.npz": npz("|u1", [12, 4, 5, 3], pixels(720)) }),
  () => ({ "data.npz": npz("<f4", [12, 7], new Float32Array(84).fill(0.5)) }),
  () => ({ "data.npz": npz("<f8", [12, 1, 6, 6], new Float64Array(432).fill(0.25)) }),
  () => ({
    "train/cat/a.png": png,
    "train/cat/b.jpg": jpeg,
    "train/dog/c.webp": webp,
    "test/dog/d.png": png,
  }),
  () => ({ "cat/a.png": png, "cat/b.png": png, "dog/c.jpg": jpeg, "dog/d.png": png }),
  () => ({ "a.png": png, "b.png": png, "c.jpg": jpeg }),
  () => ({
    "images/a.png": png,
    "images/b.jpg": jpeg,
    "masks/a.png": gray,
    "masks/b.png": gray,
  }),
];

const manifests = [
  { resize: [8, 8], crop: [4, 4] },
  { resize: 8, pad: 2, color: "gray" },
  { mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2], scale: 0.1, layout: "nhwc" },
  { classes: ["a", "b", "c"], splitSeed: 3, ignoreLabel: 255 },
  { classes: 10, heldOut: true, color: "rgb" },
];

/** Bytes at which headers change their meaning. */
const edges = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xfe, 0xff];

function damagedBytes(bytes: Uint8Array, pick: Pick): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length === 0) return pixels(pick.below(40));
  // Headers lie at the front, those of zip archives at the back.
  const place = () => {
    const near = Math.min(copy.length, 64);
    if (pick.onceIn(3)) return copy.length - 1 - pick.below(near);
    return pick.onceIn(3) ? pick.below(copy.length) : pick.below(near);
  };
  switch (pick.below(8)) {
    case 0:
      return copy.subarray(0, pick.below(copy.length + 1));
    case 1:
      return Buffer.concat([copy, pixels(1 + pick.below(40))]);
    case 2: {
      const [from, to] = [pick.below(copy.length), pick.below(copy.length)];
      return Buffer.concat([copy.subarray(0, from), copy.subarray(to)]);
    }
    case 3: {
      const view = new DataView(copy.buffer);
      const at = Math.max(0, Math.min(place(), copy.length - 4));
      if (copy.length >= 4)
        view.setUint32(
          at,
          pick.from([0, 1, 0xffff, 100_000, 2 ** 31, 2 ** 32 - 1]),
          pick.onceIn(2),
        );
      return copy;
    }
    default:
      for (let i = 1 + pick.below(3); i > 0; i--)
        copy[place()] = pick.onceIn(2) ? pick.from(edges) : pick.below(256);
      return isPng(copy) && pick.onceIn(2) ? withRightChecksum(copy) : copy;
  }
}

const isPng = (bytes: Uint8Array): boolean => bytes.length > 33 && bytes[1] === 0x50;

/** The header of a PNG must pass its checksum for its sizes to be believed. */
function withRightChecksum(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer).setUint32(29, crc32(bytes.subarray(12, 29)));
  return bytes;
}

/** A PNG that says it is larger than it is. */
function bomb(pick: Pick): Uint8Array {
  const copy = Uint8Array.from(png);
  const view = new DataView(copy.buffer);
  for (const at of [16, 20])
    view.setUint32(at, pick.from([16, 4000, 30_000, 100_000, 2 ** 31 - 1]));
  return withRightChecksum(copy);
}

/** An npy header with other sizes than there are elements. */
function lyingNpz(pick: Pick): Uint8Array {
  const size = () => pick.from([0, 1, 3, 12, 100_000, 2 ** 31, 2 ** 53, -1, 1e30]);
  const shape = Array.from({ length: 1 + pick.below(5) }, size);
  const content = npyFile(pick.from(["|u1", "<f4", "<i8", "<f2"]), shape, pixels(pick.below(50)));
  const claims = pick.onceIn(3) ? { size: pick.from([0, 10, 2 ** 31, 2 ** 32 - 1]) } : {};
  return zipFile([
    { name: "x.npy", content, claims },
    { name: "y.npy", content: labels },
  ]);
}

function damage(files: Files, pick: Pick): void {
  const names = Object.keys(files);
  const name = pick.from(names);
  const content = files[name];
  switch (pick.below(9)) {
    case 0:
      delete files[name];
      return;
    case 1:
      files[pick.from(["extra/e.png", "z.npz", "val-images-idx3-ubyte", "test.bin"])] = content;
      return;
    case 2:
      if (/png$/.test(name)) files[name] = bomb(pick);
      else if (/npz$/.test(name)) files[name] = lyingNpz(pick);
      else files[name] = new Uint8Array();
      return;
    default:
      files[name] = damagedBytes(Buffer.from(content), pick);
  }
}

export const fuzz: Fuzz = {
  async attempt({ pick, folder }) {
    const files = pick.from(valid)();
    for (let changes = pick.below(3); changes > 0 && Object.keys(files).length > 0; changes--)
      damage(files, pick);
    if (pick.onceIn(2))
      files["dataset.json"] = mutatedText(JSON.stringify(pick.from(manifests)), pick);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const dataset = await openDataset(folder);
    let count = 0;
    for (const role of roles) {
      if (dataset.size(role) === 0) continue;
      for await (const { indices } of dataset.batches(role, { batchSize: 4 }))
        count += indices.length;
    }
    return count > 0 ? "ok" : "ok, empty";
  },
};
