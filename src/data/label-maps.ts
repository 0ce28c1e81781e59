/**
 * @file The contents of label maps: the number of classes, and the coding of binary masks. The maps are read once, at
 * the first question.
 */
import { type Raster, rasterOf } from "./raster.ts";
import { invalid, type RasterStore } from "./table.ts";

/** The value that stands for yes in images of masks. */
const white = 255;

/** Label maps, and what is known of them once they were read. */
export interface LabelMaps {
  /**
   * The maps as class indices. Maps that hold 0 and 255 and nothing else are masks of yes and no: there
   * 255 is class 1, unless it was said to be ignored (then, or with any other value, maps stay as they are).
   */
  readonly coded: () => Promise<RasterStore>;
  /** Labels that occur, in rising order, without the ignored one, each with the first sample that has it. */
  readonly labels: () => Promise<ReadonlyMap<number, number>>;
}

/** @param ignored The label that does not count, where the user said one. */
export function labelMapsOf(
  store: RasterStore,
  ignored: number | undefined,
  otherwiseIgnored: number,
): LabelMaps {
  const isMask = once(async () => {
    if (ignored !== undefined) return false;
    const isOther = (value: number) => value !== 0 && value !== white;
    const values = await valuesIn(store, isOther);
    return values.size === 2 && values.has(0) && values.has(white);
  });
  const coded = async () => ((await isMask()) ? withoutWhite(store) : store);
  const labels = once(async () => {
    const values = await valuesIn(await coded());
    values.delete(ignored ?? otherwiseIgnored);
    return new Map([...values].sort(([a], [b]) => a - b));
  });
  return { coded, labels };
}

/** `DATA_INVALID` at the first map that holds a label of `classes` or more, or a negative one. */
export async function requireLabelsBelow(
  store: RasterStore,
  maps: LabelMaps,
  classes: number,
): Promise<void> {
  for (const [label, sample] of await maps.labels())
    if (label < 0 || label >= classes) throw strangeLabel(store.fileOf(sample), label, classes);
}

/** The error for a label that is no class. */
export function strangeLabel(file: string, label: number, classes: number): Error {
  return invalid(
    file,
    `the label map holds the label ${label}; expected 0 to ${classes - 1}`,
    `If these pixels are not to count, say so: \`ignoreLabel\` ${label}.`,
  );
}

/** Each value with the first map that holds it; reads until `isEnough` holds of one. */
async function valuesIn(
  store: RasterStore,
  isEnough: (value: number) => boolean = () => false,
): Promise<Map<number, number>> {
  const values = new Map<number, number>();
  for (let from = 0; from < store.count; from += lanes) {
    const maps = Array.from({ length: Math.min(lanes, store.count - from) }, (_, i) =>
      store.read(from + i),
    );
    for (const [i, raster] of (await Promise.all(maps)).entries())
      for (const value of distinct(raster)) if (!values.has(value)) values.set(value, from + i);
    if ([...values.keys()].some(isEnough)) break;
  }
  return values;
}

/** Maps that are decoded at once. */
const lanes = 8;

function distinct({ data, height, width, offset, rowStride, columnStride }: Raster): Set<number> {
  const values = new Set<number>();
  let last = Number.NaN;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = data[offset + y * rowStride + x * columnStride];
      // Neighbours are mostly equal, and comparing is cheaper than looking up.
      if (value !== last) values.add(value);
      last = value;
    }
  return values;
}

/** The same maps with 1 in place of 255. */
function withoutWhite(store: RasterStore): RasterStore {
  return {
    ...store,
    read(index) {
      const raster = store.read(index);
      return raster instanceof Promise ? raster.then(recode) : recode(raster);
    },
  };
}

function recode({ data, height, width, offset, rowStride, columnStride }: Raster): Raster {
  const out = new Uint8Array(height * width);
  let to = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      out[to++] = data[offset + y * rowStride + x * columnStride] === white ? 1 : 0;
  return rasterOf(out, { height, width, channels: 1 }, "hwc");
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
