/**
 * @file The posterior of a weight after training: a normal distribution for each of its elements.
 *
 *     w ~ q = N(μ, σ²),  before: p = N(m, s²)
 *     KL(q ‖ p) = ln(s/σ) + (σ² + (μ - m)²) / (2 s²) - ½        in nats
 *
 * With m = 0 the ratio of the densities at 0, q(0)/p(0), is the Bayes factor of w ≠ 0 against w = 0
 * turned over (Savage and Dickey): ln q(0)/p(0) = ln(s/σ) - μ²/(2σ²).
 */
import { sizeOf } from "../../tensor/host-tensor.ts";

/** Mean-field posterior of one weight, in the layout of its constant. */
export interface WeightPosterior {
  /** The constant's name. */
  readonly weight: string;
  readonly shape: readonly number[];
  /** Axis of the filters. */
  readonly filterAxis: number;
  readonly means: Float64Array;
  /** The deviation of each element, above 0. */
  readonly deviations: Float64Array;
  /** Deviation s of the prior, whose mean is 0. */
  readonly prior: number;
  /** 1 for elements that stay 0 and are not random; absent where there are none. */
  readonly zeros?: Uint8Array | undefined;
}

/** KL(N(μ, σ²) ‖ N(m, s²)) in nats. */
export function klOf(mean: number, deviation: number, prior: number, priorMean = 0): number {
  const square = deviation ** 2 + (mean - priorMean) ** 2;
  return Math.log(prior / deviation) + square / (2 * prior ** 2) - 0.5;
}

/** ln q(0)/p(0) for p = N(0, s²): above 0 where the data speak for w = 0. */
export function evidenceForZero(mean: number, deviation: number, prior: number): number {
  return Math.log(prior / deviation) - mean ** 2 / (2 * deviation ** 2);
}

/** The prior's deviation under which weights are most probable: √ mean(μ² + σ²). */
export function bestPrior(means: ArrayLike<number>, deviations: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < means.length; i++) sum += means[i] ** 2 + deviations[i] ** 2;
  return Math.sqrt(sum / means.length);
}

/** Sums over the weights of a filter, from which every score follows. */
export interface FilterSums {
  /** Number of random weights. */
  readonly weights: number;
  /** Σ KL. */
  readonly kl: number;
  /** Σ ln q(0)/p(0). */
  readonly evidence: number;
  /** Σ μ² and Σ σ². */
  readonly signal: number;
  readonly noise: number;
  /** Σ |μ| and Σ σ. */
  readonly size: number;
  readonly deviation: number;
  /** Σ |μ|/σ. */
  readonly ratios: number;
  /** Σ μ² E[x²] and Σ σ² E[x²], for inputs x. */
  readonly signalPower: number;
  readonly noisePower: number;
  /** |μ|/σ of a random factor behind the filter; ∞ where there is none. */
  readonly scaleRatio: number;
}

/**
 * The sums of each filter of a weight, by index along its axis of filters.
 *
 * @param power E[x²] of the input that the element at a place of the weight is multiplied with;
 *   default 1.
 */
export function filterSums(
  posterior: WeightPosterior,
  power: (place: number) => number = () => 1,
): readonly FilterSums[] {
  const { shape, filterAxis, means, deviations, prior, zeros } = posterior;
  const inner = sizeOf(shape.slice(filterAxis + 1));
  const sums = Array.from({ length: shape[filterAxis] }, () => ({
    weights: 0,
    kl: 0,
    evidence: 0,
    signal: 0,
    noise: 0,
    size: 0,
    deviation: 0,
    ratios: 0,
    signalPower: 0,
    noisePower: 0,
    scaleRatio: Number.POSITIVE_INFINITY,
  }));
  for (const [place, mean] of means.entries()) {
    if (zeros?.[place] === 1) continue;
    const deviation = deviations[place];
    const own = sums[Math.floor(place / inner) % sums.length];
    const energy = power(place);
    own.weights++;
    own.kl += klOf(mean, deviation, prior);
    own.evidence += evidenceForZero(mean, deviation, prior);
    own.signal += mean ** 2;
    own.noise += deviation ** 2;
    own.size += Math.abs(mean);
    own.deviation += deviation;
    own.ratios += Math.abs(mean) / deviation;
    own.signalPower += mean ** 2 * energy;
    own.noisePower += deviation ** 2 * energy;
  }
  return sums;
}

/** The sums of filters with a random factor behind each: the ratio of the factor is added to the sums of the filter. */
export function withScales(
  filters: readonly FilterSums[],
  { means, deviations, prior }: WeightPosterior,
): readonly FilterSums[] {
  return filters.map((filter, i) => ({
    ...filter,
    kl: filter.kl + klOf(means[i], deviations[i], prior),
    scaleRatio: Math.abs(means[i]) / deviations[i],
  }));
}

/**
 * Signal over noise of a product of independent factors with these ratios a and b:
 *
 *     1 / √((1 + 1/a²) (1 + 1/b²) - 1)
 */
export function productRatio(a: number, b: number): number {
  return 1 / Math.sqrt((1 + 1 / a ** 2) * (1 + 1 / b ** 2) - 1);
}
