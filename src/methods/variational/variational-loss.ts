/**
 * @file How far random weights are from what was believed of them: Σ KL(q ‖ p) as a part of the loss.
 *
 * With a mean loss over N samples (and P positions of each) the negative evidence bound, divided by their
 * number, is: mean loss + λ / (N P) Σ KL, λ = 1.
 */
import { assert } from "../../errors.ts";
import { algebraOf } from "../../ops/algebra.ts";
import type { Emitter, Value } from "../../ops/gradient.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import type { ObjectiveContext } from "../../train/objectives.ts";
import type { VariationalGraph } from "./variational.ts";
import type { VariationalWeight } from "./variational-layers.ts";

/** What is believed of a weight beforehand. */
export type Prior =
  /** N(0, s²) for every element. */
  | { readonly kind: "fixed"; readonly deviation: number }
  /** N(0, s²) with the s under which the weights are most probable: s² = mean(μ² + σ²), at every step. */
  | { readonly kind: "learnt" }
  /** N(m, s²), with m and s for each element in the shapes of μ and σ: an earlier posterior. */
  | { readonly kind: "given"; readonly means: HostTensor; readonly deviations: HostTensor };

/**
 * Σ KL(q ‖ p) over the elements of a weight, in nats, rank 0:
 *
 *     KL = ln(s/σ) + (σ² + (μ - m)²) / (2 s²) - ½
 *
 * ln σ is taken as it is, beyond the limits that hold for noise, so that it is drawn back to them.
 *
 * @param logDeviation ln σ in the shape of μ, or with one element for several of μ.
 */
export function emitKl(emit: Emitter, mean: Value, logDeviation: Value, prior: Prior): Value {
  const t = algebraOf(emit, mean);
  const total = (x: Value) => emit.op("ReduceSum", [x], { keepdims: 0 });
  const elements = sizeOf(mean.shape);
  /** How many elements each σ stands for. */
  const shared = elements / sizeOf(logDeviation.shape);
  const logs = t.mul(total(logDeviation), shared);
  const variance = t.apply("Exp", t.mul(logDeviation, 2));
  if (prior.kind === "learnt") {
    const squares = t.add(t.mul(total(variance), shared), total(t.square(mean)));
    // With s² put in, the quadratic terms come to elements / 2.
    const log = t.apply("Log", t.mul(squares, 1 / elements));
    return t.sub(t.mul(log, elements / 2), logs);
  }
  if (prior.kind === "fixed") {
    const squares = t.add(t.mul(total(variance), shared), total(t.square(mean)));
    const rest = elements * (Math.log(prior.deviation) - 0.5);
    return t.add(t.sub(t.mul(squares, 0.5 / prior.deviation ** 2), logs), rest);
  }
  const deviation = t.cast(emit.constant(prior.deviations));
  assert(sizeOf(deviation.shape) * shared === elements, "the prior has as many deviations as q");
  const away = t.square(t.sub(mean, t.cast(emit.constant(prior.means))));
  const ratio = t.div(variance, t.square(deviation));
  const spread = t.sub(t.sub(t.mul(ratio, 0.5), t.apply("Log", t.apply("Sqrt", ratio))), 0.5);
  const shift = total(t.div(t.mul(away, 0.5), t.square(deviation)));
  return t.add(t.mul(total(spread), shared), shift);
}

/** Σ KL of all random weights that are trained. The context is that of an objective. */
export function emitTotalKl<W extends VariationalWeight>(
  { emit, parameters }: Pick<ObjectiveContext, "emit" | "parameters">,
  weights: readonly W[],
  { logDeviations }: Pick<VariationalGraph, "logDeviations">,
  priorOf: (weight: W) => Prior,
): Value {
  return weights.reduce((sum, own) => {
    const mean = parameters.get(own.weight);
    const log = parameters.get(logDeviations.get(own.weight) ?? "");
    // What the trained output does not depend on is no parameter.
    if (mean === undefined || log === undefined) return sum;
    const t = algebraOf(emit, sum);
    return t.add(sum, t.cast(emitKl(emit, mean, log, priorOf(own))));
  }, emit.scalar(0));
}
