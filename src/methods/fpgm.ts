/** @file Method `fpgm`: filters near their layer's geometric median go first (He et al., CVPR 2019). */

import { square } from "../tensor/elementary.ts";
import { gramMatrix } from "../tensor/linear-algebra.ts";
import { layerNormalizedScores, rowsOf, unknownFilterNotes } from "./method/filters.ts";
import { defineMethod } from "./method/method.ts";

export const fpgm = defineMethod({
  name: "fpgm",
  summary:
    "removes the filters that others in the layer can best replace: those with the least total distance to all filters",
  source: "He, Liu, Wang, Hu, Yang: Filter Pruning via Geometric Median, CVPR 2019",
  needs: { batchNorm: false, data: false },
  options: {},
  propose(context) {
    const scores = layerNormalizedScores(context.structure, (filters) =>
      distanceSums(rowsOf(filters), filters.width),
    );
    return { scores, edits: () => [], notes: unknownFilterNotes(context, scores) };
  },
});

/** Squared distances below this share of both rows' squares are summed up anew: their difference loses digits. */
const nearby = 1e-4;

/** For each row of [width, length], the sum of its Euclidean distances to all rows. */
export function distanceSums(rows: Float64Array, width: number): Float64Array {
  const length = rows.length / width;
  // |a - b|² = |a|² + |b|² - 2 a·b: one product of matrices gives all of them.
  const products = gramMatrix(rows, width, length);
  const sums = new Float64Array(width);
  for (let a = 0; a < width; a++) {
    for (let b = a + 1; b < width; b++) {
      const both = products[a * width + a] + products[b * width + b];
      const apart = both - 2 * products[a * width + b];
      const distance = Math.sqrt(
        apart > nearby * both ? apart : squaredDistance(rows, length, a, b),
      );
      sums[a] += distance;
      sums[b] += distance;
    }
  }
  return sums;
}

function squaredDistance(rows: Float64Array, length: number, a: number, b: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += square(rows[a * length + i] - rows[b * length + i]);
  return sum;
}
