/** @file What `train` and `resume` tell a person: on the way, and at the end. */
import { join } from "node:path";
import type { TrainReport } from "../compress/train-report.ts";
import type { RunHooks } from "../compress/train-run.ts";
import {
  escapeForTerminal,
  formatBytes,
  formatCount,
  formatInteger,
  formatPercent,
} from "../report/text.ts";
import type { EpochRecord } from "../train/checkpoint.ts";
import type { TrainProgress } from "../train/options.ts";
import { type Io, writeJson } from "./io.ts";
import { newProgress, type Step } from "./progress.ts";
import { drawFacts } from "./table.ts";

/** Runs `work`, shows how far it is, and prints what came of it. */
export async function follow(
  run: string,
  isJson: boolean,
  io: Io,
  work: (hooks: RunHooks) => Promise<TrainReport>,
): Promise<void> {
  const progress = newProgress(io);
  let epochs = 0;
  try {
    const report = await work({
      signal: io.signal,
      onPhase: progress.phase,
      onProgress(training) {
        epochs = training.epochs;
        progress.step(stepOf(training));
      },
      onEpoch: (record, isBest) => progress.note(describeEpoch(record, epochs, isBest)),
      onTest: ({ done, total }) => progress.step({ done, total, unit: "samples" }),
      onWarning: (warning) => progress.warn(escapeForTerminal(warning)),
    });
    progress.end();
    if (isJson) writeJson(io, report);
    else io.out(describe(run, report, io.columns));
  } finally {
    progress.end();
  }
}

/** How far training is, for a progress line. */
export function stepOf(progress: TrainProgress): Step {
  const { phase, epoch, epochs, step, steps, loss, accuracy, imagesPerSecond } = progress;
  const notes = [
    `epoch ${Math.min(epoch + 1, epochs)}/${epochs}`,
    phase === "evaluate" ? "evaluating" : `loss ${loss.toPrecision(3)}`,
    accuracy === undefined ? undefined : formatPercent(accuracy),
  ];
  return {
    ...{ done: step, total: steps, unit: "steps" },
    rate: `${formatCount(imagesPerSecond)} img/s`,
    note: notes.filter((note) => note !== undefined).join("  "),
    secondsLeft: progress.secondsLeft,
  };
}

function describeEpoch(record: EpochRecord, epochs: number, isBest: boolean): string {
  const { epoch, loss, accuracy, select } = record;
  const parts = [
    `loss ${loss.toPrecision(4)}`,
    ...(accuracy === undefined ? [] : [`right ${formatPercent(accuracy, 2)}`]),
    ...(select === undefined ? [] : [`select ${describeScore(select)}${isBest ? " (best)" : ""}`]),
  ];
  return `epoch ${epoch + 1}/${epochs}: ${parts.join(", ")}`;
}

function describeScore({ metric, value }: { readonly metric: string; readonly value: number }) {
  if (metric === "objective") return `loss ${(-value).toPrecision(4)}`;
  return formatPercent(value, 2);
}

const ends = {
  completed: "",
  "early-stop": ", stopped early",
  "time-budget": ", the time was spent",
} as const;

function describe(run: string, report: TrainReport, columns: number): string {
  const { epochs, steps, end, best, final, sizeBytes } = report;
  const facts: [string, string][] = [];
  if (steps > 0)
    facts.push(["trained", `${epochs} epochs, ${formatInteger(steps)} steps${ends[end]}`]);
  if (best !== null) facts.push(["best", `${describeScore(best)} on select, epoch ${best.epoch}`]);
  if (final !== null) {
    const { ci95, samples, loss } = final;
    const interval = ci95 ? ` (95 % ${ci95.map((p) => formatPercent(p, 2)).join(" to ")})` : "";
    facts.push([
      "test",
      `${describeScore(final)}${interval}, loss ${loss.toFixed(4)}, ${formatInteger(samples)} samples`,
    ]);
  }
  facts.push(["model", `${join(run, "model.onnx")}, ${formatBytes(sizeBytes)}`]);
  return drawFacts(facts, columns);
}
