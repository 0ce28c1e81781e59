/**
 * @file Beliefs about precisions and about the support (module A of Turbo-VBI, without its weights).
 *
 * A weight is w | ρ ~ N(0, 1/ρ), and its precision ρ ~ Gamma(a, b) where its bit s is 1, Gamma(ā, b̄) where
 * it is 0, with ā/b̄ far above a/b. With m₂ = E[w²] = μ² + σ² the best q for the rest is
 *
 * - `joint`, q(ρ, s) = q(s) q(ρ | s), in closed form, with no iteration and one optimum:
 *
 *       logit q(s) = logit π + Σ over the bit's weights of e(m₂)
 *       e = a ln b - ln Γ(a) + ln Γ(a + d) - (a + d) ln(b + d m₂) - [the same with ā and b̄]
 *       E[ρ] = q(1) (a + d) / (b + d m₂) + q(0) (ā + d) / (b̄ + d m₂)
 *
 *   where e(w²) is the log ratio of two Student t densities of w, ρ integrated out;
 *
 * - `collapsed`, the same with e(μ²): weights are judged at their means, ρ integrated out. In the joint form a weight
 *   that the data say nothing about has the variance of its prior, and so looks the more active the wider the prior is:
 *   a weight that was once taken for active stays active, and makes its neighbours active. In this form it does not:
 *   its mean goes to 0, and e(0) is the least value of e;
 *
 * - `factorised`, q(ρ) q(s), as Xia, Tsang and Lau print it: with q = q(s = 1), in turns
 *
 *       q(ρ) = Gamma(q a + (1 - q) ā + d, q b + (1 - q) b̄ + d m₂)
 *       logit q = logit π + Σ {a ln b - ln Γ(a) + (a - 1) E[ln ρ] - b E[ρ] - [same with ā, b̄]}
 *
 *   which has several optima, and ends in the one near where it begins.
 *
 * d is ½ for real weights; the paper's is that of complex numbers, 1, which is the same as halving the
 * rates and shapes of both Gammas.
 */
import { digamma, lnGamma } from "./turbo-gamma.ts";
import { sigmoid, surest } from "./turbo-messages.ts";

/** The forms of q(ρ, s). */
export const beliefForms = ["joint", "collapsed", "factorised"] as const;
/** One of {@link beliefForms}. */
export type BeliefForm = (typeof beliefForms)[number];

/** Gamma distribution with density ∝ ρ^(shape - 1) e^(-rate ρ). */
export interface Gamma {
  readonly shape: number;
  readonly rate: number;
}

/** The prior of precisions. */
export interface PrecisionPrior {
  readonly active: Gamma;
  readonly inactive: Gamma;
  /** d of the formulas above: ½ or 1. */
  readonly dof: number;
}

/** The beliefs about bits and precisions. */
export interface Beliefs {
  /** Log odds of each bit being 1. [bits] */
  readonly logits: Float64Array;
  /** The part of the log odds that comes from the bit's own weights, which is sent to other bits. [bits] */
  readonly evidence: Float64Array;
  /** E[ρ] of each weight, above 0. [weights] */
  readonly precisions: Float64Array;
  /** E[ln ρ] of each weight; empty in the joint form, which does without. */
  readonly logPrecisions: Float64Array;
}

/** e(m₂): how much more probable it is that a weight of this second moment is active. */
export function jointEvidence(prior: PrecisionPrior): (secondMoment: number) => number {
  const { active, inactive, dof } = prior;
  const own = ({ shape, rate }: Gamma) =>
    shape * Math.log(rate) - lnGamma(shape) + lnGamma(shape + dof);
  const constant = own(active) - own(inactive);
  return (secondMoment) =>
    constant -
    (active.shape + dof) * Math.log(active.rate + dof * secondMoment) +
    (inactive.shape + dof) * Math.log(inactive.rate + dof * secondMoment);
}

