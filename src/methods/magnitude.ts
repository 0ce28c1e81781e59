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
    const scores = layerNormalizedScores(context.structure, (filters) => {
      const { at, outer, width, inner } = filters;
      const norms = new Float64Array(width);
      for (let o = 0; o < outer; o++)
        for (let w = 0; w < width; w++)
          for (let i = (o * width + w) * inner; i < (o * width + w + 1) * inner; i++)
            norms[w] += isL1 ? Math.abs(at(i)) : at(i) ** 2;
      return isL1 ? norms : norms.map(Math.sqrt);
    });
    return { scores, edits: () => [], notes: [] };
  },
};
