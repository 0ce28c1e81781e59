/** @file Sums over all outcomes, against sums over all sequences of images, and what is known of the score test. */
import { describe, expect, it } from "vitest";
import { calibrated, falseRateOf, type Plan, passes, passProbability } from "./enumeration.ts";
import { spendingLevels } from "./spending.ts";

const single = (samples: number, tolerance: number): Plan => ({
  tolerance,
  looks: [{ samples, level: 0.025 }],
});

function fiveLooks(samples: number, tolerance: number): Plan {
  const shares = [0.2, 0.4, 0.6, 0.8, 1];
  const levels = spendingLevels(0.025, shares);
  return {
    tolerance,
    looks: shares.map((share, k) => ({ samples: Math.round(share * samples), level: levels[k] })),
  };
}

/** The same probability from every one of the 3ⁿ sequences of images. */
function overSequences({ looks, tolerance }: Plan, lost: number, won: number): number {
  const last = looks[looks.length - 1].samples;
  const visit = (at: number, l: number, w: number, probability: number): number => {
    const look = looks.find(({ samples }) => samples === at);
    if (look !== undefined && passes({ lost: l, won: w, samples: at }, tolerance, look.level))
      return probability;
    if (at === last) return 0;
    return (
      visit(at + 1, l + 1, w, probability * lost) +
      visit(at + 1, l, w + 1, probability * won) +
      visit(at + 1, l, w, probability * (1 - lost - won))
    );
  };
  return visit(0, 0, 0, 1);
}

describe("passProbability", () => {
  it.each([
    [[{ samples: 11, level: 0.1 }], 0.05, 0.3],
    [
      [
        { samples: 4, level: 0.3 },
        { samples: 8, level: 0.2 },
        { samples: 12, level: 0.1 },
      ],
      0.1,
      0.25,
    ],
    [
      [
        { samples: 5, level: 0.2 },
        { samples: 10, level: 0.2 },
      ],
      0.2,
      0,
    ],
  ] as const)("of looks %j is the sum over all sequences of images", (looks, lost, won) => {
    for (const tolerance of [0.1, 0.3, 0.6]) {
      const plan = { tolerance, looks };
      expect(passProbability(plan, lost, won)).toBeCloseTo(overSequences(plan, lost, won), 10);
    }
  });

  it("without any difference is 0 or 1, as the closed form says: z² / (n + z²) is the bound", () => {
    // 1.96² / (n + 1.96²) <= 0.01 from n = 381 on.
    expect(passProbability(single(380, 0.01), 0, 0)).toBe(0);
    expect(passProbability(single(381, 0.01), 0, 0)).toBeCloseTo(1, 12);
  });
});

describe("falseRateOf", () => {
  it("of 200 images exceeds the level: Tango's approximation errs there", () => {
    const { rate } = falseRateOf(single(200, 0.01));
    expect(rate).toBeGreaterThan(0.0255);
    expect(rate).toBeLessThan(0.0265);
  });
});

describe("calibrated", () => {
  it.each([
    ["one look at 200 images", single(200, 0.01)],
    ["one look at 1,150 images", single(1150, 0.02)],
    ["five looks at 200 images", fiveLooks(200, 0.02)],
    ["five looks at 500 images", fiveLooks(500, 0.03)],
  ])("%s certifies falsely at most as often as it says", (_, plan) => {
    const { plan: own, falseRate, factor } = calibrated(plan, 0.025);
    expect(falseRate.rate).toBeLessThanOrEqual(0.025);
    expect(falseRate.rate).toBeGreaterThan(0.02);
    expect(factor).toBeGreaterThan(0.9);
    // Between the points of its grid, too, but for what two neighbours differ.
    for (const discordance of [0.021, 0.033, 0.047, 0.08, 0.17]) {
      const [lost, won] = [1, -1].map((sign) => (discordance + sign * own.tolerance) / 2);
      if (won >= 0) expect(passProbability(own, lost, won)).toBeLessThan(0.0253);
    }
  });
});
