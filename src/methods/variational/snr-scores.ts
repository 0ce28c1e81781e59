/**
 * @file Scores of each unit from its posterior: the information about its filters, and the certainty that they are not
 * 0.
 *
 * A unit has one filter, or several that are tied to go together. Kullback-Leibler divergences and log evidences of
 * several filters add up; signal-to-noise ratios do not, and are averaged, weighted by the number of weights. Where a
 * random scale stands behind a filter, ratios are those of their product.
 */
import type { Structure } from "../../structure/units/units.ts";
import { type FilterSums, productRatio } from "../posterior/posterior.ts";

/** The scores, by name. */
export const snrScores = [
  "kl",
  "snr-l2",
  "snr-l1",
  "snr-mean",
  "input-weighted",
  "importance-snr",
  "evidence",
  "loss",
] as const;
/** One of {@link snrScores}. */
export type SnrScore = (typeof snrScores)[number];

/** One filter axis of the network with the sums of its filters. */
export interface ScoredAxis {
  /** The unit of each filter. */
  readonly units: ArrayLike<number>;
  readonly filters: readonly FilterSums[];
}

/** A filter with a KL below this, in nats per weight, is dead: q is close to the prior. */
export const deadKl = 0.02;

/**
 * One number for each unit, the lower the sooner it may go; +∞ for units without random weights.
 *
 * - `kl`: Σ KL(q ‖ p), what the data have told of the unit, in nats;
 * - `snr-l2`: √(Σ μ² / Σ σ²); `snr-l1`: Σ |μ| / Σ σ; `snr-mean`: the mean of |μ| / σ;
 * - `input-weighted`: √(Σ μ² E[x²] / Σ σ² E[x²]), signal to noise of what the filter computes;
 * - `importance-snr`: ‖μ‖ and snr-l2, each relative to the layer's largest, multiplied;
 * - `evidence`: the log Bayes factor against the filter being 0; dead filters count as 0 at most;
 * - `loss`: n R²/2 for a filter of n weights whose result has the ratio R of `input-weighted`: by how much the
 *   loss of all samples rises when the result becomes 0, in units of λ.
 *
 * The last holds where the loss is quadratic. In its optimum the noise of a weight costs λ/2, if the prior
 * is wide: with curvature N h the data term is N h σ²/2, the divergence -λ ln σ, so σ² = λ/(N h). The noise of
 * n weights costs n λ/2, then, and removing a result that is R² times as strong as the noise in it costs
 * R² times as much. For independent inputs and h = E[x²] this is exactly (N/2) Σ μ² E[x²].
 */
export function scoreUnits(
  structure: Pick<Structure, "units">,
  axes: readonly ScoredAxis[],
  score: SnrScore,
): Float64Array {
  const { add, isSum } = ways[score];
  const totals = new Float64Array(structure.units.length);
  const weights = new Float64Array(structure.units.length);
  for (const { units, filters } of axes) {
    const random = filters.filter((filter) => filter.weights > 0);
    const layer = {
      norm: Math.max(...random.map(({ signal }) => Math.sqrt(signal))),
      ratio: Math.max(...random.map(ratioL2)),
    };
    for (const [i, filter] of filters.entries()) {
      if (filter.weights === 0) continue;
      const unit = units[i];
      weights[unit] += filter.weights;
      totals[unit] += add(filter, layer) * (isSum ? 1 : filter.weights);
    }
  }
  return totals.map((total, unit) => {
    if (weights[unit] === 0) return Number.POSITIVE_INFINITY;
    return isSum ? total : total / weights[unit];
  });
}

/** The largest norm and ratio in a layer. */
interface Layer {
  readonly norm: number;
  readonly ratio: number;
}

/** The contribution of a filter, and whether contributions add up. */
interface Way {
  readonly add: (filter: FilterSums, layer: Layer) => number;
  readonly isSum: boolean;
}

const ways: Readonly<Record<SnrScore, Way>> = {
  kl: { add: ({ kl }) => kl, isSum: true },
  evidence: {
    add: ({ kl, evidence, weights }) =>
      kl < deadKl * weights ? Math.min(0, -evidence) : -evidence,
    isSum: true,
  },
  loss: { add: (filter) => (filter.weights * inputRatio(filter) ** 2) / 2, isSum: true },
  "snr-l2": { add: ratioL2, isSum: false },
  "snr-l1": {
    add: ({ size, deviation, scaleRatio }) => productRatio(size / deviation, scaleRatio),
    isSum: false,
  },
  "snr-mean": {
    add: ({ ratios, weights, scaleRatio }) => productRatio(ratios / weights, scaleRatio),
    isSum: false,
  },
  "input-weighted": { add: inputRatio, isSum: false },
  "importance-snr": {
    add: (filter, { norm, ratio }) =>
      norm > 0 ? (Math.sqrt(filter.signal) / norm) * (ratioL2(filter) / ratio) : 0,
    isSum: false,
  },
};

/** Signal to noise of what a filter computes; 0 where it never sees an input. */
function inputRatio({ signalPower, noisePower, scaleRatio }: FilterSums): number {
  return noisePower > 0 ? productRatio(Math.sqrt(signalPower / noisePower), scaleRatio) : 0;
}

function ratioL2({ signal, noise, scaleRatio }: FilterSums): number {
  return productRatio(Math.sqrt(signal / noise), scaleRatio);
}
