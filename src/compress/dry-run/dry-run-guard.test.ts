/** @file What the guard is foretold to certify, against the normal bound's closed form. */
import { describe, expect, it } from "vitest";
import { guardOutlook } from "./dry-run-guard.ts";

/** The 97.5 % quantile of the standard normal distribution. */
const z = 1.959963984540054;

describe("guardOutlook", () => {
  it("counts the images that a tolerance takes", () => {
    const { level, outlooks } = guardOutlook({ maxDrop: 0.01, confidence: 0.95 }, 1152, true);
    expect(level).toBeCloseTo(0.025, 12);
    expect(outlooks.map(({ discordance }) => discordance)).toEqual([0.01, 0.03, 0.05]);
    // z² v / 0.01², rounded up.
    expect(outlooks.map(({ samplesNeeded }) => samplesNeeded)).toEqual([385, 1153, 1921]);
    expect(outlooks.map(({ isEnough }) => isEnough)).toEqual([true, false, false]);
  });

  it("gives the smallest tolerance of the images at hand", () => {
    const of = (samples: number) =>
      guardOutlook({ maxDrop: 0.01, confidence: 0.95 }, samples, true).outlooks.map(
        ({ smallestTolerance }) => smallestTolerance,
      );
    for (const [i, variance] of [0.01, 0.03, 0.05].entries())
      expect(of(2500)[i]).toBeCloseTo(z * Math.sqrt(variance / 2500), 9);
    // A drop of t changes a share of at least t of the answers: with few images that is what counts.
    for (const tolerance of of(50)) expect(tolerance).toBeCloseTo((z * z) / 50, 9);
    expect(of(0)).toEqual([1, 1, 1]);
  });

  it("says that as many images as it asks for are enough", () => {
    for (const maxDrop of [0.002, 0.01, 0.04, 0.2])
      for (const { samplesNeeded } of guardOutlook({ maxDrop, confidence: 0.9 }, 1, true)
        .outlooks) {
        const at = (samples: number) =>
          guardOutlook({ maxDrop, confidence: 0.9 }, samples, true).outlooks.find(
            (outlook) => outlook.samplesNeeded === samplesNeeded,
          )?.smallestTolerance;
        expect(at(samplesNeeded)).toBeLessThanOrEqual(maxDrop);
        expect(at(samplesNeeded - 1)).toBeGreaterThan(maxDrop);
      }
  });

  it("foretells nothing of a metric whose spread it does not know", () => {
    expect(guardOutlook({ maxDrop: 0.01, confidence: 0.95 }, 100, false).outlooks).toEqual([]);
    expect(guardOutlook({ maxDrop: 0, confidence: 0.95 }, 100, true).outlooks).toEqual([]);
  });
});
