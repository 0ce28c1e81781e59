/** @file The rounds of a compression, one after the other, until there is enough or nothing more to try. */
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError } from "../../files/file-error.ts";
import { logEvent } from "../../runs/folder/events.ts";
import { roundPaths, runPaths } from "../../runs/folder/run-folder.ts";
import {
  acceptedDropOf,
  type CompressSettings,
  hasTargets,
} from "../../runs/settings/compress-settings.ts";
import type { CompressContext } from "../context/context.ts";
import { isTimeSpent } from "../context/time-budget.ts";
import { type RoundRecord, roundRecord } from "../record/compress-report.ts";
import { runRound, runTuning } from "./round.ts";

/** The result of the rounds. */
export interface Rounds {
  readonly rounds: readonly RoundRecord[];
  /** Whether they ended because the time budget did. */
  readonly isTimeSpent: boolean;
}

/** All rounds, and the tuning after the last. Fails as `compressRun`. */
export async function runRounds(context: CompressContext): Promise<Rounds> {
  const { run, settings } = context;
  const rounds: RoundRecord[] = [];
  let path = runPaths(run).original;
  const failures = new Map<number, number>();
  let isSpent = false;
  const add = async (work: (round: number) => Promise<RoundRecord>) => {
    const round = rounds.length + 1;
    const record = await recordRound(context, round, () => work(round));
    rounds.push(record);
    isSpent = await isTimeSpent(context, `time after round ${round}`);
    return record;
  };
  while (rounds.length < settings.rounds && !isSpent) {
    const record = await add((round) => runRound(context, round, path, failures));
    if (record.isAccepted) {
      path = roundPaths(run, record.round).tuned;
      failures.clear();
    } else if (!hasTargets(settings) && record.remaining.density === undefined)
      // With targets each round has a ranking of its own; of single weights the units tell nothing.
      for (const { units, drop } of record.attempts) failures.set(units, drop);
    if (isLast(settings, rounds)) break;
  }
  const last = rounds.findLast(({ isAccepted }) => isAccepted);
  if (last !== undefined && settings.finalEpochs > 0 && !isSpent)
    await add((round) => runTuning(context, round, path, last));
  return { rounds, isTimeSpent: isSpent };
}

/** Does a round once in the run, logs it, and drops the checkpoints that only it needed. */
async function recordRound(
  { run, journal }: CompressContext,
  round: number,
  work: () => Promise<RoundRecord>,
): Promise<RoundRecord> {
  let isNew = false;
  const once = async () => {
    const record = await work();
    const { isAccepted, remaining } = record;
    logEvent(run, "round", { round, isAccepted, remaining });
    isNew = true;
    return record;
  };
  const files = Object.values(roundPaths(run, round));
  const recorded = await journal.once(`round ${round}`, roundRecord, once, () => files);
  // If the round was on record already, the checkpoints there belong to a later round, which goes on from them.
  if (isNew) await clearCheckpoints(run);
  return recorded;
}

async function clearCheckpoints(run: string): Promise<void> {
  const folder = dirname(runPaths(run).journal);
  try {
    for (const name of await readdir(folder))
      if (name.endsWith(".safetensors")) await rm(join(folder, name), { force: true });
  } catch (cause) {
    throw fileError(`tidy up ${folder}`, folder, cause);
  }
}

/** A round that removes a smaller share than this of what was there is not worth another. */
const leastGain = 0.01;

/** Whether another round is pointless: the targets are met, or it would try the same again. */
function isLast(settings: CompressSettings, rounds: readonly RoundRecord[]): boolean {
  const last = rounds[rounds.length - 1];
  const { round, attempts, isAccepted, remaining } = last;
  // Where nothing was found, or all diverged, the next would begin with the same network and end likewise.
  if (attempts.every(({ isDiverged }) => isDiverged)) return true;
  const isAimed = hasTargets(settings);
  // One that lost too much is not the end: a later round may lose more, removes less, or aims elsewhere.
  if (!isAccepted) {
    const mayLoseMore = acceptedDropOf(settings, round) < acceptedDropOf(settings, settings.rounds);
    return !isAimed && !mayLoseMore && remaining.density !== undefined;
  }
  if (isAimed) return areMet(settings, remaining);
  const sizeOf = ({ macs, density }: RoundRecord["remaining"]) => density ?? macs;
  const before = rounds.at(-2)?.remaining;
  return sizeOf(remaining) > (before ? sizeOf(before) : 1) * (1 - leastGain);
}

/** Whether the targets are met. Bytes and latency are measured at the end: all rounds work towards them. */
function areMet(
  { targets: { macs, params, bytes, density, latency } }: CompressSettings,
  remaining: RoundRecord["remaining"],
): boolean {
  if (bytes !== undefined || latency !== undefined) return false;
  const isMet = (target: number | undefined, share: number) =>
    target === undefined || share <= target;
  return (
    isMet(macs, remaining.macs) &&
    isMet(params, remaining.params) &&
    isMet(density, remaining.density ?? 1)
  );
}
