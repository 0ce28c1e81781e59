/** @file Ladders: what they begin and end with, whatever `select` said. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { declareLadder, levelOf, type State, stagesOf } from "./ladder.ts";

const state = fc.record({
  drop: fc.double({ min: -0.05, max: 0.05, noNaN: true }),
  half: fc.double({ min: 0, max: 0.05, noNaN: true }),
  size: fc.integer({ min: 1, max: 1000 }),
});
const states = fc
  .uniqueArray(state, { selector: ({ size }) => size, maxLength: 40, size: "max" })
  .map((all) =>
    all.map(({ drop, half, size }): State => ({ drop, upper: drop + half, samples: 1000, size })),
  );

describe("declareLadder", () => {
  it("takes what held, mildest first, and ends with the most aggressive", () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 1, max: 6 }), (all, rungs) => {
        const { main, milder } = declareLadder(all, { maxDrop: 0.01, samples: 2500, rungs });
        const held = all.filter(({ drop }) => drop <= 0.01);
        const sizes = [...milder, ...main].map(({ size }) => size);
        expect([...main, ...milder].every((one) => held.includes(one))).toBe(true);
        expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
        expect(new Set(sizes).size).toBe(sizes.length);
        expect(main.at(-1)?.size).toBe(
          held.length === 0 ? undefined : Math.min(...held.map(({ size }) => size)),
        );
        expect(main.length).toBeLessThanOrEqual(rungs);
        expect(milder.length).toBeLessThanOrEqual(rungs);
      }),
    );
  });

  it("does not depend on the order of the states", () => {
    fc.assert(
      fc.property(states, (all) => {
        const options = { maxDrop: 0.01, samples: 2500 };
        expect(declareLadder(all.toReversed(), options)).toEqual(declareLadder(all, options));
      }),
    );
  });

  // Ten networks that lose 0.1, 0.2, ... 1 points; the bound lies 0.8 points above on 1000 images, so
  // 0.4 above on 4000. Half a standard error of both is 0.5 * hypot(0.8, 0.4) / 1.96 = 0.228 points, so
  // that the first rung has at most 1 - 0.4 + 0.228 = 0.828 points; on 250 images, 1 - 1.6 + 0.456 < 0.
  it.each([
    { samples: 4000, main: [8, 9, 10], milder: [1, 3, 5, 7] },
    { samples: 250, main: [1, 4, 7, 10], milder: [] },
    { samples: 1e9, main: [10], milder: [1, 4, 6, 9] },
  ])("foretells what $samples images will certify", ({ samples, main, milder }) => {
    const all = Array.from({ length: 10 }, (_, i): State => {
      const drop = (i + 1) / 1000;
      return { drop, upper: drop + 0.008, samples: 1000, size: 1 - i / 20 };
    });
    const ladder = declareLadder(all, { maxDrop: 0.01, samples });
    const numbers = (rungs: readonly State[]) => rungs.map((rung) => all.indexOf(rung) + 1);
    expect({ main: numbers(ladder.main), milder: numbers(ladder.milder) }).toEqual({
      main,
      milder,
    });
  });

  it("trusts no state that is better than all around it", () => {
    const drops = [0, 0.009, 0.001, 0.0095];
    const all = drops.map(
      (drop, i): State => ({ drop, upper: drop + 0.004, samples: 1000, size: 1 - i / 10 }),
    );
    // Smoothed: 0, 0.005, 0.005, 0.0095; with a margin of 0.004 the third may begin, the last not.
    const { main } = declareLadder(all, { maxDrop: 0.01, samples: 1000 });
    expect(main).toEqual(all.slice(2));
  });

  it("is empty where nothing held", () => {
    const all: State[] = [{ drop: 0.02, upper: 0.03, samples: 100, size: 0.5 }];
    expect(declareLadder(all, { maxDrop: 0.01, samples: 100 })).toEqual({ main: [], milder: [] });
  });
});

describe("the parts", () => {
  it("share alpha between two ladders", () => {
    expect(levelOf(0.95)).toBeCloseTo(0.025, 12);
  });

  it("rise to the tolerance itself", () => {
    expect(stagesOf(0.02)).toEqual([0.005, 0.01, 0.015, 0.02]);
    expect(stagesOf(0.07, 3).at(-1)).toBe(0.07);
  });
});
