/**
 * @file What a network did on each sample of a role, in the form that its metric needs: enough to
 * compute the metric, and the paired drop from one network to another, without running either again.
 */
import type { Dataset } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import { withSession } from "../../runtime/session.ts";
import type { ModelSource } from "../../runtime/values.ts";
import type { RandomKey } from "../../tensor/random.ts";
import { atOnce, inTurns, type StepOptions, type Steps } from "../../tensor/steps.ts";
import { pairedDifferenceInterval } from "../evaluation/classification.ts";
import {
  type Confusions,
  estimateMaps,
  figuresOf,
  miouGradient,
  overlapsOf,
} from "../evaluation/confusion.ts";
import { tallyClasses, tallyMaps } from "../evaluation/evaluate.ts";
import type { OutcomeOptions } from "../evaluation/options.ts";
import type { Predictions } from "../evaluation/predictions.ts";
import { mapPredictionsOf } from "../evaluation/segmentation.ts";
import {
  compareOutputs,
  meanError,
  meanOf,
  type OutputErrors,
  similarities,
} from "../evaluation/similarity.ts";
import { predictionsOf } from "../evaluation/tally.ts";
import { type Interval, quantile, wilsonInterval } from "../statistics/statistics.ts";
import { errorOf, studentizedSteps, type WithError } from "../statistics/studentized.ts";
import { comparePaired } from "./paired.ts";

/** A class for every sample; the metric is `top1`. */
export interface ClassOutcomes {
  readonly kind: "classes";
  readonly predictions: Predictions;
}

/** A map of classes for every sample; the metric is `miou`. */
export interface MapOutcomes extends Confusions {
  readonly kind: "maps";
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
}

/** A value for every sample, whose mean is the metric; larger is better. */
export interface ValueOutcomes {
  readonly kind: "values";
  readonly metric: string;
  /** [N] */
  readonly values: Float64Array;
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
}

/** How far a network's outputs are from another's on every sample; the metric is `similarity`. */
export interface OutputOutcomes extends OutputErrors {
  readonly kind: "outputs";
}

/** What a network did on each sample of a role. */
export type Outcomes = ClassOutcomes | MapOutcomes | OutputOutcomes | ValueOutcomes;

/** A metric of a role, with how sure it is. */
export interface MeasuredMetric {
  /** `top1`, `miou`, `similarity`, or what the values are called. */
  readonly metric: string;
  readonly value: number;
  readonly ci95: Interval;
  /**
   * Mean cross-entropy in nats, of a sample or, for maps, of a pixel; of outputs the mean relative squared
   * error; values have none.
   */
  readonly loss?: number;
}

/**
 * Runs a network on one split of a data set, and gives what it did on each sample. Fails as `evaluate`.
 */
export async function measureOutcomes(
  model: ModelSource,
  dataset: Dataset,
  options: OutcomeOptions = {},
): Promise<Outcomes> {
  return withSession(model, options, async (session) => {
    if (dataset.labelKind === "outputs")
      return { kind: "outputs", ...(await compareOutputs(session, dataset, options)) };
    if (dataset.labelKind !== "maps")
      return {
        kind: "classes",
        predictions: predictionsOf(await tallyClasses(session, model, dataset, options)),
      };
    const tally = await tallyMaps(session, model, dataset, options);
    return { kind: "maps", ...mapPredictionsOf(tally) };
  });
}

/** How many samples the outcomes are of. */
export function samplesOf(outcomes: Outcomes): number {
  return indicesOf(outcomes).length;
}

/**
 * The metric: of classes the share of right ones (Wilson interval), of maps the mean IoU (percentile
 * bootstrap over images), of outputs the mean similarity and of values the mean (the same; Wilson where all
 * values are 0 or 1).
 * Fails with `DATA_NOT_FOUND` where there are no samples.
 */
export function metricOf(outcomes: Outcomes, seed = 0): MeasuredMetric {
  requireSamples(outcomes);
  switch (outcomes.kind) {
    case "classes": {
      const { isCorrect, losses } = outcomes.predictions;
      const { value, ci95 } = proportionOf(isCorrect);
      return { metric: "top1", value, ci95, loss: sumOf(losses) / losses.length };
    }
    case "maps": {
      const { miou, loss } = estimateMaps(overlapsOf(outcomes), seed);
      return { metric: "miou", ...miou, loss: loss.value };
    }
    case "outputs":
      return {
        metric: "similarity",
        ...meanOf(similarities(outcomes), seed),
        loss: meanError(outcomes),
      };
    case "values": {
      const { metric, values } = outcomes;
      if (values.every(isBit)) return { metric, ...proportionOf(values) };
      return { metric, ...meanOf(values, seed) };
    }
    default:
      return outcomes satisfies never;
  }
}