/** The same in the factorised form, from E[ρ] and E[ln ρ]. */
export function factorisedEvidence({
  active,
  inactive,
}: PrecisionPrior): (precision: number, logPrecision: number) => number {
  const own = ({ shape, rate }: Gamma) => shape * Math.log(rate) - lnGamma(shape);
  const constant = own(active) - own(inactive);
  return (precision, logPrecision) =>
    constant +
    (active.shape - inactive.shape) * logPrecision -
    (active.rate - inactive.rate) * precision;
}

/** The least second moment, as a share of the active weights', with which beliefs begin. */
const leastSecondMoment = 1e-4;

/**
 * The initial beliefs: bits are undecided, and precisions are 1 / m₂. The precisions come from the data, so that the
 * inference ends near them.
 */
export function firstBeliefs(
  { active }: PrecisionPrior,
  bits: number,
  secondMoments: Float64Array,
): Beliefs {
  const least = (leastSecondMoment * active.rate) / active.shape;
  const precisions = secondMoments.map((m2) => 1 / Math.max(m2, least));
  const nothing = new Float64Array(bits);
  return {
    logits: nothing,
    evidence: nothing,
    precisions,
    logPrecisions: precisions.map(Math.log),
  };
}

/**
 * E[ρ] and q(s) in the joint form, given what others say of each bit.
 *
 * @param judged What each bit is judged by: m₂, or μ² in the collapsed form.
 */
export function jointBeliefs(
  prior: PrecisionPrior,
  secondMoments: Float64Array,
  priorLogits: Float64Array,
  judged: Float64Array = secondMoments,
): Beliefs {
  const width = secondMoments.length / priorLogits.length;
  const { active, inactive, dof } = prior;
  const evidence = sums(judged.map(jointEvidence(prior)), width);
  const logits = evidence.map((own, bit) => own + priorLogits[bit]);
  const precisions = secondMoments.map((m2, i) => {
    const logit = logits[Math.floor(i / width)];
    const precisionOf = ({ shape, rate }: Gamma) => (shape + dof) / (rate + dof * m2);
    return sigmoid(logit) * precisionOf(active) + sigmoid(-logit) * precisionOf(inactive);
  });
  return { logits, evidence, precisions, logPrecisions: new Float64Array(0) };
}

/** `iterations` turns of q(s) and q(ρ) in the factorised form, from where beliefs are. */
export function factorisedBeliefs(
  prior: PrecisionPrior,
  secondMoments: Float64Array,
  priorLogits: Float64Array,
  earlier: Beliefs,
  iterations: number,
): Beliefs {
  const width = secondMoments.length / priorLogits.length;
  const { active, inactive, dof } = prior;
  const evidenceOf = factorisedEvidence(prior);
  let { logits, evidence } = earlier;
  const precisions = earlier.precisions.slice();
  const logPrecisions = earlier.logPrecisions.slice();
  for (let iteration = 0; iteration < iterations; iteration++) {
    evidence = sums(
      precisions.map((precision, i) => evidenceOf(precision, logPrecisions[i])),
      width,
    );
    logits = evidence.map((own, bit) => own + priorLogits[bit]);
    const moments = logits.map((own) => sigmoid(clamp(own)));
    for (const [i, m2] of secondMoments.entries()) {
      const q = moments[Math.floor(i / width)];
      const shape = q * active.shape + (1 - q) * inactive.shape + dof;
      const rate = q * active.rate + (1 - q) * inactive.rate + dof * m2;
      precisions[i] = shape / rate;
      logPrecisions[i] = digamma(shape) - Math.log(rate);
    }
  }
  return { logits, evidence, precisions, logPrecisions };
}

function clamp(value: number): number {
  return Math.min(surest, Math.max(-surest, value));
}

/** Sums of each `width` values in a row. */
function sums(values: Float64Array, width: number): Float64Array {
  if (width === 1) return values;
  const totals = new Float64Array(values.length / width);
  for (const [i, value] of values.entries()) totals[Math.floor(i / width)] += value;
  return totals;
}
