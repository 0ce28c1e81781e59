/**
 * @file The binary version of CIFAR-10 and CIFAR-100: records of one label byte (CIFAR-100: coarse,
 * then fine) and 3072 bytes of a planar 32x32 RGB image.
 */
import { join } from "node:path";
import { type Listing, readBytes } from "./files.ts";
import { packedStore } from "./packed.ts";
import { invalid, type RawData, type SampleTable, splitOf } from "./table.ts";

const imageBytes = 3 * 32 * 32;

function isBatch(name: string): boolean {
  return /\.bin$/i.test(name) && (/^data_batch/i.test(name) || splitOf(name) !== "none");
}

/** The two data sets of this format. */
export type CifarKind = "cifar10" | "cifar100";

/** True where the folder holds batches under the names of the original files. */
export function holdsCifar(listing: Listing): boolean {
  return listing.files.some(isBatch);
}

/** Reads all batches. Without `kind`, the file sizes tell which data set it is. */
export async function readCifar(listing: Listing, kind?: CifarKind): Promise<RawData> {
  const names = listing.files.filter(isBatch).sort(naturally);
  const files = await Promise.all(
    names.map(async (name) => {
      const file = join(listing.path, name);
      return { name, file, bytes: await readBytes(file) };
    }),
  );
  const known = kind ?? kindOf(files);
  const tables = files.map(({ name, file, bytes }) => readBatch(name, file, bytes, known));
  const classNames = await readNames(listing, known);
  return { format: known, tables, classNames, classes: known === "cifar10" ? 10 : 100 };
}

function kindOf(
  files: readonly { readonly file: string; readonly bytes: Uint8Array }[],
): CifarKind {
  const fits = (labels: number) =>
    files.every(({ bytes }) => bytes.length > 0 && bytes.length % (labels + imageBytes) === 0);
  if (fits(1) && fits(2))
    throw invalid(
      files[0].file,
      "may be CIFAR-10 or CIFAR-100",
      "Say `format` cifar10 or cifar100.",
    );
  if (fits(2)) return "cifar100";
  return "cifar10";
}

function readBatch(name: string, file: string, bytes: Uint8Array, kind: CifarKind): SampleTable {
  const labelBytes = kind === "cifar10" ? 1 : 2;
  const stride = labelBytes + imageBytes;
  if (bytes.length === 0 || bytes.length % stride !== 0)
    throw invalid(file, `is ${bytes.length} bytes long, which is no multiple of ${stride}`);
  const count = bytes.length / stride;
  const classes = kind === "cifar10" ? 10 : 100;
  const labels = Int32Array.from({ length: count }, (_, i) => bytes[i * stride + labelBytes - 1]);
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong >= 0)
    throw invalid(
      file,
      `record ${wrong} has label ${labels[wrong]}; ${kind} has ${classes} classes`,
    );
  const split = /^data_batch/i.test(name) ? "train" : splitOf(name);
  const images = packedStore({
    file,
    data: bytes,
    count,
    height: 32,
    width: 32,
    channels: 3,
    order: "chw",
    offset: labelBytes,
    stride,
    isVector: false,
  });
  return { split, images, labels, labelMaps: undefined };
}

async function readNames(
  listing: Listing,
  kind: CifarKind,
): Promise<readonly string[] | undefined> {
  const name = kind === "cifar10" ? "batches.meta.txt" : "fine_label_names.txt";
  if (!listing.files.includes(name)) return undefined;
  const text = (await readBytes(join(listing.path, name))).toString("utf8");
  const names = text.split(/\r?\n/).filter((line) => line !== "");
  return names.length === (kind === "cifar10" ? 10 : 100) ? names : undefined;
}

/** `data_batch_2` before `data_batch_10`. */
function naturally(a: string, b: string): number {
  const number = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
  return number(a) - number(b) || (a < b ? -1 : 1);
}
