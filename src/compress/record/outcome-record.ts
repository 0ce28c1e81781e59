/** @file What was asked of a compression, and whether it was reached, as it stands in a report. */

import { unclaimable } from "../../prune/unknown-costs.ts";
import { type CompressSettings, hasTargets } from "../../runs/settings/compress-settings.ts";
import type { Cost } from "../../structure/cost/cost.ts";
import { inPercent } from "../../words/numbers.ts";
import type { CompressReport, RoundRecord } from "./compress-report.ts";

/** The round whose network is the result, and what the guard says of it. */
export interface ChosenRound {
  /** 0: the original. */
  readonly round: number;
  readonly isCertified: boolean;
  readonly words: string;
  readonly looks: CompressReport["looks"];
}

/** What was asked for. */
export function askedOf({
  targets,
  maxDrop,
  confidence,
}: CompressSettings): CompressReport["asked"] {
  return { ...targets, ...(maxDrop === undefined ? {} : { maxDrop }), confidence };
}

/** What is left of the original, as shares in the terms of the targets. */
export function sharesLeft(
  before: Cost,
  after: Cost,
  { density, latency }: Pick<SharesLeft, "density" | "latency">,
): SharesLeft {
  return {
    macs: after.macs / before.macs,
    params: after.params / before.params,
    bytes: after.parameterBytes / before.parameterBytes,
    density,
    latency,
  };
}

/** Shares of the original that are left, by target; bytes are those of the parameters, as targets have them. */
export type SharesLeft = Readonly<Record<Exclude<TargetName, "latency">, number>> & {
  /** `undefined` where it could not be measured. */
  readonly latency: number | undefined;
};

type TargetName = keyof CompressSettings["targets"];

/** What targets are called in sentences. */
const targetNames: ReadonlyMap<string, string> = new Map([
  ["macs", "multiply-accumulates"],
  ["params", "parameters"],
  ["bytes", "bytes of parameters"],
  ["density", "weights that are not 0"],
]);

/** Whether targets and tolerance are met, in a sentence. */
export function outcomeOf(
  settings: CompressSettings,
  { round, isCertified, words: claim }: Pick<ChosenRound, "round" | "isCertified" | "words">,
  isTimeSpent: boolean,
  {
    shares,
    rounds,
    uncounted,
  }: Pick<Cost, "uncounted"> & {
    readonly shares: SharesLeft;
    readonly rounds: readonly RoundRecord[];
  },
): CompressReport["outcome"] {
  const asked = new Map(Object.entries(settings.targets));
  const missed = Object.entries(shares).filter(([name, share]) => {
    const target = asked.get(name);
    return target !== undefined && !((share ?? Number.NaN) <= target * (1 + 1e-9));
  });
  const unclear = settings.targets.macs === undefined ? [] : uncounted;
  const isKept = settings.maxDrop === undefined || isCertified;
  const words = [
    ...(isTimeSpent ? ["The time budget was spent."] : []),
    ...(round === 0 ? ["The original is returned as it was: nothing smaller held."] : []),
    ...divergenceWords(rounds),
    ...(hasTargets(settings) && missed.length === 0 && unclear.length === 0
      ? [metWords(isKept)]
      : []),
    ...missed.map(([name, share]) => missedWords(targetNames.get(name) ?? name, share)),
    ...unclaimable({ uncounted }, settings.targets),
    ...(settings.maxDrop === undefined ? [] : [claim]),
  ];
  const isReached = missed.length === 0 && unclear.length === 0 && isKept;
  return { isReached, isTimeSpent, words: words.join(" ") };
}

function metWords(isKept: boolean): string {
  return isKept ? "All targets are met." : "The targets are met, the tolerance is not certain.";
}

function missedWords(name: string, share: number | undefined): string {
  if (share === undefined) return `The target for ${name} was missed: it could not be measured.`;
  return `The target for ${name} was missed: ${inPercent(share)} are left.`;
}

/** The sentence that tuning diverged, where it did. */
function divergenceWords(rounds: readonly RoundRecord[]): string[] {
  const attempts = rounds.flatMap((round) => round.attempts);
  const diverged = attempts.filter(({ isDiverged }) => isDiverged).length;
  if (diverged === 0) return [];
  const hint = "a lower learning rate, warm-up or clipping may help";
  return [`Fine-tuning diverged in ${diverged} of ${attempts.length} attempts: ${hint}.`];
}
