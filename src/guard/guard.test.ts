/** @file The guard: the order of its tests, its record, its words, and how often it errs. */
import { describe, expect, it } from "vitest";
import { type Curve, mostViolations, simulate } from "../../test/support/guard-simulation.ts";
import { pairedDifferenceInterval } from "../measure/evaluation/classification.ts";
import {
  type ClimbOptions,
  climb,
  fewestSamples,
  largestUnseen,
  samplesToCertify,
  samplesToSee,
} from "./guard.ts";
import type { Drop } from "./ladder.ts";

/** A rung that passes (+) or fails (-) at a tolerance of one point. */
type Rung = "+" | "-";

const pass: Drop = { drop: 0.002, upper: 0.008, samples: 1000 };
const fail: Drop = { drop: 0.006, upper: 0.012, samples: 1000 };

const options: ClimbOptions<{ readonly rung: Rung }> = {
  maxDrop: 0.01,
  metric: "top1",
  look: async ({ rung }) => (rung === "+" ? pass : fail),
};

const rungs = (pattern: string) =>
  [...pattern].map((sign, at) => ({ rung: sign === "+" ? "+" : "-", at }) as const);
const ladderOf = (main: string, milder = "") => ({ main: rungs(main), milder: rungs(milder) });

describe("climb", () => {
  it.each([
    // Main and milder ladder, which rung is certified, what was looked at.
    ["++++", "++", { main: 3 }, ["main 0", "main 1", "main 2", "main 3"]],
    ["++-+", "++", { main: 1 }, ["main 0", "main 1", "main 2"]],
    ["+-++", "", { main: 0 }, ["main 0", "main 1"]],
    ["-+++", "++", { milder: 1 }, ["main 0", "milder 0", "milder 1"]],
    ["-+++", "+-", { milder: 0 }, ["main 0", "milder 0", "milder 1"]],
    ["-+++", "-+", {}, ["main 0", "milder 0"]],
    ["-+", "", {}, ["main 0"]],
    ["", "", {}, []],
  ] as const)("of %s, milder %s, stops at the first failure", async (main, milder, at, order) => {
    const ladder = ladderOf(main, milder);
    const { certified, looks } = await climb(ladder, options);
    const [expected] = Object.entries(at).map(([name, rung]) =>
      name === "main" ? ladder.main[rung] : ladder.milder[rung],
    );
    expect(certified).toBe(expected);
    expect(looks.map(({ ladder: name, rung }) => `${name} ${rung}`)).toEqual(order);
    expect(looks.every(({ level }) => Math.abs(level - 0.025) < 1e-12)).toBe(true);
  });

  it("measures at half of alpha", async () => {
    const levels: number[] = [];
    const look = async (_: unknown, level: number) => {
      levels.push(level);
      return fail;
    };
    await climb(ladderOf("+", "+"), { ...options, confidence: 0.9, look });
    expect(levels.map((level) => level.toFixed(6))).toEqual(["0.050000", "0.050000"]);
  });

  it("certifies a bound at the tolerance itself", async () => {
    const look = async () => ({ drop: 0, upper: 0.01, samples: 10 });
    expect((await climb(ladderOf("+"), { ...options, look })).verdict).toBe("certified");
  });

  it("looks no further where a look fails", async () => {
    let looks = 0;
    const look = async () => {
      looks++;
      throw new Error("out of disk");
    };
    await expect(climb(ladderOf("+++", "+"), { ...options, look })).rejects.toThrow("disk");
    expect(looks).toBe(1);
  });
});

