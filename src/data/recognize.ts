/** @file Which format lies in a folder, told by the names there, and the reader for each. */
import { EspalierError } from "../errors.ts";
import { holdsCifar, readCifar } from "./cifar.ts";
import type { Listing } from "./files.ts";
import {
  holdsClasses,
  holdsImages,
  holdsMasks,
  readClasses,
  readImages,
  readMasks,
} from "./folders.ts";
import { holdsIdx, readIdx } from "./idx.ts";
import { holdsNpz, readNpz } from "./npz.ts";
import { type DataFormat, dataFormats, type RawData } from "./table.ts";

interface Reader {
  /** True where the names look like this format. */
  readonly holds: (listing: Listing) => boolean | Promise<boolean>;
  readonly read: (listing: Listing) => Promise<RawData>;
}

const cifar: Reader = { holds: holdsCifar, read: (listing) => readCifar(listing) };

const readers: Readonly<Record<DataFormat, Reader>> = {
  idx: { holds: holdsIdx, read: readIdx },
  cifar10: { ...cifar, read: (listing) => readCifar(listing, "cifar10") },
  cifar100: { ...cifar, read: (listing) => readCifar(listing, "cifar100") },
  npz: { holds: holdsNpz, read: readNpz },
  "images-masks": { holds: holdsMasks, read: readMasks },
  "class-folders": { holds: holdsClasses, read: readClasses },
  images: { holds: holdsImages, read: readImages },
};

/** Formats of data files; two of them in one folder would be a guess. */
const fileReaders: ReadonlyMap<string, Reader> = new Map([
  ["idx", readers.idx],
  ["cifar10", cifar],
  ["npz", readers.npz],
]);

/** Folder formats, looked for in this order where no data files lie. */
const folderReaders = [readers["images-masks"], readers["class-folders"], readers.images];

/** Reads what lies at `path`, in the format that is asked for or else recognised. */
export async function readRaw(
  path: string,
  listing: Listing,
  format: DataFormat | undefined,
): Promise<RawData> {
  if (format === undefined) return (await recognize(path, listing)).read(listing);
  const reader = readers[format];
  if (await reader.holds(listing)) return reader.read(listing);
  throw new EspalierError("DATA_NOT_FOUND", `${path}: holds no data in the format ${format}`, {
    hint: expectedNames[format],
    data: { path, format },
  });
}

async function recognize(path: string, listing: Listing): Promise<Reader> {
  const found: string[] = [];
  for (const [name, reader] of fileReaders) if (await reader.holds(listing)) found.push(name);
  if (found.length > 1)
    throw new EspalierError("DATA_INVALID", `${path}: holds data as ${found.join(" and as ")}`, {
      hint: "Say which with `format`, or give a folder that holds only one.",
      data: { path, found },
    });
  const [only] = found;
  const reader = only === undefined ? undefined : fileReaders.get(only);
  if (reader !== undefined) return reader;
  for (const candidate of folderReaders) if (await candidate.holds(listing)) return candidate;
  throw new EspalierError("DATA_NOT_FOUND", `${path}: holds no data set that can be recognised`, {
    hint: `Expected one of: ${dataFormats.map((format) => expectedNames[format]).join("; ")}.`,
    data: { path, files: listing.files.slice(0, 16), folders: listing.folders.slice(0, 16) },
  });
}

/** What each format looks like, for hints. */
const expectedNames: Readonly<Record<DataFormat, string>> = {
  idx: "IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte)",
  cifar10: "CIFAR-10 batches (data_batch_1.bin, test_batch.bin)",
  cifar100: "CIFAR-100 batches (train.bin, test.bin)",
  npz: "a numpy archive (data.npz with x and y)",
  "images-masks": "images/ beside masks/",
  "class-folders": "a folder of images per class (also below train/, val/, test/)",
  images: "JPEG, PNG or WebP images",
};
