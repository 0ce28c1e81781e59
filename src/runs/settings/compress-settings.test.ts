/** @file What rounds may lose, in figures done by hand, and settings that contradict each other. */
import { describe, expect, it } from "vitest";
import {
  acceptedDropOf,
  type CompressSettingsInput,
  compressSettingsOf,
} from "./compress-settings.ts";

describe("the drop up to which a round is accepted", () => {
  const dropsOf = (input: CompressSettingsInput, rounds: number) => {
    const settings = compressSettingsOf({ method: "magnitude", ...input, rounds });
    return Array.from({ length: rounds }, (_, i) => acceptedDropOf(settings, i + 1));
  };

  it("goes in quarters of the tolerance, where nothing else says how far to go", () => {
    expect(dropsOf({ maxDrop: 0.04 }, 4)).toEqual([0.01, 0.02, 0.03, 0.04]);
    expect(dropsOf({ maxDrop: 0.04 }, 8)).toEqual([0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04]);
    expect(dropsOf({ maxDrop: 0.04 }, 1)).toEqual([0.04]);
  });

  it("rises from more than half of it to all of it, where there are targets", () => {
    expect(dropsOf({ maxDrop: 0.04, targets: { macs: 0.5 } }, 4)).toEqual([
      0.025, 0.03, 0.035, 0.04,
    ]);
  });

  it("has no end without a tolerance", () => {
    expect(dropsOf({ targets: { macs: 0.5 } }, 1)).toEqual([Number.POSITIVE_INFINITY]);
  });
});

describe("settings that a teacher would not read", () => {
  it.each([
    { tuning: { labelSmoothing: 0.1 }, says: /smoothing is of labels/ },
    { tuning: { loss: "dice" as const }, says: /a teacher is followed by its own loss/ },
  ])("are refused before anything is read: $tuning", ({ tuning, says }) => {
    const settings = { method: "magnitude", maxDrop: 0.1, tuning };
    expect(() => compressSettingsOf({ ...settings, distills: true })).toThrow(says);
    expect(compressSettingsOf(settings).tuning).toMatchObject(tuning);
  });
});
