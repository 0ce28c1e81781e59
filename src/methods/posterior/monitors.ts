/** @file Figures about a posterior after each epoch of learning it, and the detection of its collapse. */
import { quantile } from "../../measure/statistics/statistics.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import type { PosteriorFacts } from "../method/learned-method.ts";
import { advanced, choice } from "../method/options.ts";

/** Names of the figures that are reported besides the score of an epoch. */
const klName = "kl";
const aliveName = "alive ";
/** Quantiles of the units' ratios of signal to noise, by name. */
const ratioQuantiles = [
  ["snr p05", 0.05],
  ["snr p25", 0.25],
  ["snr p50", 0.5],
  ["snr p75", 0.75],
  ["snr p95", 0.95],
] as const;

/** Σ KL in nats, quantiles of μ/σ over all units, and how many units of each group are above the threshold. */
export function epochFacts(facts: readonly PosteriorFacts[]): Readonly<Record<string, number>> {
  const ratios = facts.flatMap(({ snr }) => snr).filter(Number.isFinite);
  const kl = facts.reduce((sum, own) => sum + own.kl.reduce((a, b) => a + b, 0), 0);
  return {
    [klName]: kl,
    ...(ratios.length > 0 &&
      Object.fromEntries(ratioQuantiles.map(([name, share]) => [name, quantile(ratios, share)]))),
    ...Object.fromEntries(facts.map(({ group, units, dead }) => [aliveName + group, units - dead])),
  };
}

/** The groups of which no unit was above the threshold after an epoch, by id. */
export function collapsedGroups({ select }: Pick<EpochRecord, "select">): readonly string[] {
  return Object.entries(select?.facts ?? {})
    .filter(([name, alive]) => name.startsWith(aliveName) && alive === 0)
    .map(([name]) => name.slice(aliveName.length));
}

/** The option that says whether learning ends where a group collapses. */
export const collapse = advanced(
  choice(
    ["roll-back", "go-on"],
    "roll-back",
    "If all units of a group fall below the threshold, learning ends and goes back to the epoch before (roll-back), or goes on.",
  ),
);

/** The setting of `train` that rolls back an epoch in which a group collapsed, unless the option says otherwise. */
export function rollsBackCollapse(
  asked: (typeof collapse)["default"],
): ((record: EpochRecord) => boolean) | undefined {
  return asked === "roll-back" ? (record) => collapsedGroups(record).length > 0 : undefined;
}

/** The largest number of groups that a sentence names. */
const mostNamed = 4;

/**
 * The notes for the user where learning was rolled back: the groups, the epoch, and the setting to lower.
 *
 * @param history The epochs of one training run that may have ended so.
 * @param offset Epochs before them.
 */
export function collapseNotes(
  history: readonly EpochRecord[],
  lambda: number,
  offset = 0,
): readonly string[] {
  const last = history.at(-1);
  const groups = last === undefined ? [] : collapsedGroups(last);
  if (last === undefined || groups.length === 0) return [];
  const more = groups.length > mostNamed ? ` and ${groups.length - mostNamed} more groups` : "";
  const epoch = offset + last.epoch + 1;
  const place = last.epoch === 0 ? "the state at the beginning" : `epoch ${epoch - 1}`;
  const used = Number(lambda.toPrecision(4));
  return [
    `in epoch ${epoch} all units of ${groups.slice(0, mostNamed).join(", ")}${more} fell below the threshold: ` +
      `learning ended there and went back to ${place}; lower lambda (it was ${used}) to learn on, or say ` +
      `collapse=go-on`,
  ];
}
