/** @file Statistics against published values, closed forms and the coverage that they promise. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import {
  bootstrapInterval,
  median,
  medianEstimate,
  quantile,
  ratioOfMedians,
  wilsonInterval,
} from "./statistics.ts";

describe("median and quantile", () => {
  it("take the middle, between neighbours for an even count", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  // R: quantile(c(1, 2, 4, 8, 16), c(0, 0.1, 0.6, 1)), type 7.
  it.each([
    [0, 1],
    [0.1, 1.4],
    [0.6, 5.6],
    [1, 16],
  ])("quantile %d is R's %d", (fraction, expected) => {
    expect(quantile([16, 8, 4, 2, 1], fraction)).toBeCloseTo(expected, 12);
  });
});

describe("wilsonInterval", () => {
  // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [29, 29, 0.883, 1],
  ])("of %d in %d is [%d, %d]", (successes, trials, lower, upper) => {
    const [low, high] = wilsonInterval(successes, trials);
    expect(low).toBeCloseTo(lower, 4);
    expect(high).toBeCloseTo(upper, 4);
  });

  it("is everything when nothing was tried", () => {
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });
});

describe("bootstrapInterval", () => {
  const meanOf = (values: ArrayLike<number>) => (indices: Int32Array) =>
    indices.reduce((sum, i) => sum + values[i], 0) / indices.length;

  it("of a mean is the mean ± 1.96 standard errors", () => {
    const sample = randomOf(5).normals(200);
    const [low, high] = bootstrapInterval(200, meanOf(sample), { resamples: 20_000 });
    const mean = sample.reduce((sum, x) => sum + x, 0) / 200;
    const error = Math.sqrt(sample.reduce((sum, x) => sum + (x - mean) ** 2, 0)) / 200;
    expect(Math.abs(low - (mean - 1.96 * error)) / error).toBeLessThan(0.1);
    expect(Math.abs(high - (mean + 1.96 * error)) / error).toBeLessThan(0.1);
  });

  it("holds the true mean about as often as it promises", () => {
    let hits = 0;
    for (let trial = 0; trial < 200; trial++) {
      const sample = randomOf(6, trial).normals(60);
      const [low, high] = bootstrapInterval(60, meanOf(sample), {
        resamples: 300,
        confidence: 0.9,
        seed: trial,
      });
      if (low <= 0 && 0 <= high) hits++;
    }
    // 180 expected; four standard errors are 17.
    expect(hits).toBeGreaterThan(163);
    expect(hits).toBeLessThan(197);
  });

  it("repeats for a seed and differs for another", () => {
    const sample = randomOf(8).normals(50);
    const interval = (seed: number) => bootstrapInterval(50, meanOf(sample), { seed });
    expect(interval(1)).toEqual(interval(1));
    expect(interval(1)).not.toEqual(interval(2));
  });
});

describe("ratioOfMedians", () => {
  it("is not widened by what hits both series at the same time", () => {
    const random = randomOf(9);
    const weather = Array.from({ length: 40 }, () => 1 + random.uniform());
    const times = (scale: number) => weather.map((slow) => scale * slow);
    const { value, ci95 } = ratioOfMedians(times(3), times(4));
    expect(value).toBeCloseTo(0.75, 12);
    expect(ci95[0]).toBeCloseTo(0.75, 12);
    expect(ci95[1]).toBeCloseTo(0.75, 12);
    const alone = medianEstimate(times(3));
    expect(alone.value).toBe(median(times(3)));
    expect(alone.ci95[1] - alone.ci95[0]).toBeGreaterThan(0.1);
  });
});
