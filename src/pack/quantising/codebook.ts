/**
 * @file Codebooks by k-means in one dimension, with linear initialisation between the least and the
 * largest value: weight sharing as in Deep Compression (Han, Mao, Dally, ICLR 2016, section 3).
 */

/** A table of values in ascending order, and each element's place in it. */
export interface Codebook {
  readonly table: Float32Array;
  readonly places: Int16Array;
}

const mostRounds = 100;

/**
 * The codebook of at most `size` entries for what is not zero in `values`, and zero itself, which keeps
 * a place of its own: pruned weights stay pruned. Lloyd's algorithm until nothing moves; where there are
 * no more distinct values than entries, these are the entries.
 */
export function codebookOf(values: Float32Array, size: number): Codebook {
  const sorted = values.filter((value) => value !== 0).sort();
  const distinct = sorted.filter((value, i) => value !== sorted[i - 1]);
  const table = distinct.length <= size ? distinct : centresOf(sorted, size);
  const withZero = Float32Array.from(new Set([...table, 0])).sort();
  return { table: withZero, places: placesIn(withZero, values) };
}

/** k-means over sorted values: clusters are runs, and their sums differences of running sums. */
function centresOf(sorted: Float32Array, size: number): readonly number[] {
  const { length } = sorted;
  if (length === 0) return [];
  const sums = new Float64Array(length + 1);
  for (let i = 0; i < length; i++) sums[i + 1] = sums[i] + sorted[i];
  const first = sorted[0];
  const span = sorted[length - 1] - first;
  let centres = Array.from({ length: size }, (_, k) => first + (span * k) / Math.max(1, size - 1));
  for (let round = 0; round < mostRounds; round++) {
    const next: number[] = [];
    let from = 0;
    for (let k = 0; k < centres.length; k++) {
      const border =
        k + 1 < centres.length ? (centres[k] + centres[k + 1]) / 2 : Number.POSITIVE_INFINITY;
      const to = firstAbove(sorted, border, from);
      // A centre without members is of no use any more.
      if (to > from) next.push((sums[to] - sums[from]) / (to - from));
      from = to;
    }
    const isSettled = next.length === centres.length && next.every((c, k) => c === centres[k]);
    centres = next;
    if (isSettled) break;
  }
  return centres;
}

/** The first place from `from` on whose value is above `border`. */
function firstAbove(sorted: Float32Array, border: number, from: number): number {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > border) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The place of the nearest entry for each value; zeros get the place of zero. */
function placesIn(table: Float32Array, values: Float32Array): Int16Array {
  const zero = table.indexOf(0);
  return Int16Array.from(values, (value) => {
    if (value === 0) return zero;
    const above = firstAbove(table, value, 0);
    if (above === 0) return 0;
    if (above === table.length) return above - 1;
    return value - table[above - 1] <= table[above] - value ? above - 1 : above;
  });
}
