/** @file Levels of looks, against numerical integration by scipy. */
import { describe, expect, it } from "vitest";
import { spendingLevels } from "./spending.ts";

describe("spendingLevels", () => {
  it("of five equal looks are those of Lan and DeMets", () => {
    // scipy.stats.norm and trapezoids of 4,001 points. The boundaries 4.88, 3.36, 2.68, 2.29, 2.03 stand in textbooks.
    const expected = [5.388713e-7, 3.93949e-4, 3.67803e-3, 1.101598e-2, 2.112589e-2];
    const levels = spendingLevels(0.025, [0.2, 0.4, 0.6, 0.8, 1]);
    for (const [k, level] of levels.entries()) expect(level / expected[k]).toBeCloseTo(1, 5);
  });

  it("of a single look is the level itself", () => {
    expect(spendingLevels(0.05, [1])[0]).toBeCloseTo(0.05, 10);
  });
});
