/**
 * @file The IDX format of MNIST: images [N, H, W] or [N, H, W, C] with labels [N] or label maps
 * [N, H, W], unsigned bytes, plain or gzipped.
 */
import { join } from "node:path";
import { type Listing, readSized } from "./files.ts";
import { arrayStore } from "./packed.ts";
import { invalid, type RawData, type SampleTable, splitOf } from "./table.ts";

const imagesName = /images.*idx[34]/i;
const labelsName = /labels.*idx[13]/i;

/** An array out of an IDX file. */
interface IdxArray {
  readonly file: string;
  readonly shape: readonly number[];
  /** The whole file; elements begin at `offset`. */
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** True where the folder holds IDX images. */
export function holdsIdx(listing: Listing): boolean {
  return listing.files.some((name) => imagesName.test(name));
}

/** Reads all pairs of IDX files; images without a labels file are unlabelled. */
export async function readIdx(listing: Listing): Promise<RawData> {
  const images = pairKeys(listing.files.filter((name) => imagesName.test(name)));
  const labels = pairKeys(listing.files.filter((name) => labelsName.test(name)));
  for (const [key, name] of labels)
    if (!images.has(key))
      throw invalid(join(listing.path, name), "has no images file of the same name beside it");
  const tables: SampleTable[] = [];
  for (const [key, name] of images) {
    const labelled = labels.get(key);
    const x = await readArray(join(listing.path, name));
    const y = labelled === undefined ? undefined : await readArray(join(listing.path, labelled));
    tables.push(tableOf(splitOf(key), x, y));
  }
  return { format: "idx", tables, classNames: undefined, classes: undefined };
}

/** File names by what comes before `images` or `labels`; a plain file goes before its gzipped twin. */
function pairKeys(names: readonly string[]): ReadonlyMap<string, string> {
  const byKey = new Map<string, string>();
  for (const name of names) {
    const key = name.toLowerCase().replace(/(images|labels).*$/, "");
    const other = byKey.get(key);
    if (other === undefined || other.startsWith(`${name}.`)) byKey.set(key, name);
    else if (!name.startsWith(`${other}.`))
      throw invalid(name, `stands for the same samples as ${other}`, "Keep one of the two.");
  }
  return byKey;
}

function tableOf(split: SampleTable["split"], x: IdxArray, y: IdxArray | undefined): SampleTable {
  if (x.shape.length !== 3 && x.shape.length !== 4)
    throw invalid(x.file, `images have ${x.shape.length} axes; expected 3 or 4`);
  const images = arrayStore(x.file, x.bytes, x.shape, "hwc", x.offset);
  if (y === undefined) return { split, images, labels: undefined, labelMaps: undefined };
  if (y.shape[0] !== x.shape[0])
    throw invalid(y.file, `holds ${y.shape[0]} labels for the ${x.shape[0]} images of ${x.file}`);
  if (y.shape.length === 1)
    return {
      split,
      images,
      labelMaps: undefined,
      labels: Int32Array.from(y.bytes.subarray(y.offset)),
    };
  if (y.shape.length !== 3)
    throw invalid(y.file, `labels have ${y.shape.length} axes; expected 1, or 3 for label maps`);
  if (y.shape[1] !== x.shape[1] || y.shape[2] !== x.shape[2])
    throw invalid(
      y.file,
      `label maps are ${y.shape[1]}x${y.shape[2]}, the images of ${x.file} ${x.shape[1]}x${x.shape[2]}`,
    );
  const labelMaps = arrayStore(y.file, y.bytes, y.shape, "hwc", y.offset);
  return { split, images, labels: undefined, labelMaps };
}

async function readArray(file: string): Promise<IdxArray> {
  let shape: readonly number[] = [];
  const bytes = await readSized(file, (head) => {
    shape = readShape(file, head);
    return shape.reduce((product, dim) => product * dim, 1) + 4 + 4 * shape.length;
  });
  return { file, shape, bytes, offset: 4 + 4 * shape.length };
}

/** Magic number: two zero bytes, the element type (8: unsigned byte), the number of axes. */
function readShape(file: string, head: Uint8Array): readonly number[] {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 4 || view.getUint16(0) !== 0)
    throw invalid(file, "is no IDX file: it does not begin with two zero bytes");
  const [, , type, rank] = head;
  if (type !== 8)
    throw invalid(
      file,
      `has element type 0x${type.toString(16)}; only unsigned bytes (0x8) are read`,
    );
  if (rank === 0 || rank > 4) throw invalid(file, `has ${rank} axes; expected 1 to 4`);
  if (head.length < 4 + 4 * rank) throw invalid(file, "ends within its header");
  return Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
}