describe("words", () => {
  it.each([
    {
      found: [pass, fail],
      verdict: "certified",
      words:
        "Certified with 95 % confidence: the drop of accuracy is at most 1 point (0.2 points observed on 1,000 " +
        "images of certify, up to 0.8 points). The next smaller network was not certified: 0.6 points " +
        "observed, up to 1.2 points.",
    },
    {
      found: [{ drop: 0.013, upper: 0.02, samples: 500 }],
      verdict: "drop-too-large",
      words:
        "Not certified: a drop of accuracy of 1.3 points observed on 500 images of certify, and the " +
        "tolerance is 1 point.",
    },
    {
      // A discordance of 3 %: the bound lies 1.96 √(0.03 / 500) = 1.518 points above the drop of 0.
      found: [{ drop: 0, upper: 0.015182, samples: 500 }],
      verdict: "too-few-samples",
      words:
        "Not certified: a drop of accuracy of 0 points observed on 500 images of certify, which is within the tolerance of " +
        "1 point, but so few images leave room for a drop up to 1.52 points. It would take about " +
        "1,160 images to certify it.",
    },
    {
      found: [{ drop: 0.005, upper: 0.020182, samples: 500 }],
      verdict: "too-few-samples",
      words:
        "Not certified: a drop of accuracy of 0.5 points observed on 500 images of certify, which is within the tolerance of " +
        "1 point, but so few images leave room for a drop up to 2.02 points. It would take about " +
        "4,610 images to certify it, and about 1,160 had no drop been observed.",
    },
  ] as const)("of what is $verdict", async ({ found, verdict, words }) => {
    let at = 0;
    const look = async () => found[at++];
    const result = await climb(ladderOf("+".repeat(found.length)), { ...options, look });
    expect(result).toMatchObject({ verdict, words });
  });

  it.each([
    [
      -0.002,
      0.004,
      2000,
      "(a gain of 0.2 points observed on 2,000 images of certify, up to 0.4 points)",
    ],
    [-0.0005, 0.02, 300, "Not certified: a gain of accuracy of 0.05 points observed on 300 images"],
    [0, 0.004, 2000, "(0 points observed on 2,000 images of certify, up to 0.4 points)"],
  ])("call a drop of %d a gain where it is one", async (drop, upper, samples, part) => {
    const look = async () => ({ drop, upper, samples });
    expect((await climb(ladderOf("+"), { ...options, look })).words).toContain(part);
  });

  it("say that nothing held on select", async () => {
    const { verdict, words, decisive } = await climb(ladderOf(""), options);
    expect({ verdict, decisive }).toEqual({ verdict: "nothing-to-certify", decisive: undefined });
    expect(words).toBe(
      "Nothing that was tried kept the drop of accuracy within 1 point on select.",
    );
  });

  it("are of the milder ladder where it was needed", async () => {
    const { decisive, words } = await climb(ladderOf("-+", "++-"), options);
    expect(decisive).toMatchObject({ ladder: "milder", rung: 1 });
    expect(words).toContain("The next smaller network was not certified");
  });
});

