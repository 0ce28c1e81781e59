/**
 * @file Whether a network knows how sure it may be: what its probabilities cost where they are wrong, and
 * how far it is right where it is sure. Each figure has a percentile bootstrap interval over samples;
 * of label maps over images, each with all of its pixels.
 */
import { EspalierError } from "../errors.ts";
import { calibrationBins, calibrationError } from "./classification.ts";
import { type Confusions, figuresOf, overlapsOf, sumOfRows } from "./confusion.ts";
import type { Outcomes } from "./outcomes.ts";
import { coverages, selectiveAccuracy } from "./selective.ts";
import { bootstrapSeries, type Estimate, percentileInterval, resamplesFor } from "./statistics.ts";
import type { Predictions } from "./tally.ts";

/** Accuracy where the network may decline to answer. */
export interface SelectiveAccuracy {
  /** Of the samples that it is surest of. */
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
  /** Of classifiers. */
  readonly selective?: SelectiveAccuracy;
}

/** What changes from one network to another on the same samples; all but `value` are better when negative. */
export type UncertaintyChange = Omit<Uncertainty, "selective"> & { readonly riskArea?: Estimate };

/** What is known of each sample of a classifier. */
type ScoredClasses = Pick<Predictions, "isCorrect" | "losses" | "confidences"> & {
  readonly briers: Float64Array;
};
/** What is known of each image of a network that segments. */
type ScoredMaps = Confusions & { readonly briers: Float64Array; readonly gaps: Float64Array };

/** Figures of the samples with some indices: value, NLL, Brier, ECE, then those of {@link selectiveAccuracy}. */
interface Figures {
  readonly samples: number;
  readonly width: number;
  readonly of: (indices: Int32Array) => Float64Array;
}

const named = ["value", "nll", "brier", "ece"] as const;

/** How sure a classifier is, and may be. Of at least one sample. */
export function classUncertainty(
  scored: ScoredClasses,
  seed: number,
): Uncertainty & { readonly selective: SelectiveAccuracy } {
  const estimates = estimatesOf(classFigures(scored), seed);
  const coverage = coverages.map((share, i) => ({ share, accuracy: estimates[named.length + i] }));
  const riskArea = estimates[named.length + coverages.length];
  return { ...namedOf(estimates), selective: { coverage, riskArea } };
}

/** How sure a network that segments is of its pixels, and may be. Of at least one image. */
export function mapUncertainty(scored: ScoredMaps, seed: number): Uncertainty {
  return namedOf(estimatesOf(mapFigures(scored), seed));
}

/** The same of outcomes; `undefined` where they do not tell: of values, and of files of earlier versions. */
export function uncertaintyOf(outcomes: Outcomes, seed = 0): Uncertainty | undefined {
  switch (outcomes.kind) {
    case "classes": {
      const { briers, ...rest } = outcomes.predictions;
      return briers && classUncertainty({ ...rest, briers }, seed);
    }
    case "maps": {
      const { briers, gaps, ...rest } = outcomes;
      return briers && gaps && mapUncertainty({ ...rest, briers, gaps }, seed);
    }
    case "values":
      return undefined;
    default:
      return outcomes satisfies never;
  }
}

/**
 * The second minus the first, each with its paired bootstrap interval: a resample takes the same samples
 * of both. `undefined` where outcomes do not tell.
 * Fails with `DATA_MISMATCH` where they are not of the same samples.
 */
export function uncertaintyChange(
  first: Outcomes,
  second: Outcomes,
  seed = 0,
): UncertaintyChange | undefined {
  const [before, after] = [first, second].map(outcomeFigures);
  if (before === undefined || after === undefined) return undefined;
  if (before.width !== after.width || !isSame(indicesOf(first), indicesOf(second)))
    throw new EspalierError("DATA_MISMATCH", "the two evaluations read different samples", {
      hint: "Evaluate both networks with the same data, split, seed and limit.",
    });
  const { samples, width } = before;
  const difference = (indices: Int32Array) => {
    const own = after.of(indices);
    return before.of(indices).map((value, i) => own[i] - value);
  };
  const estimates = estimatesOf({ samples, width, of: difference }, seed);
  const isSelective = width > named.length;
  return { ...namedOf(estimates), ...(isSelective && { riskArea: estimates[width - 1] }) };
}

function outcomeFigures(outcomes: Outcomes): Figures | undefined {
  if (outcomes.kind === "values") return undefined;
  if (outcomes.kind === "classes") {
    const { briers, ...rest } = outcomes.predictions;
    return briers && classFigures({ ...rest, briers });
  }
  const { briers, gaps, ...rest } = outcomes;
  return briers && gaps && mapFigures({ ...rest, briers, gaps });
}

function classFigures({ isCorrect, losses, briers, confidences }: ScoredClasses): Figures {
  const calibration = calibrationError(confidences, isCorrect);
  const selective = selectiveAccuracy(confidences, isCorrect);
  const width = named.length + coverages.length + 1;
  return {
    ...{ samples: losses.length, width },
    of(indices) {
      const means = [isCorrect, losses, briers].map((values) => meanAt(values, indices));
      return Float64Array.from([...means, calibration(indices), ...selective(indices)]);
    },
  };
}

function mapFigures({ briers, gaps, ...confusions }: ScoredMaps): Figures {
  const overlaps = overlapsOf(confusions);
  const { classes, images, width, rows } = overlaps;
  return {
    ...{ samples: images, width: named.length },
    of(indices) {
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

function estimatesOf({ samples, width, of }: Figures, seed: number): readonly Estimate[] {
  const whole = of(Int32Array.from({ length: samples }, (_, i) => i));
  const series = bootstrapSeries(samples, width, of, { seed, resamples: resamplesFor(samples) });
  return series.map((values, i) => ({ value: whole[i], ci95: percentileInterval(values) }));
}

function namedOf([value, nll, brier, ece]: readonly Estimate[]): Omit<Uncertainty, "selective"> {
  return { value, nll, brier, ece };
}

function indicesOf(outcomes: Outcomes): Int32Array {
  return outcomes.kind === "classes" ? outcomes.predictions.indices : outcomes.indices;
}

function isSame(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function meanAt(values: ArrayLike<number>, indices: Int32Array): number {
  let sum = 0;
  for (const index of indices) sum += values[index];
  return sum / indices.length;
}
