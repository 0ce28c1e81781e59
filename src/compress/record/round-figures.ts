/** @file The figures of a report that follow from its rounds. */
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import {
  acceptedOf,
  type CompressReport,
  type Measured,
  type RoundRecord,
} from "./compress-report.ts";

/** Epochs as they are written down; a score that is no finite number is left out. */
export function epochEntriesOf(
  history: readonly EpochRecord[],
): RoundRecord["attempts"][number]["tuning"] {
  return history.map(({ select, ...record }) => ({
    ...record,
    epoch: record.epoch + 1,
    ...(select && Number.isFinite(select.value) && Number.isFinite(select.loss) && { select }),
  }));
}

/** The rounds that led to the chosen one. */
export function roundsTaken(rounds: readonly RoundRecord[], chosen: number): RoundRecord[] {
  return rounds.filter(({ round, isAccepted }) => isAccepted && round <= chosen);
}

/** What the result does on `select`, as it was judged in its round; the original where nothing was taken. */
export function selectFigures(taken: readonly RoundRecord[], baseline: Measured): Measured {
  const last = taken.at(-1);
  const accepted = last && acceptedOf(last);
  return accepted === undefined ? baseline : (accepted.tuned ?? accepted.removed);
}

/** What the rounds had to say, each thing once; what one of several had to say, with its number. */
export function notesOf(rounds: readonly RoundRecord[]): string[] {
  return toldBy(rounds, ({ notes }) => notes);
}

/** What of the rounds must be acted on, as {@link notesOf}. */
export function warningsOf(rounds: readonly RoundRecord[]): string[] {
  return toldBy(rounds, ({ warnings = [] }) => warnings);
}

function toldBy(
  rounds: readonly RoundRecord[],
  textsOf: (record: RoundRecord) => readonly string[],
): string[] {
  const tellers = new Map<string, number[]>();
  for (const record of rounds)
    for (const text of new Set(textsOf(record)))
      tellers.set(text, [...(tellers.get(text) ?? []), record.round]);
  return [...tellers].map(([text, told]) =>
    told.length === 1 && rounds.length > 1 ? `round ${told[0]}: ${text}` : text,
  );
}

/** How exact the removals were that led to the result. */
export function verificationOf(taken: readonly RoundRecord[]): CompressReport["verification"] {
  const verifications = taken.flatMap((record) => acceptedOf(record)?.verification ?? []);
  return {
    maxError: Math.max(0, ...verifications.map(({ maxError }) => maxError)),
    samples: verifications.reduce((sum, { samples }) => sum + samples, 0),
    passed: verifications.every(({ passed }) => passed),
  };
}