describe("a certificate from few images", () => {
  const from = async (samples: number, metric: string, maxDrop = 0.01) =>
    climb(ladderOf("+"), {
      maxDrop,
      metric,
      look: async () => ({ drop: 0, upper: maxDrop / 2, samples }),
    });

  it.each([
    // 1 - 0.025^(1/n), and n with 0.99^n or 0.95^n = 0.025.
    [
      12,
      "miou",
      0.01,
      "as much as 26 % of all",
      "368 images show every kind that makes up 1 % or more",
    ],
    [
      107,
      "miou",
      0.01,
      "as much as 3.4 % of all",
      "368 images show every kind that makes up 1 % or more",
    ],
    [
      30,
      "agreement",
      0.05,
      "as much as 12 % of all",
      "72 images show every kind that makes up 5 % or more",
    ],
    [
      20,
      "PSNR",
      0.3,
      "as much as 17 % of all",
      "72 images show every kind that makes up 5 % or more",
    ],
  ])(
    "%d, of %s within %d, says what they cannot show",
    async (samples, metric, maxDrop, ...parts) => {
      const { verdict, words } = await from(samples, metric, maxDrop);
      expect(verdict).toBe("certified");
      expect(words).toContain(`Mind that ${samples} images are few`);
      for (const part of parts) expect(words).toContain(part);
    },
  );

  it.each([
    [368, "miou", 0.01],
    [73, "agreement", 0.05],
    [72, "PSNR", 0.3],
  ])("says nothing of the kind of %d images, of %s within %d", async (samples, metric, maxDrop) => {
    expect((await from(samples, metric, maxDrop)).words).not.toContain("Mind");
  });

  it.each([1, 2, 5])("of %d is none, whatever they say", async (samples) => {
    const { verdict, certified, words } = await from(samples, "miou");
    expect([verdict, certified]).toEqual(["too-few-samples", undefined]);
    expect(words).toContain("but fewer than 6 images certify nothing at this confidence.");
  });

  it("counts as the sign test and the binomial distribution do", () => {
    // 2^-5 = 0.031 and 2^-6 = 0.016; 2^-4 = 0.0625 and 2^-5.
    expect([0.025, 0.05].map(fewestSamples)).toEqual([6, 5]);
    for (const samples of [12, 107, 500])
      expect((1 - largestUnseen(samples, 0.025)) ** samples).toBeCloseTo(0.025, 12);
    for (const share of [0.002, 0.01, 0.05]) {
      const samples = samplesToSee(share, 0.025);
      expect((1 - share) ** samples).toBeLessThanOrEqual(0.025);
      expect((1 - share) ** (samples - 1)).toBeGreaterThan(0.025);
    }
  });

  it.each([
    ["miou", "the drop of mean IoU is at most 1 point (0 points observed on 2,000 images"],
    ["agreement", "the drop of agreement with the original is at most 1 point"],
    ["PSNR", "the drop of PSNR is at most 0.01 (0 observed on 2,000 images"],
  ])("of %s names what drops", async (metric, words) => {
    expect((await from(2000, metric)).words).toContain(words);
  });
});

describe("samplesToCertify", () => {
  const level = 0.025;

  it.each([
    // z² p / maxDrop², z = 1.959964.
    [0.03, 0.01, 1153],
    [0.03, 0.005, 4610],
    [0.1, 0.01, 3842],
    [0, 0.01, 385],
  ])("of discordance %d and tolerance %d are %d", (variance, maxDrop, expected) => {
    expect(samplesToCertify({ variance, maxDrop, level })).toBe(expected);
  });

  it.each([
    [0.03, 0.01],
    [0.03, 0.005],
    [0.1, 0.02],
    [0, 0.01],
  ])(
    "of discordance %d and tolerance %d do for the score bound too, to a tenth",
    (variance, maxDrop) => {
      const samples = samplesToCertify({ variance, maxDrop, level });
      const upperOf = (n: number) => {
        const half = (n * variance) / 2;
        return pairedDifferenceInterval({ onlyFirst: half, onlySecond: half, samples: n })[1];
      };
      expect(upperOf(1.1 * samples)).toBeLessThanOrEqual(maxDrop);
      expect(upperOf(0.9 * samples)).toBeGreaterThan(maxDrop);
    },
  );
});

describe("the search and the guard together", () => {
  const curves: readonly Curve[] = ["dense", "noisy", "above"];
  const scenarios = curves.flatMap((curve) =>
    [500, 5000].map((samples) => ({ curve, samples, discordance: 0.03, maxDrop: 0.01, churn: 0 })),
  );

  // All 72 scenarios with 500 runs each: guard.slow.test.ts.
  it.each(scenarios)("certify too much rarely: $curve, $samples images", async (scenario) => {
    const { runs, violations } = await simulate(scenario, 100);
    expect(violations).toBeLessThanOrEqual(mostViolations(runs));
  });

  it("certify most runs where the images suffice, and reach a part of what they could", async () => {
    const scenario = { curve: "dense", samples: 5000, discordance: 0.01, maxDrop: 0.03 } as const;
    const { certified, reach } = await simulate({ ...scenario, churn: 0 }, 100);
    expect(certified).toBeGreaterThan(95);
    expect(reach).toBeGreaterThan(0.4);
  });

  it("would err in half of the runs, were select alone believed", async () => {
    const scenario = { curve: "above", samples: 5000, discordance: 0.03, maxDrop: 0.01 } as const;
    expect((await simulate({ ...scenario, churn: 0 }, 100)).naiveViolations).toBeGreaterThan(30);
  });
});
