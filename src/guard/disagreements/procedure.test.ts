/** @file Verdicts: the same as from all labels, never better for an unknown answer, and right in groups. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pairedDifferenceInterval } from "../../measure/evaluation/classification.ts";
import { randomOf } from "../../tensor/random.ts";
import { designEffect, totalOf, worstDesignEffect } from "./clusters.ts";
import { cohensKappa, correctedTolerance, labellerError } from "./labellers.ts";
import { declare, judge } from "./procedure.ts";
import { procedures } from "./procedures.ts";
import type { Unit } from "./wealth.ts";

const equal: Unit = { size: 1, lost: 0, won: 0 };
const lost: Unit = { size: 1, lost: 1, won: 0 };
const won: Unit = { size: 1, lost: 0, won: 1 };

const ones = (count: number) => new Array<number>(count).fill(1);

describe("a fixed number of images", () => {
  it("is certified exactly where the bound of all labels lies within the tolerance", () => {
    const declaration = declare({ procedure: "fixed", tolerance: 0.02, level: 0.025 }, ones(600));
    for (const [l, w] of [
      [0, 0],
      [1, 0],
      [3, 2],
      [6, 3],
      [7, 3],
      [8, 3],
      [12, 10],
    ] as const) {
      const units = [
        ...new Array<Unit>(l).fill(lost),
        ...new Array<Unit>(w).fill(won),
        ...new Array<Unit>(600 - l - w).fill(equal),
      ];
      const [look] = judge(declaration, units).looks;
      const counts = { onlyFirst: w, onlySecond: l, samples: 600 };
      const upper = pairedDifferenceInterval(counts, 1 - 2 * look.level)[1];
      expect(look.upper).toBe(upper);
      expect(look.isPassed).toBe(upper <= 0.02);
    }
  });

  it("without any disagreement needs no label from 381 images on, for one point", () => {
    const claim = { procedure: "fixed", tolerance: 0.01, level: 0.025 } as const;
    const verdictOf = (count: number) =>
      judge({ ...declare(claim, ones(count)), exact: null }, new Array<Unit>(count).fill(equal));
    expect(verdictOf(370).isCertified).toBe(false);
    expect(verdictOf(400).isCertified).toBe(true);
  });
});

describe("every procedure", () => {
  it.each(procedures)("%s never gains from a worse answer", (procedure) => {
    const count = 400;
    const declaration = declare({ procedure, tolerance: 0.03, level: 0.025 }, ones(count));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(count - 1), fc.constantFrom(equal, lost, won)), { maxLength: 30 }),
        fc.nat(29),
        (answers, which) => {
          const units = new Array<Unit>(count).fill(equal);
          for (const [at, unit] of answers) units[at] = unit;
          const worse = [...units];
          const at = answers[which % Math.max(1, answers.length)]?.[0] ?? 0;
          worse[at] = lost;
          const before = judge(declaration, units);
          const after = judge(declaration, worse);
          expect(after.isCertified && !before.isCertified).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("with looks ends early where all goes well, and the last look needs hardly more than one alone", () => {
    const declaration = declare({ procedure: "looks", tolerance: 0.02, level: 0.025 }, ones(2000));
    expect(declaration.looks.map(({ samples }) => samples)).toEqual([400, 800, 1200, 1600, 2000]);
    const { decisive } = judge(declaration, new Array<Unit>(2000).fill(equal));
    expect(decisive?.samples).toBe(800);
    expect(declaration.exact?.rate).toBeLessThanOrEqual(0.025);
  });
});

describe("groups of images", () => {
  it("that are copies say what one copy says", () => {
    const random = randomOf("copies");
    const alone = Array.from({ length: 400 }, () => {
      const u = random.uniform();
      return u < 0.03 ? lost : u < 0.06 ? won : equal;
    });
    const copies = alone.map((unit) => ({ size: 5, lost: 5 * unit.lost, won: 5 * unit.won }));
    expect(designEffect(alone)).toBe(1);
    expect(designEffect(copies)).toBeCloseTo(5 * (400 / 399), 10);
    const declared = (units: readonly Unit[]) =>
      declare(
        { procedure: "fixed", tolerance: 0.02, level: 0.025 },
        units.map(({ size }) => size),
      );
    const [one] = judge(
      { ...declared(alone), looks: [{ units: 400, samples: 400, level: 0.025 }] },
      alone,
    ).looks;
    const [five] = judge(declared(copies), copies).looks;
    expect(five.drop).toBeCloseTo(one.drop, 12);
    expect(five.upper).toBeCloseTo(one.upper, 3);
    expect(five.lost).toBeCloseTo(totalOf(copies).lost, 9);
  });

  it("with few differences count as copies of one another", () => {
    const units = [
      { size: 3, lost: 1, won: 0 },
      ...new Array<Unit>(50).fill({ size: 3, lost: 0, won: 0 }),
    ];
    expect(designEffect(units)).toBe(3);
    expect(worstDesignEffect([{ size: 1 }, { size: 3 }])).toBe(2.5);
  });

  it.each(procedures)("are certified falsely by %s at most as often as is said", (procedure) => {
    const [groups, size, tolerance] = [150, 8, 0.03];
    const declaration = declare(
      { procedure, tolerance, level: 0.025 },
      new Array<number>(groups).fill(size),
    );
    const random = randomOf("groups", procedure);
    const runs = 1000;
    let wrong = 0;
    for (let run = 0; run < runs; run++) {
      // A third of the groups holds all differences, so that images of a group share their fate in part.
      const units = Array.from({ length: groups }, (): Unit => {
        const isHard = random.uniform() < 1 / 3;
        let [l, w] = [0, 0];
        for (let i = 0; isHard && i < size; i++) {
          const u = random.uniform();
          if (u < 0.165) l++;
          else if (u < 0.24) w++;
        }
        return { size, lost: l, won: w };
      });
      if (judge(declaration, units).isCertified) wrong++;
    }
    expect(wrong / runs).toBeLessThan(0.025 + 2 * Math.sqrt((0.025 * 0.975) / runs));
  });
});

describe("people who answer", () => {
  it("are taken to err in 2 % of the answers until decoys say more", () => {
    expect(labellerError({ answered: 0, wrong: 0 })).toBe(0);
    expect(labellerError({ answered: 5, wrong: 0 })).toBeCloseTo(0.016, 10);
    expect(labellerError({ answered: 10, wrong: 2 })).toBe(0.2);
    expect(correctedTolerance(0.01, 0.1)).toBeCloseTo(0.008, 12);
    expect(correctedTolerance(0.01, 0.6)).toBe(0);
  });

  it("agree as far as Cohen's kappa says", () => {
    // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: (0.7 - 0.5) / (1 - 0.5).
    const pairs = [
      ["y", "y", 20],
      ["y", "n", 5],
      ["n", "y", 10],
      ["n", "n", 15],
    ] as const;
    const side = (k: 0 | 1) => pairs.flatMap((pair) => new Array<string>(pair[2]).fill(pair[k]));
    expect(cohensKappa(side(0), side(1))).toBeCloseTo(0.4, 12);
    expect(cohensKappa(["a", "b"], ["a", "b"])).toBe(1);
    expect(cohensKappa(["a"], ["a"])).toBeUndefined();
    expect(cohensKappa([], [])).toBeUndefined();
  });
});
