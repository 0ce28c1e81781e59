/** @file The studentized bootstrap: closed forms, limits, and how often its bounds hold. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import { bootstrapInterval } from "./statistics.ts";
import { errorOf, studentized, type WithError } from "./studentized.ts";

/** The mean of some values with its standard error. */
const meanOf =
  (values: ArrayLike<number>) =>
  (indices: Int32Array): WithError => {
    const mean = indices.reduce((sum, i) => sum + values[i], 0) / indices.length;
    return [mean, errorOf(Float64Array.from(indices, (i) => (values[i] - mean) / indices.length))];
  };
const limits = [-100, 100] as const;

describe("studentized", () => {
  it("of a normal mean is Student's interval", () => {
    const count = 200;
    const sample = randomOf(5).normals(count);
    const { value, upper, lower } = studentized(count, meanOf(sample), {
      resamples: 20_000,
      limits,
    });
    const mean = sample.reduce((sum, x) => sum + x, 0) / count;
    const variance = sample.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1);
    const error = Math.sqrt(variance / count);
    expect(value).toBeCloseTo(mean, 12);
    // Student's t with 199 degrees of freedom at 0.975.
    expect((upper(0.025) - mean) / error).toBeCloseTo(1.972, 0.7);
    expect((lower(0.025) - mean) / error).toBeCloseTo(-1.972, 0.7);
  });

  it("lies above the truth more often than percentiles do, for few and skewed samples", () => {
    // Exponential values: mean 1, skewness 2. The bound at level 0.025 is to fail in 2.5 % of the cases.
    const misses = { studentized: 0, percentile: 0 };
    for (let run = 0; run < 300; run++) {
      const uniforms = randomOf(1, "skewed", run).uniforms(40);
      const values = uniforms.map((u) => -Math.log(1 - u * 0.999_999));
      const options = { resamples: 300, seed: run, limits };
      if (studentized(40, meanOf(values), options).upper(0.025) < 1) misses.studentized++;
      const mean = (indices: Int32Array) => meanOf(values)(indices)[0];
      if (bootstrapInterval(40, mean, options)[1] < 1) misses.percentile++;
    }
    // 7.5 of 300 are to be expected, and 3 standard errors are 8.1 more.
    expect(misses.studentized).toBeLessThanOrEqual(15);
    expect(misses.percentile).toBeGreaterThan(15);
  });

  it("ends at its limits where too few samples carry the effect", () => {
    const values = Array.from({ length: 50 }, (_, i) => (i === 0 ? 1 : 0));
    const { value, upper } = studentized(50, meanOf(values), { limits: [0, 1] });
    expect(value).toBeCloseTo(0.02, 12);
    expect(upper(0.025)).toBe(1);
  });

  it("is the value where all samples are alike", () => {
    const { value, upper, lower } = studentized(9, meanOf(new Float64Array(9).fill(3)), { limits });
    expect([lower(0.025), value, upper(0.025)]).toEqual([3, 3, 3]);
  });
});
