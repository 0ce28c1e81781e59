/** @file Method `random`: removes units at random, as the baseline that every other method has to beat. */
import { randomOf } from "../tensor/random.ts";
import { defineMethod } from "./method/method.ts";

export const random = defineMethod({
  name: "random",
  summary: "removes units at random, by seed; the baseline for all others",
  source: "no paper; compare Mittal et al., Recovering from Random Pruning, WACV 2018",
  needs: { batchNorm: false, data: false },
  options: {},
  propose({ structure, seed }) {
    const stream = randomOf(seed, "random pruning");
    const scores = Float64Array.from(structure.units, () => stream.uniform());
    return { scores, edits: () => [], notes: [] };
  },
});
