/**
 * @file The choice of the round whose network is the result: the smallest that the guard certifies, or the best that
 * may be claimed.
 */

import { z } from "zod";
import { loadModel } from "../../files/model-file.ts";
import { climb } from "../../guard/guard.ts";
import { type Drop, declareLadder, type State } from "../../guard/ladder.ts";
import { type Outcomes, pairedDropAsync } from "../../measure/outcomes/outcomes.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { logEvent } from "../../runs/folder/events.ts";
import { roundPaths } from "../../runs/folder/run-folder.ts";
import { metricWords } from "../../words/metrics.ts";
import type { CompressContext } from "../context/context.ts";
import { acceptedOf, type CompressReport, type RoundRecord } from "../record/compress-report.ts";
import type { ChosenRound } from "../record/outcome-record.ts";

/** A round that was accepted on `select`. */
interface RoundState extends State {
  readonly round: number;
}

/** A look at `certify`, as it is put on record. */
export const lookRecord = z.object({ drop: z.number(), upper: z.number(), samples: z.number() });

/** The name under which the look at a round is on record. */
export function lookName(round: number): string {
  return `look at round ${round}`;
}

/** The tolerance, and the measurement of a round's network on `certify`. */
export interface ChoiceOptions {
  readonly maxDrop: number | undefined;
  /** The metric of which that is a drop, by its name in reports. */
  readonly metric: string;
  readonly confidence: number;
  /** How many serve as `certify`. */
  readonly samples: number;
  /** The drop of a round's network, with its upper bound at this one-sided level. */
  readonly look: (round: number, level: number) => Promise<Drop>;
}

/**
 * Without a tolerance the last accepted round. With one, the smallest network that `certify` lets
 * pass. Where too few samples are there to tell, the mildest that was asked for, uncertified; where
 * its drop is too large, the original.
 */
export async function chooseRound(
  rounds: readonly RoundRecord[],
  { maxDrop, metric, confidence, samples, look }: ChoiceOptions,
): Promise<ChosenRound> {
  const states = rounds.flatMap((record): RoundState[] => {
    const accepted = acceptedOf(record);
    if (accepted === undefined) return [];
    const { drop, upper, removed, remaining } = accepted;
    return [
      {
        round: record.round,
        drop,
        upper,
        samples: removed.samples,
        size: remaining.density ?? remaining.macs,
      },
    ];
  });
  const last = states.at(-1)?.round ?? 0;
  if (maxDrop === undefined)
    return { round: last, isCertified: false, words: "No tolerance was asked for.", looks: [] };
  if (samples === 0) {
    const words = "Not certified: no images serve as `certify`. The result held on `select` only.";
    return { round: last, isCertified: false, words, looks: [] };
  }
  const ladder = declareLadder(states, { maxDrop, confidence, samples });
  const rungs = { main: ladder.main, milder: ladder.milder };
  const result = await climb(ladder, {
    maxDrop,
    metric,
    confidence,
    look: ({ round }, level) => look(round, level),
  });
  const looks = result.looks.map(({ ladder: name, rung, level, ...found }) => ({
    round: rungs[name][rung].round,
    level,
    ladder: name,
    drop: found.drop,
    upper: found.upper,
    samples: found.samples,
    passed: found.passed,
  }));
  const { certified, verdict, words, decisive } = result;
  const mildest = decisive && rungs[decisive.ladder][decisive.rung].round;
  const fallback = verdict === "too-few-samples" ? (mildest ?? 0) : 0;
  return {
    round: certified?.round ?? fallback,
    isCertified: certified !== undefined,
    words,
    looks,
  };
}

/** Consults `certify` about a round's network, once in a run: it is on record before it is used. */
export function looksOf(context: CompressContext): ChoiceOptions["look"] {
  const { hooks, run, journal } = context;
  let original: Outcomes | undefined;
  return (round, level) =>
    journal.once(lookName(round), lookRecord, async () => {
      hooks.onPhase?.(`certifying round ${round}`);
      logEvent(run, "look", { role: "certify", round, level });
      original ??= await context.measureOutcomes(
        writeModel(context.original.model).chunks,
        "certify",
      );
      const { chunks } = writeModel(await loadModel(roundPaths(run, round).tuned));
      const outcomes = await context.measureOutcomes(chunks, "certify");
      return pairedDropAsync(original, outcomes, { level, signal: hooks.signal });
    });
}

/** A look in a line. */
export function describeLook(
  { round, drop: observed, upper, passed }: CompressReport["looks"][number],
  metric: string,
): string {
  const { name, amount, difference } = metricWords(metric);
  return (
    `certify, round ${round}: ${name} ${observed < 0 ? "rises" : "drops"} by ${amount(Math.abs(observed))}, ` +
    `a drop of at most ${difference(upper)}: ` +
    `${passed ? "passed" : "failed"}`
  );
}