/** How sure a drop is to be known. */
export interface DropOptions {
  /** Probability that the true drop lies above `upper`, such as 0.025. */
  readonly level: number;
  /** The seed of the bootstrap. Default 0. */
  readonly seed?: RandomKey | undefined;
  /** Resamples of the bootstrap. Default 2000. */
  readonly resamples?: number | undefined;
}

/** What is lost from one network to another on the same samples. */
export interface PairedDrop {
  /** The original's metric minus the other's: positive is worse. */
  readonly drop: number;
  /** The true drop lies above with probability `level` at most, as nearly as the method holds it. */
  readonly upper: number;
  /** Two-sided. */
  readonly ci95: Interval;
  readonly samples: number;
  /** Tango's score bound for right or wrong, the paired, studentized bootstrap for all else. */
  readonly method: "tango" | "bootstrap";
}

/**
 * The drop of the metric from the original to another network, sample by sample.
 *
 * Right or wrong (classes, and values that are all 0 or 1) is compared by Tango's score interval, which
 * at confidence 1 - 2 level has its one-sided bound at its end. Maps and other values are resampled:
 * each resample takes the same samples of both networks, a map with its whole confusion matrix, and is
 * studentized. No bootstrap knows of differences that it has not seen: where one sample in a hundred is
 * badly hurt, a hundred samples are too few, and where both networks do the same on every sample the
 * bound is the drop itself, 0.
 *
 * Fails with `DATA_MISMATCH` where the outcomes are not of the same samples, truth and metric, and
 * `DATA_NOT_FOUND` where there are no samples.
 */
export function pairedDrop(original: Outcomes, other: Outcomes, options: DropOptions): PairedDrop {
  return atOnce(dropSteps(original, other, options));
}

/** How {@link pairedDropAsync} goes about it. */
export interface DropAsyncOptions extends DropOptions, StepOptions {}

/**
 * As {@link pairedDrop}, with the same figures. While it resamples, which takes seconds on thousands of label maps, the
 * event loop has its turn every tenth of a second: progress is told of and the signal is heard then.
 *
 * Fails as `pairedDrop`, and with `ABORTED`.
 */
export async function pairedDropAsync(
  original: Outcomes,
  other: Outcomes,
  options: DropAsyncOptions,
): Promise<PairedDrop> {
  return inTurns(dropSteps(original, other, options), options, turnMs);
}

const turnMs = 100;

function* dropSteps(original: Outcomes, other: Outcomes, options: DropOptions): Steps<PairedDrop> {
  const { level } = options;
  if (!(level > 0 && level < 0.5))
    throw new EspalierError("USAGE", `level is ${level}; expected more than 0 and less than 0.5`);
  requireSamples(original);
  if (original.kind === "classes" && other.kind === "classes") {
    const { onlyFirst, onlySecond } = comparePaired(original.predictions, other.predictions);
    return tangoDrop(onlyFirst, onlySecond, samplesOf(original), level);
  }
  if (original.kind === "maps" && other.kind === "maps")
    return yield* mapDrop(original, other, options);
  if (original.kind === "values" && other.kind === "values")
    return yield* valueDrop(original, other, options);
  if (original.kind === "outputs" && other.kind === "outputs") {
    if (original.outputs.join() !== other.outputs.join()) throw mismatch("compare other outputs");
    return yield* valueDrop(asValues(original), asValues(other), options);
  }
  throw mismatch(`are ${original.kind} and ${other.kind}`);
}

function tangoDrop(lost: number, won: number, samples: number, level: number): PairedDrop {
  // The interval is of "second minus first": the other network goes first for the drop to be positive.
  const counts = { onlyFirst: won, onlySecond: lost, samples };
  return {
    drop: (lost - won) / samples,
    upper: pairedDifferenceInterval(counts, 1 - 2 * level)[1],
    ci95: pairedDifferenceInterval(counts),
    samples,
    method: "tango",
  };
}

