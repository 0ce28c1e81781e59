/** @file Medians, and how sure one can be of what was measured. */
import { assert } from "../../errors.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";
import { atOnce, type Steps } from "../../tensor/steps.ts";

/** Lower and upper end. */
export type Interval = readonly [lower: number, upper: number];

/** How an interval is to be found. */
export interface BootstrapOptions {
  /** Probability that the interval holds the true value; default 0.95. */
  readonly confidence?: number | undefined;
  /** Number of resamples. Default 2000. */
  readonly resamples?: number | undefined;
  /** Seed of the resamples. Default 0. The same seed gives the same interval. */
  readonly seed?: RandomKey | undefined;
}

/** The middle value; the mean of the middle two for an even count. There must be at least one. */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/** The value below which a `fraction` in [0, 1] lies; linear between neighbours (Hyndman and Fan's type 7). */
export function quantile(values: ArrayLike<number>, fraction: number): number {
  assert(values.length > 0, "a quantile is of at least one value");
  assert(fraction >= 0 && fraction <= 1, `a fraction, got ${fraction}`);
  const sorted = Float64Array.from(values).sort();
  const position = fraction * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}

/**
 * Wilson's score interval for a proportion of `successes` in `trials` (Wilson 1927). It stays in
 * [0, 1] and holds its confidence for proportions near 0 and 1 too; [0, 1] when there was no trial.
 */
export function wilsonInterval(successes: number, trials: number, confidence = 0.95): Interval {
  assert(successes >= 0 && successes <= trials, `${successes} successes in ${trials} trials`);
  if (trials === 0) return [0, 1];
  const z = normalQuantile((1 + confidence) / 2);
  const share = successes / trials;
  const shrink = 1 + (z * z) / trials;
  const centre = (share + (z * z) / (2 * trials)) / shrink;
  const spread = Math.sqrt((share * (1 - share)) / trials + (z / (2 * trials)) ** 2);
  const half = (z * spread) / shrink;
  // Rounding must not push the ends past what was observed.
  return [
    successes === 0 ? 0 : Math.max(0, centre - half),
    successes === trials ? 1 : Math.min(1, centre + half),
  ];
}

/**
 * Percentile bootstrap (Efron 1979): the interval of `statistic` over samples drawn with replacement.
 * @param count Number of independent samples (images, blocks of runs), at least one.
 * @param statistic A number from the samples with these indices, [count], which repeat.
 */
export function bootstrapInterval(
  count: number,
  statistic: (indices: Int32Array) => number,
  options: BootstrapOptions = {},
): Interval {
  return bootstrapIntervals(count, [statistic], options)[0];
}

/** The same for several statistics, from the same resamples: drawing them costs the most. */
function bootstrapIntervals(
  count: number,
  statistics: readonly ((indices: Int32Array) => number)[],
  options: BootstrapOptions = {},
): readonly Interval[] {
  const { confidence = 0.95 } = options;
  const all = (indices: Int32Array) => statistics.map((statistic) => statistic(indices));
  return bootstrapSeries(count, statistics.length, all, options).map((series) =>
    percentileInterval(series, confidence),
  );
}

/**
 * What `width` figures are in each of the resamples: [width] series of [resamples].
 * @param figures Gives [width] values from the samples with these indices, [count], which repeat.
 */
export function bootstrapSeries(
  count: number,
  width: number,
  figures: (indices: Int32Array) => ArrayLike<number>,
  options: BootstrapOptions = {},
): readonly Float64Array[] {
  return atOnce(bootstrapSteps(count, width, figures, options));
}

/** As {@link bootstrapSeries}, a step for each resample. */
export function* bootstrapSteps(
  count: number,
  width: number,
  figures: (indices: Int32Array) => ArrayLike<number>,
  { resamples = 2000, seed = 0 }: BootstrapOptions = {},
): Steps<readonly Float64Array[]> {
  assert(count > 0, "a bootstrap needs a sample");
  const random = randomOf(seed, "bootstrap");
  const indices = new Int32Array(count);
  const series = Array.from({ length: width }, () => new Float64Array(resamples));
  for (let r = 0; r < resamples; r++) {
    yield { step: "resampling", done: r, total: resamples };
    for (let i = 0; i < count; i++) indices[i] = random.integer(count);
    const values = figures(indices);
    for (let k = 0; k < width; k++) series[k][r] = values[k];
  }
  return series;
}

/** The middle `confidence` of a series. */
export function percentileInterval(series: ArrayLike<number>, confidence = 0.95): Interval {
  const tail = (1 - confidence) / 2;
  return [quantile(series, tail), quantile(series, 1 - tail)];
}

/**
 * How often to resample: 1000 times, fewer beyond 5,000 samples, so that drawing never takes longer than a second or
 * two.
 */
export function resamplesFor(samples: number): number {
  return Math.round(Math.min(1000, Math.max(200, 5e6 / samples)));
}

/** A value with the interval that it was measured to. */
export interface Estimate {
  readonly value: number;
  /** At 95 % confidence, unless another was asked for. */
  readonly ci95: Interval;
}

/** The median and its bootstrap interval. */
export function medianEstimate(
  values: ArrayLike<number>,
  options: BootstrapOptions = {},
): Estimate {
  const statistic = (indices: Int32Array): number => median(take(values, indices));
  return { value: median(values), ci95: bootstrapInterval(values.length, statistic, options) };
}

/**
 * median(numerator) / median(denominator), paired: a resample takes the same places of both, so that
 * a slow moment of the machine, which hits both, does not widen the interval.
 */
export function ratioOfMedians(
  numerator: ArrayLike<number>,
  denominator: ArrayLike<number>,
  options: BootstrapOptions = {},
): Estimate {
  assert(numerator.length === denominator.length, "paired series are equally long");
  const statistic = (indices: Int32Array): number =>
    median(take(numerator, indices)) / median(take(denominator, indices));
  return {
    value: median(numerator) / median(denominator),
    ci95: bootstrapInterval(numerator.length, statistic, options),
  };
}

function take(values: ArrayLike<number>, indices: Int32Array): Float64Array {
  return Float64Array.from(indices, (i) => values[i]);
}
