/**
 * @file The studentized bootstrap (bootstrap-t; Efron 1982; Hall, "The Bootstrap and Edgeworth
 * Expansion", 1992, section 3.5): intervals for a statistic of few and skewed samples.
 *
 * The percentile bootstrap takes the spread of the resampled values for the spread of the estimate. Where
 * a few samples make up most of it, as when pruning harms few images but badly, its upper bound is too
 * low: a draw with few of them shows both a low value and a small spread. The studentized one asks
 * instead how many standard errors a value may lie below the truth, each resample with an error of its own.
 */

import type { RandomKey } from "../../tensor/random.ts";
import { atOnce, type Steps } from "../../tensor/steps.ts";
import { bootstrapSteps, type Interval, quantile } from "./statistics.ts";

/** A statistic and its standard error, from the same samples. */
export type WithError = readonly [value: number, error: number];

/** How to resample. */
export interface StudentizedOptions {
  /** Number of resamples. Default 2000. */
  readonly resamples?: number | undefined;
  /** Seed of the resamples. Default 0. */
  readonly seed?: RandomKey | undefined;
  /** What the statistic can be; the interval ends there. */
  readonly limits: Interval;
}

/** An estimate, and its interval of any confidence. */
export interface Studentized {
  readonly value: number;
  /** The end that the true value lies above with probability `level`. */
  readonly upper: (level: number) => number;
  /** The end that the true value lies below with probability `level`. */
  readonly lower: (level: number) => number;
}

/**
 * @param count Number of independent samples, at least one.
 * @param statistic An estimate from the samples with these indices, which repeat. Where its error is 0, as when all
 *   samples are alike, so are the interval's ends: the value.
 */
export function studentized(
  count: number,
  statistic: (indices: Int32Array) => WithError,
  options: StudentizedOptions,
): Studentized {
  return atOnce(studentizedSteps(count, statistic, options));
}

/** As {@link studentized}, a step for each resample. */
export function* studentizedSteps(
  count: number,
  statistic: (indices: Int32Array) => WithError,
  options: StudentizedOptions,
): Steps<Studentized> {
  const [lowest, highest] = options.limits;
  const [value, error] = statistic(Int32Array.from({ length: count }, (_, i) => i));
  const [values, errors] = yield* bootstrapSteps(count, 2, statistic, options);
  // Resamples that are all alike count as infinitely sure, but the arithmetic stays finite.
  const floor = 1e-9 * error;
  const scores = values.map((drawn, r) =>
    error === 0 ? 0 : (drawn - value) / Math.max(errors[r], floor),
  );
  const end = (fraction: number) =>
    Math.min(highest, Math.max(lowest, value - error * quantile(scores, fraction)));
  return { value, upper: (level) => end(level), lower: (level) => end(1 - level) };
}

/** The standard error of a sum's smooth function: √(n / (n - 1) Σ uᵢ²) of its derivatives uᵢ by sample i. */
export function errorOf(influences: Float64Array): number {
  const count = influences.length;
  const squares = influences.reduce((sum, one) => sum + one * one, 0);
  return count < 2 ? 0 : Math.sqrt((squares * count) / (count - 1));
}
