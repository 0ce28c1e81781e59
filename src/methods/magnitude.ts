/** @file Method `magnitude`: small filters go first (Li et al., ICLR 2017). */
import { layerNormalizedScores } from "./filters.ts";
import { type Method, optionOf } from "./method.ts";

const options = [
  {
    name: "norm",
    values: ["l1", "l2"],
    default: "l1",
    description: "the norm of a filter's weights",
  },
] as const;

export const magnitude: Method = {
  name: "magnitude",
  summary: "removes the filters with the smallest weights, relative to their layer's mean",
  source: "Li, Kadav, Durdanovic, Samet, Graf: Pruning Filters for Efficient ConvNets, ICLR 2017",
  needs: { batchNorm: false, data: false },
  options,
  propose(context) {
    const isL1 = optionOf({ options }, context, "norm") === "l1";
    const scores = layerNormalizedScores(context.structure, ({ length, weights }) => {
      const norms = new Float64Array(weights.length / length);
      for (let i = 0; i < weights.length; i++) {
        const value = weights[i];
        norms[Math.floor(i / length)] += isL1 ? Math.abs(value) : value * value;
      }
      return isL1 ? norms : norms.map(Math.sqrt);
    });
    return { scores, edits: () => [], notes: [] };
  },
};
