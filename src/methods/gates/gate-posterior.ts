/**
 * @file The posterior of a filter's factor θ ~ N(μ, σ²): its divergence from the prior whose width minimises it, in two
 * parametrisations.
 *
 *     KL = min over s of KL(N(μ, σ²) ‖ N(0, s²)) = ½ ln(1 + μ²/σ²)        at s² = μ² + σ²
 *
 * For channels that are not needed s → 0: the prior becomes a Dirac at 0 (Zhou et al.). A factor on a
 * feature that lowers the loss by k/2 in units of the KL's weight ends, for k > 1, at μ = 1 - 1/k and
 * σ² = (1 - 1/k)/k, with μ²/σ² = k - 1; for k ≤ 1 at μ = 0.
 */
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Emitter, Value } from "../../ops/operator/gradient.ts";

/** The parametrisations of σ: φ = ln σ² (`gaussian`), or ln α with σ² = α μ² (`alpha`). */
export const gateForms = ["gaussian", "alpha"] as const;
/** One of {@link gateForms}. */
export type GateForm = (typeof gateForms)[number];

/** The limits to which φ and ln α are clipped. The best σ² of a gate is at most ¼, far inside. */
export const spreadLimits = { least: -20, most: 4 } as const;
/** The initial value of φ or ln α, with μ = 1: the noise is then about 1 %. */
export const firstSpread = -9;

/** The posterior of the factors of one gate. Both [units]. */
export interface GatePosterior {
  readonly means: Float64Array;
  readonly variances: Float64Array;
}

/** The squared signal-to-noise ratio μ²/σ² of each unit. */
export function snrSquared({ means, variances }: GatePosterior): Float64Array {
  return means.map((mean, i) => mean ** 2 / variances[i]);
}

/** The divergence ½ ln(1 + μ²/σ²) in nats. */
export function gateKl(mean: number, variance: number): number {
  return Math.log1p(mean ** 2 / variance) / 2;
}

/** The posterior that trained constants hold. */
export function posteriorOf(
  form: GateForm,
  means: Float64Array,
  spreads: Float64Array,
): GatePosterior {
  const { least, most } = spreadLimits;
  const variances = spreads.map((spread, i) => {
    const own = Math.exp(Math.min(most, Math.max(least, spread)));
    // Where μ underflows the ratio is still 1/α.
    return form === "gaussian" ? own : own * Math.max(means[i] ** 2, Number.MIN_VALUE);
  });
  return { means, variances };
}

/** The KL of each unit, in nats, from μ and φ or ln α. [units] */
export function emitGateKl(emit: Emitter, form: GateForm, mean: Value, spread: Value): Value {
  const t = algebraOf(emit, mean);
  const { least, most } = spreadLimits;
  const inverse = t.neg(t.min(t.max(spread, least), most));
  const gain =
    form === "gaussian"
      ? t.apply("Log", t.add(t.mul(t.square(mean), t.apply("Exp", inverse)), 1))
      : t.apply("Softplus", inverse);
  return t.mul(gain, 0.5);
}
