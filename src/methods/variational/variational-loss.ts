/**
 * @file The divergence of random weights from their prior, Σ KL(q ‖ p), as a part of the loss.
 *
 * With a mean loss over N samples (and P positions of each) the negative evidence bound, divided by their
 * number, is: mean loss + λ / (N P) Σ KL, λ = 1.
 */
import { assert } from "../../errors.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Emitter, Value } from "../../ops/operator/gradient.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import type { ObjectiveContext } from "../../train/step/objectives.ts";
import type { VariationalGraph } from "./variational.ts";
import type { VariationalWeight } from "./variational-layers.ts";

/** The prior of a weight. */
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
  const squares = (x: Value) => emit.op("ReduceSumSquare", [x], { keepdims: 0 });
  const elements = sizeOf(mean.shape);
  /** The number of elements that share each σ. */
  const shared = elements / sizeOf(logDeviation.shape);
  const logs = t.mul(total(logDeviation), shared);
  // Weights are many: each line here that is not a sum is a pass over all of them, and another one back.
  const deviation = t.apply("Exp", logDeviation);
  if (prior.kind === "given") {
    const { means, deviations } = prior;
    assert(sizeOf(deviations.shape) * shared === elements, "the prior has as many deviations as q");
    const own = toNumbers(deviations);
    const scales = own.map((s) => Math.SQRT1_2 / s);
    const scale = t.cast(emit.constant(tensorOf(deviations.dtype, deviations.shape, scales)));
    const isCentred = toNumbers(means).every((value) => value === 0);
    const away = isCentred ? mean : t.sub(mean, t.cast(emit.constant(means)));
    const spread = t.mul(squares(t.mul(deviation, scale)), shared);
    const rest = shared * own.reduce((sum, s) => sum + Math.log(s) - 0.5, 0);
    return t.add(t.sub(t.add(spread, squares(t.mul(away, scale))), logs), rest);
  }
  const size = t.add(t.mul(squares(deviation), shared), squares(mean));
  if (prior.kind === "learnt") {
    // With s² put in, the quadratic terms come to elements / 2.
    const log = t.apply("Log", t.mul(size, 1 / elements));
    return t.sub(t.mul(log, elements / 2), logs);
  }
  const rest = elements * (Math.log(prior.deviation) - 0.5);
  return t.add(t.sub(t.mul(size, 0.5 / prior.deviation ** 2), logs), rest);
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
    // A weight on which the trained output does not depend is no parameter.
    if (mean === undefined || log === undefined) return sum;
    const t = algebraOf(emit, sum);
    return t.add(sum, t.cast(emitKl(emit, mean, log, priorOf(own))));
  }, emit.scalar(0));
}
