/** @file What a report says of how far a run came, in every combination of target and tolerance. */
import { expect, it } from "vitest";
import { compressSettingsOf } from "../../runs/settings/compress-settings.ts";
import { outcomeOf } from "./outcome-record.ts";

const shares = { macs: 0.4, params: 0.3, bytes: 0.3, density: 1, latency: 0.7 };
const claim = "What the guard says.";

it.each([
  [0.5, undefined, true, "All targets are met."],
  [0.5, true, true, `All targets are met. ${claim}`],
  [0.5, false, false, `The targets are met, the tolerance is not certain. ${claim}`],
  [0.2, true, false, `The target for multiply-accumulates was missed: 40.0 % are left. ${claim}`],
  [0.2, false, false, `The target for multiply-accumulates was missed: 40.0 % are left. ${claim}`],
  [undefined, true, true, claim],
  [undefined, false, false, claim],
])("target %s, certified %s: reached %s", (macs, isCertified, isReached, words) => {
  const settings = compressSettingsOf({
    ...(macs !== undefined && { targets: { macs } }),
    ...(isCertified !== undefined && { maxDrop: 0.01 }),
  });
  const choice = { round: 1, isCertified: isCertified ?? false, words: claim };
  expect(outcomeOf(settings, choice, false, { shares, rounds: [], uncounted: [] })).toEqual({
    isReached,
    isTimeSpent: false,
    words,
  });
});
