/**
 * @file Whether a network knows how sure it may be: what its probabilities cost where they are wrong, and
 * how far it is right where it is sure. Each figure has a percentile bootstrap interval over samples;
 * of label maps over images, each with all of its pixels. Accuracy has Wilson's interval, as everywhere.
 */

import {
  bootstrapSeries,
  type Estimate,
  percentileInterval,
  resamplesFor,
  wilsonInterval,
} from "../statistics/statistics.ts";
import { calibrationBins, calibrationError } from "./classification.ts";
import { type Confusions, figuresOf, overlapsOf, sumOfRows } from "./confusion.ts";
import type { Predictions } from "./predictions.ts";
import { coverages, selectiveAccuracy } from "./selective.ts";

/** Accuracy where the network may decline to answer. */
export interface SelectiveAccuracy {
  /** Accuracy on the samples that the classifier is surest of, by their share of all. */
  readonly coverage: readonly { readonly share: number; readonly accuracy: Estimate }[];
  /** Area under the risk-coverage curve; lower is better. */
  readonly riskArea: Estimate;
}

/** How well a network knows how sure it may be. */
export interface Uncertainty {
  /** Accuracy, or mean IoU. */
  readonly value: Estimate;
  /** Mean negative log-likelihood in nats, of a sample or a pixel. */
  readonly nll: Estimate;
  /** Mean Brier score over all classes, in [0, 2], of a sample or a pixel. */
  readonly brier: Estimate;
  /** Expected calibration error, 15 bins, of samples or pixels. */
  readonly ece: Estimate;
  /** Accuracy by coverage; classifiers alone have it. */
  readonly selective?: SelectiveAccuracy;
}

/** What changes from one network to another on the same samples; all but `value` are better when negative. */
export type UncertaintyChange = Omit<Uncertainty, "selective"> & { readonly riskArea?: Estimate };

/** What is known of each sample of a classifier. */
export type ScoredClasses = Pick<Predictions, "isCorrect" | "losses" | "confidences"> & {
  readonly briers: Float64Array;
};
/** What is known of each image of a network that segments. */
export type ScoredMaps = Confusions & {
  readonly briers: Float64Array;
  readonly gaps: Float64Array;
};

/** Figures of the samples with some indices: value, NLL, Brier, ECE, then those of {@link selectiveAccuracy}. */
export interface SampleFigures {
  readonly samples: number;
  readonly width: number;
  readonly figuresAt: (indices: Int32Array) => Float64Array;
}

/** The first of them, by name. */
export const namedFigures = ["value", "nll", "brier", "ece"] as const;

/** How sure a classifier is, and may be. It needs at least one sample. */
export function classUncertainty(
  scored: ScoredClasses,
  seed: number,
): Uncertainty & { readonly selective: SelectiveAccuracy } {
  const estimates = estimatesOf(classFigures(scored), seed);
  const { isCorrect } = scored;
  const right = isCorrect.reduce((sum, bit) => sum + bit, 0);
  const value = {
    value: right / isCorrect.length,
    ci95: wilsonInterval(right, isCorrect.length),
  };
  const coverage = coverages.map((share, i) => ({
    share,
    accuracy: share === 1 ? value : estimates[namedFigures.length + i],
  }));
  const riskArea = estimates[namedFigures.length + coverages.length];
  return { ...namedOf(estimates), value, selective: { coverage, riskArea } };
}

/** How sure a network that segments is of its pixels, and may be. It needs at least one image. */
export function mapUncertainty(scored: ScoredMaps, seed: number): Uncertainty {
  return namedOf(estimatesOf(mapFigures(scored), seed));
}

/** The figures of a classifier; those behind the named ones are those of {@link selectiveAccuracy}. */
export function classFigures({
  isCorrect,
  losses,
  briers,
  confidences,
}: ScoredClasses): SampleFigures {
  const calibration = calibrationError(confidences, isCorrect);
  const selective = selectiveAccuracy(confidences, isCorrect);
  const width = namedFigures.length + coverages.length + 1;
  return {
    samples: losses.length,
    width,
    figuresAt(indices) {
      const means = [isCorrect, losses, briers].map((values) => meanAt(values, indices));
      return Float64Array.from([...means, calibration(indices), ...selective(indices)]);
    },
  };
}

/** The figures of a network that segments. */
export function mapFigures({ briers, gaps, ...confusions }: ScoredMaps): SampleFigures {
  const overlaps = overlapsOf(confusions);
  const { classes, images, width, rows } = overlaps;
  return {
    samples: images,
    width: namedFigures.length,
    figuresAt(indices) {
      const { miou, loss } = figuresOf(sumOfRows(overlaps, indices), classes);
      const sums = new Float64Array(calibrationBins);
      let [pixels, brier] = [0, 0];
      for (const image of indices) {
        const own = rows[image * width + 3 * classes];
        pixels += own;
        brier += briers[image] * own;
        for (let bin = 0; bin < calibrationBins; bin++)
          sums[bin] += gaps[image * calibrationBins + bin];
      }
      const gap = sums.reduce((total, sum) => total + Math.abs(sum), 0);
      const counted = Math.max(1, pixels);
      return Float64Array.of(miou, loss, brier / counted, gap / counted);
    },
  };
}

/** The figures of all samples, each with its percentile bootstrap interval. */
export function estimatesOf(
  { samples, width, figuresAt }: SampleFigures,
  seed: number,
): readonly Estimate[] {
  const whole = figuresAt(Int32Array.from({ length: samples }, (_, i) => i));
  const series = bootstrapSeries(samples, width, figuresAt, {
    seed,
    resamples: resamplesFor(samples),
  });
  return series.map((values, i) => ({ value: whole[i], ci95: percentileInterval(values) }));
}

/** The named figures of a list of all. */
export function namedOf([value, nll, brier, ece]: readonly Estimate[]): Omit<
  Uncertainty,
  "selective"
> {
  return { value, nll, brier, ece };
}

function meanAt(values: ArrayLike<number>, indices: Int32Array): number {
  let sum = 0;
  for (const index of indices) sum += values[index];
  return sum / indices.length;
}
