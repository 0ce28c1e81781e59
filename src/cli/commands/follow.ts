/** @file Commands that work in a run folder: they show how much is done, and can be stopped. */

import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import type { TrainProgress } from "../../train/loop/options.ts";
import { describeMetric } from "../../words/metrics.ts";
import { formatCount, inPercent } from "../../words/numbers.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { type IsolationFlags, inHost } from "../options/isolation.ts";
import { inFlags } from "../terminal/flag-names.ts";
import type { Io } from "../terminal/io.ts";
import { newProgress, type Step } from "../terminal/progress.ts";

/** Runs `work` in the process that its flags ask for, and shows how much is done. */
export async function follow<Report>(
  io: Io,
  flags: IsolationFlags,
  work: (hooks: RunHooks) => Promise<Report>,
): Promise<Report> {
  const progress = newProgress(io);
  let epochs = 0;
  let phase = "";
  try {
    const hooks: RunHooks = {
      signal: io.signal,
      onPhase(name) {
        phase = name;
        progress.phase(name);
      },
      onProgress(training) {
        epochs = training.epochs;
        const { stage } = training;
        if (stage !== undefined) progress.phase(`${phase}, ${escapeForTerminal(stage)}`);
        progress.step(stepOf(training));
      },
      onEpoch: (record, isBest) => progress.note(describeEpoch(record, epochs, isBest)),
      onTest: ({ done, total, unit = "samples" }) => progress.step({ done, total, unit }),
      onNote: (note) => progress.note(escapeForTerminal(inFlags(note))),
      onWarning: (warning) => progress.warn(escapeForTerminal(warning)),
    };
    // A run that is stopped keeps its state, so its host must outlive the stop.
    return await inHost(flags, () => work(hooks));
  } finally {
    progress.end();
  }
}

/** How much of the training is done, for a progress line. */
export function stepOf(progress: TrainProgress): Step {
  const { phase, epoch, epochs, step, steps, loss, accuracy, imagesPerSecond } = progress;
  const notes = [
    `epoch ${Math.min(epoch + 1, epochs)}/${epochs}`,
    phase === "evaluate" ? "evaluating" : `loss ${loss.toPrecision(3)}`,
    accuracy === undefined ? undefined : inPercent(accuracy),
  ];
  return {
    done: step,
    total: steps,
    unit: "steps",
    rate: `${formatCount(imagesPerSecond)} img/s`,
    note: notes.filter((note) => note !== undefined).join("  "),
    secondsLeft: progress.secondsLeft,
  };
}

function describeEpoch(record: EpochRecord, epochs: number, isBest: boolean): string {
  const { epoch, loss, accuracy, select } = record;
  const parts = [
    `loss ${loss.toPrecision(4)}`,
    ...(accuracy === undefined ? [] : [`right ${inPercent(accuracy, 2)}`]),
    ...(select === undefined
      ? []
      : [`${describeMetric(select.metric, select.value)} on select${isBest ? " (best)" : ""}`]),
  ];
  return `epoch ${epoch + 1}/${epochs}: ${parts.join(", ")}`;
}
