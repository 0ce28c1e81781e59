/** @file Which round's network is the result: what the guard certifies, or the best that may be claimed. */

import { z } from "zod";
import { loadModel } from "../files/model-file.ts";
import { type Outcomes, pairedDrop } from "../measure/outcomes.ts";
import { writeModel } from "../onnx/write.ts";
import type { CompressReport, RoundRecord } from "./compress-report.ts";
import type { CompressContext } from "./context.ts";
import { climb } from "./guard.ts";
import { declareLadder, type State } from "./ladder.ts";
import { logEvent, roundPaths } from "./run-folder.ts";

/** A round that was accepted on `select`. */
interface RoundState extends State {
  readonly round: number;
}

/** What the guard says of the rounds. */
export interface Choice {
  /** 0: the original. */
  readonly round: number;
  readonly isCertified: boolean;
  readonly words: string;
  readonly looks: CompressReport["looks"];
}

const drop = z.object({ drop: z.number(), upper: z.number(), samples: z.number() });

/**
 * Without a tolerance the last accepted round. With one, the smallest network that `certify` lets
 * pass. Where too few samples are there to tell, the mildest that was asked for, uncertified; where
 * its drop is too large, the original.
 */
export async function chooseRound(
  context: CompressContext,
  rounds: readonly RoundRecord[],
): Promise<Choice> {
  const { settings, dataset, hooks, run, journal } = context;
  const { maxDrop, confidence } = settings;
  const states = rounds.flatMap((record): RoundState[] => {
    const accepted = record.attempts.find(({ isAccepted }) => isAccepted);
    if (accepted === undefined) return [];
    const { drop, upper, removed, remaining } = accepted;
    return [{ round: record.round, drop, upper, samples: removed.samples, size: remaining.macs }];
  });
  const last = states.at(-1)?.round ?? 0;
  if (maxDrop === undefined)
    return { round: last, isCertified: false, words: "No tolerance was asked for.", looks: [] };
  const samples = dataset.size("certify");
  if (samples === 0) {
    const words = "Not certified: no images serve as `certify`. The result held on `select` only.";
    return { round: last, isCertified: false, words, looks: [] };
  }
  const ladder = declareLadder(states, { maxDrop, confidence, samples });
  let original: Outcomes | undefined;
  const rungs = { main: ladder.main, milder: ladder.milder };
  const result = await climb(ladder, {
    ...{ maxDrop, confidence },
    look: ({ round }, level) =>
      journal.once(`look at round ${round}`, drop, async () => {
        hooks.onPhase?.(`certifying round ${round}`);
        logEvent(run, "look", { role: "certify", round, level });
        original ??= await context.examine(writeModel(context.original.model).chunks, "certify");
        const { chunks } = writeModel(await loadModel(roundPaths(run, round).tuned));
        return pairedDrop(original, await context.examine(chunks, "certify"), { level });
      }),
  });
  const looks = result.looks.map(({ ladder: name, rung, level, ...found }) => ({
    ...{ round: rungs[name][rung].round, level, ladder: name },
    ...{ drop: found.drop, upper: found.upper, samples: found.samples, passed: found.passed },
  }));
  const { certified, verdict, words, decisive } = result;
  for (const { round, drop: observed, upper, passed } of looks)
    hooks.onNote?.(
      `certify, round ${round}: drop ${(100 * observed).toFixed(2)}, at most ` +
        `${(100 * upper).toFixed(2)} points: ${passed ? "passed" : "failed"}`,
    );
  const mildest = decisive && rungs[decisive.ladder][decisive.rung].round;
  const fallback = verdict === "too-few-samples" ? (mildest ?? 0) : 0;
  return {
    round: certified?.round ?? fallback,
    isCertified: certified !== undefined,
    ...{ words, looks },
  };
}
