/** @file The initial posterior of random weights, and their prior. */
import { constantOf, type Graph } from "../../ir/graph.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { bestPrior, type WeightPosterior } from "../posterior/posterior.ts";
import type { Spread } from "./variational.ts";
import type { VariationalWeight } from "./variational-layers.ts";
import type { Prior } from "./variational-loss.ts";
import { perFilter, type SigmaForm } from "./variational-noise.ts";

/** The initial posterior and the prior of a random weight. */
export interface WeightStart extends Spread {
  readonly prior: Prior;
}

/** The settings of the initial posteriors. */
export interface StartOptions {
  readonly sigma: SigmaForm;
  readonly isPriorLearnt: boolean;
  /** The memory of an earlier posterior of this network, as {@link rememberedIn} gives it. */
  readonly memory: Graph | undefined;
}

/** σ begins at this share of the layer's root mean square, and not below `leastDeviation`. */
const firstShare = 0.1;
const leastDeviation = 1e-4;
/** The prior's deviation, as a multiple of the layer's root mean square, and its least value. */
const priorShare = 3;
const leastPrior = 0.1;

/**
 * A weight begins at its value, with a σ that is small beside those of its layer and a prior N(0, s²)
 * that is wide. Where an earlier posterior is remembered, it begins as that one, which is its prior, too
 * (Kochurov et al., "Bayesian Incremental Learning for Deep Neural Networks", 2018), around the weights
 * as they have been tuned since.
 */
export function weightStartOf(
  graph: Graph,
  weight: VariationalWeight,
  options: StartOptions,
): WeightStart {
  const { sigma, isPriorLearnt, memory } = options;
  const { weight: name, dtype } = weight;
  const means = graph.constants.get(name)?.read() ?? tensorOf(dtype, [0], []);
  const values = toNumbers(means);
  const rms = bestPrior(values, new Float64Array(values.length));
  const limit = Math.max(leastPrior, priorShare * rms);
  const earlier = memory?.constants.get(name);
  if (earlier !== undefined && sizeOf(earlier.shape) === values.length) {
    const all = toNumbers(earlier.read());
    const deviation = sigma === "weight" ? all : firstOfFilters(weight, all);
    const shape = sigma === "weight" ? weight.shape : perFilter(weight);
    const deviations = tensorOf(dtype, shape, deviation);
    return { deviation, limit, prior: { kind: "given", means, deviations } };
  }
  const deviation = Math.max(leastDeviation, firstShare * rms);
  return {
    deviation,
    limit,
    prior: isPriorLearnt ? { kind: "learnt" } : { kind: "fixed", deviation: limit },
  };
}

/**
 * The memory of posteriors: the network with deviations in place of weights, which are 0 for the weights of `certain`.
 * Whatever is removed from the network can be removed from it in the same way.
 */
export function rememberedIn(
  graph: Graph,
  posteriors: Iterable<Pick<WeightPosterior, "weight" | "shape" | "deviations">>,
  certain: readonly VariationalWeight[] = [],
): Graph {
  const constants = new Map(graph.constants);
  for (const { weight, dtype, shape } of certain) {
    const old = graph.constants.get(weight);
    const none = tensorOf(dtype, shape, new Float64Array(sizeOf(shape)));
    if (old !== undefined)
      constants.set(weight, { ...constantOf(weight, none), origin: old.origin });
  }
  for (const { weight, shape, deviations } of posteriors) {
    const old = graph.constants.get(weight);
    if (old === undefined) continue;
    const tensor = tensorOf(old.dtype, shape, deviations);
    constants.set(weight, { ...constantOf(weight, tensor), origin: old.origin });
  }
  return { ...graph, constants };
}

function firstOfFilters({ shape, filterAxis }: VariationalWeight, values: Float64Array) {
  const inner = sizeOf(shape.slice(filterAxis + 1));
  return Float64Array.from({ length: shape[filterAxis] }, (_, filter) => values[filter * inner]);
}
