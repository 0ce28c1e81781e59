/**
 * @file Images that show nearly the same: frames of a video, shots of a burst, copies in other sizes.
 *
 * A thumbnail of 9 x 8 grey cells gives 64 bits, each whether a cell is brighter than its right neighbour (the difference
 * hash of Krawetz, 2013). Pairs whose bits nearly agree are compared by the correlation of thumbnails of 16 x 16 cells, as
 * smooth images have like bits by chance.
 */
import { assert } from "../../errors.ts";

/** What is kept of an image. */
export interface Thumbnail {
  /** 64 bits as two words. */
  readonly hash: readonly [number, number];
  /** [256] grey cells, less their mean, divided by their root of summed squares; all 0 for a plain image. */
  readonly cells: Float32Array;
}

const hashRows = 8;
const hashColumns = 9;
const side = 16;
/** Bits in which near-duplicates may differ. */
const mostBits = 8;
/** The least correlation of near-duplicates. */
const leastCorrelation = 0.97;

/**
 * @param values One image, channels first or last.
 * @param shape [C, H, W] or [H, W, C].
 */
export function thumbnailOf(
  values: ArrayLike<number>,
  shape: readonly number[],
  layout: "nchw" | "nhwc",
): Thumbnail {
  assert(shape.length === 3, "an image has three axes");
  const [channels, height, width] = layout === "nchw" ? shape : [shape[2], shape[0], shape[1]];
  const grey = new Float64Array(height * width);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < grey.length; i++)
      grey[i] += values[layout === "nchw" ? c * grey.length + i : i * channels + c];
  const small = shrink(grey, height, width, hashRows, hashColumns);
  const hash: [number, number] = [0, 0];
  for (let y = 0; y < hashRows; y++)
    for (let x = 0; x + 1 < hashColumns; x++) {
      const at = y * hashColumns + x;
      const bit = y * (hashColumns - 1) + x;
      if (small[at] > small[at + 1]) hash[bit >> 5] |= 1 << (bit & 31);
    }
  const cells = shrink(grey, height, width, side, side);
  const mean = cells.reduce((sum, cell) => sum + cell, 0) / cells.length;
  const norm = Math.sqrt(cells.reduce((sum, cell) => sum + (cell - mean) ** 2, 0));
  return { hash, cells: Float32Array.from(cells, (cell) => (norm > 0 ? (cell - mean) / norm : 0)) };
}

/** Means over cells of equal size, whose borders may cut pixels. */
function shrink(
  grey: Float64Array,
  height: number,
  width: number,
  rows: number,
  columns: number,
): Float64Array {
  const across = weightsOf(width, columns);
  const down = weightsOf(height, rows);
  const out = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (const [y, share] of down[r])
      for (let c = 0; c < columns; c++)
        for (const [x, part] of across[c])
          out[r * columns + c] += share * part * grey[y * width + x];
  return out;
}

/** For each cell, the pixels that it covers and their shares. */
function weightsOf(
  pixels: number,
  cells: number,
): readonly (readonly (readonly [number, number])[])[] {
  const size = pixels / cells;
  return Array.from({ length: cells }, (_, k) => {
    const [from, to] = [k * size, (k + 1) * size];
    const covered: [number, number][] = [];
    for (let p = Math.floor(from); p < Math.min(pixels, Math.ceil(to - 1e-9)); p++)
      covered.push([p, (Math.min(to, p + 1) - Math.max(from, p)) / size]);
    return covered;
  });
}

/**
 * A group for each image, numbered from 0 in the order of their first images: near-duplicates, and what they are
 * near-duplicates of in turn, share one.
 */
export function nearDuplicateGroups(thumbnails: readonly Thumbnail[]): Int32Array {
  const parents = Int32Array.from(thumbnails, (_, i) => i);
  const rootOf = (i: number): number => {
    let at = i;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]];
      at = parents[at];
    }
    return at;
  };
  const first = Int32Array.from(thumbnails, ({ hash }) => hash[0]);
  const second = Int32Array.from(thumbnails, ({ hash }) => hash[1]);
  for (let i = 1; i < thumbnails.length; i++)
    for (let j = 0; j < i; j++) {
      if (bitsIn(first[i] ^ first[j]) + bitsIn(second[i] ^ second[j]) > mostBits) continue;
      if (correlation(thumbnails[i].cells, thumbnails[j].cells) < leastCorrelation) continue;
      const [a, b] = [rootOf(i), rootOf(j)];
      parents[Math.max(a, b)] = Math.min(a, b);
    }
  const numbers = new Map<number, number>();
  return Int32Array.from(thumbnails, (_, i) => {
    const root = rootOf(i);
    const known = numbers.get(root) ?? numbers.size;
    numbers.set(root, known);
    return known;
  });
}

function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function correlation(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
