/**
 * @file numpy's `.npz` archives: samples `x` with labels `y`, also as `x_train`, `y_train`, `x_test`,
 * `train_images`, `train_labels` and so on. Everything else in the archive is left unread.
 */
import { join } from "node:path";
import { isInteger } from "../tensor/dtype.ts";
import { type Listing, readBytes } from "./files.ts";
import { type NpyArray, readNpy } from "./npy.ts";
import { arrayStore } from "./packed.ts";
import { invalid, type RawData, type SampleTable, type SplitName, splitOf } from "./table.ts";
import { listZip, readEntry, type ZipEntry } from "./zip.ts";

/** The arrays of one split in one archive. */
interface Pair {
  x?: ZipEntry;
  y?: ZipEntry;
}

/** True where the folder holds a numpy archive. */
export function holdsNpz(listing: Listing): boolean {
  return listing.files.some((name) => /\.npz$/i.test(name));
}

/** Reads all archives of the folder. */
export async function readNpz(listing: Listing): Promise<RawData> {
  const tables: SampleTable[] = [];
  for (const name of listing.files.filter((file) => /\.npz$/i.test(file)))
    tables.push(...(await readArchive(join(listing.path, name), splitOf(name))));
  return { format: "npz", tables, classNames: undefined, classes: undefined };
}

async function readArchive(file: string, fileSplit: SplitName): Promise<readonly SampleTable[]> {
  const bytes = await readBytes(file);
  const entries = listZip(file, bytes);
  const read = async (entry: ZipEntry) =>
    readNpy(file, entry.name, await readEntry(file, bytes, entry));
  const tables: SampleTable[] = [];
  for (const [split, { x, y }] of pairsOf(file, fileSplit, entries)) {
    if (x === undefined)
      throw invalid(file, `holds ${y?.name ?? "labels"}, but no samples of that name`);
    tables.push(
      tableOf(file, split, x.name, await read(x), y === undefined ? undefined : await read(y)),
    );
  }
  if (tables.length === 0) {
    const names = entries.map((entry) => entry.name.replace(/\.npy$/, "")).join(", ");
    throw invalid(
      file,
      `holds no array named x (it holds: ${names})`,
      "np.savez(file, x=..., y=...)",
    );
  }
  return tables;
}

function pairsOf(
  file: string,
  fileSplit: SplitName,
  entries: readonly ZipEntry[],
): ReadonlyMap<SplitName, Pair> {
  const pairs = new Map<SplitName, Pair>();
  for (const entry of entries) {
    const words = entry.name
      .toLowerCase()
      .replace(/\.npy$/, "")
      .split("_");
    const split = splitOf(words.join(" "));
    const rest = words.filter((word) => splitOf(word) === "none").join("_");
    const role = /^(x|images?)$/.test(rest)
      ? "x"
      : /^(y|labels?|masks?)$/.test(rest)
        ? "y"
        : undefined;
    if (role === undefined) continue;
    const key = split === "none" ? fileSplit : split;
    const pair = pairs.get(key) ?? {};
    const other = pair[role];
    if (other !== undefined)
      throw invalid(file, `holds both ${other.name} and ${entry.name}`, "Keep one of the two.");
    pair[role] = entry;
    pairs.set(key, pair);
  }
  return pairs;
}

function tableOf(
  file: string,
  split: SplitName,
  name: string,
  x: NpyArray,
  y: NpyArray | undefined,
): SampleTable {
  const images = arrayStore(`${file} (${name})`, x.data, x.shape, "chw");
  if (y === undefined) return { split, images, labels: undefined, labelMaps: undefined };
  if (y.shape[0] !== x.shape[0])
    throw invalid(file, `holds ${y.shape[0] ?? 0} labels for ${x.shape[0]} samples`);
  if (!isInteger(y.dtype) && y.dtype !== "bool")
    throw invalid(
      file,
      `labels are ${y.dtype}; expected whole numbers`,
      "Save y.astype(np.int64).",
    );
  const isColumn = y.shape.length === 2 && y.shape[1] === 1;
  if (y.shape.length === 1 || isColumn)
    return { split, images, labelMaps: undefined, labels: Int32Array.from(y.data) };
  if (y.shape.length === 3) {
    const labelMaps = arrayStore(`${file} (labels)`, y.data, y.shape, "hwc");
    return { split, images, labels: undefined, labelMaps };
  }
  throw invalid(
    file,
    `labels have shape [${y.shape}]; expected [N] class indices or [N, H, W] label maps`,
    y.shape.length === 2 ? "Save y.argmax(axis=1)." : undefined,
  );
}
