/** @file Schedules against their closed forms. */
import { describe, expect, it } from "vitest";
import { constant, cosine, linear, oneCycle, type Schedule, steps, warmUp } from "./schedules.ts";

const over = (schedule: Schedule, total: number): number[] =>
  Array.from({ length: total }, (_, step) => schedule(step, total));

function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 12);
}

describe("schedules", () => {
  it("constant", () => expectClose(over(constant(), 3), [1, 1, 1]));

  it("steps fall at shares of the run", () =>
    expectClose(over(steps([0.5, 0.75]), 8), [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]));

  it("linear ends at its final factor", () => {
    expectClose(over(linear(), 5), [1, 0.75, 0.5, 0.25, 0]);
    expectClose(over(linear(0.2), 3), [1, 0.6, 0.2]);
  });

  it.each([constant(), steps([0.5]), cosine(), linear(), oneCycle(), warmUp(0.1, cosine())])(
    "give an only step the full rate (%#)",
    (schedule) => expect(over(schedule, 1)).toEqual([1]),
  );

  it("cosine passes the mean in the middle", () => {
    const half = Math.SQRT1_2;
    expectClose(over(cosine(), 5), [1, (1 + half) / 2, 0.5, (1 - half) / 2, 0]);
    expectClose(over(cosine(0.1), 3), [1, 0.55, 0.1]);
  });

  it("one-cycle rises to 1 at its peak and falls to 1 / (25 · 10,000)", () => {
    // Peak at 0.3 · 10 - 1 = 2; down over the 7 steps after it.
    const down = (k: number) => 4e-6 + ((1 - 4e-6) * (1 + Math.cos((Math.PI * k) / 7))) / 2;
    const expected = [0.04, 0.52, 1, ...[1, 2, 3, 4, 5, 6, 7].map(down)];
    expectClose(over(oneCycle(), 10), expected);
    expect(oneCycle()(9, 10)).toBeCloseTo(4e-6, 15);
  });

  it("warm-up rises evenly, and what follows runs over the rest", () =>
    expectClose(over(warmUp(0.3, linear()), 10), [
      0.25,
      0.5,
      0.75,
      ...[6, 5, 4, 3, 2, 1, 0].map((k) => k / 6),
    ]));

  it.each([constant(), steps([0.5]), cosine(), linear(), oneCycle(), warmUp(0.5, cosine())])(
    "are finite and in [0, 1] for runs of any length (%#)",
    (schedule) => {
      for (const total of [1, 2, 3, 4, 7, 100])
        for (const factor of over(schedule, total)) {
          expect(factor).toBeGreaterThanOrEqual(0);
          expect(factor).toBeLessThanOrEqual(1);
        }
    },
  );
});
