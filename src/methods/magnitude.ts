/**
 * @file Method `magnitude`: small filters go first (Li et al., ICLR 2017), or small weights.
 *
 * Weights of different layers are compared by a score that does not depend on the layer's scale: w² over the sum of the
 * squares that are no smaller (Lee et al., ICLR 2021), or |w| over the root mean square of the weights that are not 0.
 * Without tuning the former keeps far more of the accuracy.
 */
import type { Graph } from "../ir/graph.ts";
import { weightConstants } from "../structure/weights/layer-weights.ts";
import { square } from "../tensor/elementary.ts";
import { toNumbers } from "../tensor/host-tensor.ts";
import { layerNormalizedScores, unknownFilterNotes } from "./method/filters.ts";
import { defineMethod } from "./method/method.ts";
import { advanced, choice } from "./method/options.ts";

const options = {
  norm: choice(
    ["l1", "l2"],
    "l1",
    "The norm of a filter that ranks it: the sum of the absolute weights (l1), or the root of the sum of their squares (l2).",
  ),
  level: choice(
    ["filters", "weights"],
    "filters",
    "Removes whole filters, or sets single weights to 0 and removes the units that become empty.",
  ),
  scale: advanced(
    choice(
      ["lamp", "rms"],
      "lamp",
      "Compares single weights across layers relative to the energy of the weights of their layer that are no smaller (LAMP), or to the root mean square of their layer.",
    ),
  ),
};

export const magnitude = defineMethod({
  name: "magnitude",
  summary: "removes the filters with the smallest weights, relative to their layer's mean",
  source:
    "Li, Kadav, Durdanovic, Samet, Graf: Pruning Filters for Efficient ConvNets, ICLR 2017; weights: Lee, Park, Mo, Ahn, Shin: Layer-adaptive Sparsity for the Magnitude-based Pruning, ICLR 2021",
  needs: { batchNorm: false, data: false },
  options,
  judgesWeights: ({ level }) => level === "weights",
  propose(context) {
    const { norm, level, scale } = context.options;
    const isL1 = norm === "l1";
    const scores = layerNormalizedScores(context.structure, (filters) => {
      const { at, outer, width, inner } = filters;
      const norms = new Float64Array(width);
      for (let o = 0; o < outer; o++)
        for (let w = 0; w < width; w++)
          for (let i = (o * width + w) * inner; i < (o * width + w + 1) * inner; i++)
            norms[w] += isL1 ? Math.abs(at(i)) : square(at(i));
      return isL1 ? norms : norms.map(Math.sqrt);
    });
    if (level === "filters")
      return { scores, edits: () => [], notes: unknownFilterNotes(context, scores) };
    const { graph } = context.structure.analysis;
    const weightScores = scoresOfWeights(graph, scale === "lamp" ? outlasting : relative);
    return { scores, weightScores, edits: () => [], notes: [] };
  },
});

function scoresOfWeights(
  graph: Graph,
  scoresOf: (values: Float64Array) => Float64Array,
): ReadonlyMap<string, Float64Array> {
  return new Map(
    [...weightConstants(graph)].map(([name, constant]) => [
      name,
      scoresOf(toNumbers(constant.read())),
    ]),
  );
}

/** The score |w| over the root mean square of the nonzero weights. */
function relative(values: Float64Array): Float64Array {
  const nonZero = values.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
  const rms = Math.sqrt(values.reduce((sum, value) => sum + square(value), 0) / nonZero) || 1;
  return values.map((value) => Math.abs(value) / rms);
}

/** The LAMP score w² / Σ u² over the weights u that are no smaller. */
function outlasting(values: Float64Array): Float64Array {
  const squares = values.map(square);
  const sorted = squares.slice().sort();
  const energy = new Float64Array(sorted.length);
  for (let sum = 0, i = sorted.length - 1; i >= 0; i--) {
    sum += sorted[i];
    energy[i] = sum;
  }
  return squares.map((square) => {
    if (square === 0) return 0;
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < square) low = middle + 1;
      else high = middle;
    }
    return square / energy[low];
  });
}