function* mapDrop(
  original: MapOutcomes,
  other: MapOutcomes,
  options: DropOptions,
): Steps<PairedDrop> {
  const { classes } = original;
  if (other.classes !== classes)
    throw mismatch(`tell ${classes} and ${other.classes} classes apart`);
  requireSameSamples(original, other);
  const [first, second] = [overlapsOf(original), overlapsOf(other)];
  const { width, images } = first;
  for (let i = 0; i < images; i++)
    for (let k = classes; k < 2 * classes; k++)
      if (first.rows[i * width + k] !== second.rows[i * width + k])
        throw mismatch("have other label maps");
  // One row of both side by side: one pass over the indices sums the two.
  const pairs = new Float64Array(2 * width * images);
  for (let i = 0; i < images; i++) {
    pairs.set(first.rows.subarray(i * width, (i + 1) * width), 2 * i * width);
    pairs.set(second.rows.subarray(i * width, (i + 1) * width), (2 * i + 1) * width);
  }
  const drop = (indices: Int32Array): WithError => {
    const sum = new Float64Array(2 * width);
    for (const image of indices) {
      const from = image * 2 * width;
      for (let k = 0; k < 2 * width; k++) sum[k] += pairs[from + k];
    }
    const [before, after] = [sum.subarray(0, width), sum.subarray(width)];
    const slopes = miouGradient(before, classes);
    const otherSlopes = miouGradient(after, classes);
    const influences = new Float64Array(images);
    for (let i = 0; i < images; i++) {
      const from = indices[i] * 2 * width;
      for (let k = 0; k < 3 * classes; k++)
        influences[i] += slopes[k] * pairs[from + k] - otherSlopes[k] * pairs[from + width + k];
    }
    const value = figuresOf(before, classes).miou - figuresOf(after, classes).miou;
    return [value, errorOf(influences)];
  };
  return yield* bootstrapDrop(images, drop, [-1, 1], options);
}

function* valueDrop(
  original: ValueOutcomes,
  other: ValueOutcomes,
  options: DropOptions,
): Steps<PairedDrop> {
  if (original.metric !== other.metric)
    throw mismatch(`measure ${original.metric} and ${other.metric}`);
  requireSameSamples(original, other);
  const differences = original.values.map((value, i) => value - other.values[i]);
  if (original.values.every(isBit) && other.values.every(isBit)) {
    const count = (sign: number) => differences.reduce((n, d) => n + (d === sign ? 1 : 0), 0);
    return tangoDrop(count(1), count(-1), differences.length, options.level);
  }
  const count = differences.length;
  const drop = (indices: Int32Array): WithError => {
    const mean = meanAt(differences, indices);
    const influences = Float64Array.from(indices, (i) => (differences[i] - mean) / count);
    return [mean, errorOf(influences)];
  };
  // A mean is no larger than the largest of all; the largest seen stands for that.
  const limits: Interval = [quantile(differences, 0), quantile(differences, 1)];
  return yield* bootstrapDrop(count, drop, limits, options);
}

function asValues(outcomes: OutputOutcomes): ValueOutcomes {
  const { indices } = outcomes;
  return { kind: "values", metric: "similarity", values: similarities(outcomes), indices };
}

function* bootstrapDrop(
  samples: number,
  drop: (indices: Int32Array) => WithError,
  limits: Interval,
  { level, seed, resamples }: DropOptions,
): Steps<PairedDrop> {
  const { value, upper, lower } = yield* studentizedSteps(samples, drop, {
    seed,
    resamples,
    limits,
  });
  return {
    drop: value,
    upper: upper(level),
    ci95: [lower(0.025), upper(0.025)],
    samples,
    method: "bootstrap",
  };
}

function indicesOf(outcomes: Outcomes): Int32Array {
  return outcomes.kind === "classes" ? outcomes.predictions.indices : outcomes.indices;
}

function requireSamples(outcomes: Outcomes): void {
  if (samplesOf(outcomes) > 0) return;
  throw new EspalierError("DATA_NOT_FOUND", "there are no samples to measure");
}

function requireSameSamples(first: Outcomes, second: Outcomes): void {
  const others = indicesOf(second);
  if (others.length !== samplesOf(first) || !indicesOf(first).every((n, i) => n === others[i]))
    throw mismatch("read different samples");
}

function mismatch(what: string): EspalierError {
  return new EspalierError("DATA_MISMATCH", `the two evaluations ${what}`, {
    hint: "Evaluate both networks with the same data, split, seed and limit.",
  });
}

function proportionOf(bits: Uint8Array | Float64Array) {
  const count = sumOf(bits);
  return { value: count / bits.length, ci95: wilsonInterval(count, bits.length) };
}

function isBit(value: number): boolean {
  return value === 0 || value === 1;
}

function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

function meanAt(values: Float64Array, indices: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < indices.length; i++) sum += values[indices[i]];
  return sum / indices.length;
}
