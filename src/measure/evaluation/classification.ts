/** @file Scores of a classifier: rank of the right class, cross-entropy, calibration, paired drops. */
import { assert } from "../../errors.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";
import type { Interval } from "../statistics/statistics.ts";

/** What the network's output rows are. */
export type OutputKind = "probabilities" | "logits";

/** One sample, scored. */
export interface Scored {
  /** The class with the largest output, the first one of equals. */
  readonly predicted: number;
  /** Number of classes that stand before the right one; 0 is a hit. */
  readonly rank: number;
  /** Cross-entropy in nats: -log of the right class's probability. */
  readonly loss: number;
  /** Brier score over all classes: the sum of squares by which probabilities differ from the truth, in [0, 2]. */
  readonly brier: number;
  /** Probability of the predicted class. */
  readonly confidence: number;
}

/** The smallest normal float32: a probability of 0 costs 87.3 nats rather than infinitely many. */
export const smallestProbability = 2 ** -126;

/** What a single score says of two classes, as a row of the same kind: it is the evidence for class 1. */
export function rowOfOne(score: number, kind: OutputKind): Float64Array {
  return Float64Array.of(kind === "logits" ? 0 : 1 - score, score);
}

/** Scores one row of outputs against the right class. Entries are not NaN. */
export function scoreRow(row: Float64Array, label: number, kind: OutputKind): Scored {
  let predicted = 0;
  let rank = 0;
  const right = row[label];
  for (let k = 0; k < row.length; k++) {
    if (row[k] > row[predicted]) predicted = k;
    if (row[k] > right || (row[k] === right && k < label)) rank++;
  }
  const top = row[predicted];
  if (kind === "probabilities") {
    const loss = -Math.log(Math.max(right, smallestProbability));
    let squares = 0;
    for (let k = 0; k < row.length; k++) squares += row[k] ** 2;
    return { predicted, rank, loss, brier: brierOf(squares, right), confidence: Math.min(1, top) };
  }
  let [sum, squares] = [0, 0];
  for (let k = 0; k < row.length; k++) {
    const exponential = Math.exp(row[k] - top);
    sum += exponential;
    squares += exponential ** 2;
  }
  const loss = Math.min(Math.log(sum) + top - right, -Math.log(smallestProbability));
  const brier = brierOf(squares / sum ** 2, Math.exp(right - top) / sum);
  return { predicted, rank, loss, brier, confidence: 1 / sum };
}

/**
 * Σ (p_k - y_k)² over the classes of one answer (Brier, "Verification of Forecasts Expressed in Terms of
 * Probability", 1950).
 * @param squares Σ p_k²
 * @param right Probability of the right class.
 */
export function brierOf(squares: number, right: number): number {
  return Math.max(0, squares - 2 * right + 1);
}

/** Number of equally wide bins of the expected calibration error. */
export const calibrationBins = 15;

/**
 * The expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017, eq.
 * 3) as a function of which samples to take: the mean over bins of |accuracy - confidence|, weighted
 * by the samples in each. Bins are ((k - 1) / 15, k / 15].
 */
export function calibrationError(
  confidences: ArrayLike<number>,
  isCorrect: ArrayLike<number>,
): (indices: ArrayLike<number>) => number {
  const bins = new Uint8Array(confidences.length);
  const gaps = new Float64Array(confidences.length);
  for (let i = 0; i < bins.length; i++) {
    bins[i] = binOf(confidences[i]);
    gaps[i] = isCorrect[i] - confidences[i];
  }
  return (indices) => {
    const sums = new Float64Array(calibrationBins);
    for (let i = 0; i < indices.length; i++) sums[bins[indices[i]]] += gaps[indices[i]];
    return sums.reduce((sum, gap) => sum + Math.abs(gap), 0) / indices.length;
  };
}

/** The samples whose confidence lies in one bin. */
export interface CalibrationBin {
  /** Means over the samples; 0 where there are none. */
  readonly confidence: number;
  readonly accuracy: number;
  readonly samples: number;
}

/** What the expected calibration error is made of: confidence and accuracy, bin by bin. */
export function reliability(
  confidences: ArrayLike<number>,
  isCorrect: ArrayLike<number>,
): readonly CalibrationBin[] {
  const bins = Array.from({ length: calibrationBins }, () => ({ sum: 0, correct: 0, samples: 0 }));
  for (let i = 0; i < confidences.length; i++) {
    const bin = bins[binOf(confidences[i])];
    bin.sum += confidences[i];
    bin.correct += isCorrect[i];
    bin.samples++;
  }
  return bins.map(({ sum, correct, samples }) => ({
    confidence: samples === 0 ? 0 : sum / samples,
    accuracy: samples === 0 ? 0 : correct / samples,
    samples,
  }));
}

/** The bin of a confidence, from 0. */
export function binOf(confidence: number): number {
  return Math.min(calibrationBins, Math.max(1, Math.ceil(confidence * calibrationBins))) - 1;
}

/** Pairs of outcomes on the same samples. */
export interface PairedCounts {
  /** Right by the first network alone. */
  readonly onlyFirst: number;
  /** Right by the second network alone. */
  readonly onlySecond: number;
  readonly samples: number;
}

/**
 * Tango's score interval for the difference of two paired proportions, second minus first (Tango,
 * "Equivalence test and confidence interval for the difference in proportions for the paired-sample
 * design", Statistics in Medicine 17, 1998). It is the set of differences d whose score statistic
 *
 *     T(d) = (c - b - n d) / sqrt(n (2 q + d (1 - d)))      b = onlyFirst, c = onlySecond
 *
 * is within the normal quantile, where q is the likelihood's maximum for the share of `onlyFirst`
 * under that difference. It stays in [-1, 1] and needs no discordant pair to be finite. [-1, 1]
 * when there are no samples.
 */
export function pairedDifferenceInterval(counts: PairedCounts, confidence = 0.95): Interval {
  const { onlyFirst, onlySecond, samples } = counts;
  assert(
    onlyFirst >= 0 && onlySecond >= 0 && onlyFirst + onlySecond <= samples,
    `${onlyFirst} + ${onlySecond} discordant pairs of ${samples}`,
  );
  if (samples === 0) return [-1, 1];
  const z = normalQuantile((1 + confidence) / 2);
  const observed = (onlySecond - onlyFirst) / samples;
  // T falls from above z at -1 through 0 at the observed difference to below -z at 1.
  return [
    bisect(-1, observed, (d) => pairedScore(counts, d) > z),
    bisect(observed, 1, (d) => pairedScore(counts, d) > -z),
  ];
}

/** The score statistic T(d) above: positive where the second network is better than by `d`. */
export function pairedScore(
  { onlyFirst, onlySecond, samples: n }: PairedCounts,
  d: number,
): number {
  const b = -onlySecond - onlyFirst + (2 * n - onlySecond + onlyFirst) * d;
  const c = -onlyFirst * d * (1 - d);
  const q = (Math.sqrt(Math.max(0, b * b - 8 * n * c)) - b) / (4 * n);
  const variance = n * (2 * q + d * (1 - d));
  const numerator = onlySecond - onlyFirst - n * d;
  return variance > 0 ? numerator / Math.sqrt(variance) : Math.sign(numerator) * Infinity || 0;
}

/** Where `isBefore` turns from true to false between `low` and `high`, to the last bit but a few. */
function bisect(low: number, high: number, isBefore: (at: number) => boolean): number {
  let [from, to] = [low, high];
  for (let i = 0; i < 60; i++) {
    const middle = (from + to) / 2;
    if (isBefore(middle)) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}
