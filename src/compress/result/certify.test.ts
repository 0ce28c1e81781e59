/** @file Which round is the result, where `certify` has little or nothing to say. */
import { expect, it } from "vitest";
import type { RoundRecord } from "../record/compress-report.ts";
import { type ChoiceOptions, chooseRound } from "./certify.ts";

/** Rounds that were accepted on 1000 samples with these drops, each half as large as the one before. */
function rounds(drops: readonly number[]): RoundRecord[] {
  return drops.map((drop, i) => {
    const remaining = { macs: 0.5 ** (i + 1), params: 0.5 };
    const measured = { value: 0.9, ci95: [0.88, 0.92] satisfies [number, number], samples: 1000 };
    return {
      round: i + 1,
      remaining,
      isAccepted: true,
      search: [],
      learning: [],
      notes: [],
      attempts: [
        {
          units: 1,
          remaining,
          removed: measured,
          tuned: null,
          drop,
          upper: drop + 0.01,
          tuning: [],
          isAccepted: true,
          isDiverged: false,
          verification: { maxError: 0, samples: 3, passed: true },
        },
      ],
    };
  });
}

const options: ChoiceOptions = {
  maxDrop: 0.02,
  metric: "top1",
  confidence: 0.95,
  samples: 1000,
  look: async () => {
    throw new Error("certify must not be consulted");
  },
};

it("takes the last round where no tolerance was asked for", async () => {
  const choice = await chooseRound(rounds([0.01, 0.3]), { ...options, maxDrop: undefined });
  expect(choice).toMatchObject({ round: 2, isCertified: false, looks: [] });
});

it("claims nothing where no images serve as certify", async () => {
  const choice = await chooseRound(rounds([0.01, 0.015]), { ...options, samples: 0 });
  expect(choice).toMatchObject({ round: 2, isCertified: false, looks: [] });
  expect(choice.words).toMatch(/^Not certified: no images serve as `certify`/);
});

it("returns the original where nothing was accepted", async () => {
  expect(await chooseRound([], options)).toMatchObject({ round: 0, isCertified: false });
});

it("takes the smallest that passes, and the original where the mildest lost too much", async () => {
  const looked: number[] = [];
  const looking = (upper: readonly number[]): ChoiceOptions => ({
    ...options,
    look: async (round) => {
      looked.push(round);
      return { drop: upper[round - 1] - 0.005, upper: upper[round - 1], samples: 1000 };
    },
  });
  const two = rounds([0.001, 0.002]);
  expect(await chooseRound(two, looking([0.015, 0.019]))).toMatchObject({
    round: 2,
    isCertified: true,
  });
  const lost = await chooseRound(two, looking([0.04, 0.05]));
  expect(lost).toMatchObject({ round: 0, isCertified: false });
  expect(lost.looks.every(({ passed }) => !passed)).toBe(true);
  expect(new Set(looked)).toEqual(new Set([1, 2]));
});
