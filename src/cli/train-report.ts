/** @file What `train` tells a person at the end. */
import { join } from "node:path";
import type { TrainReport } from "../compress/training/train-report.ts";
import { inPercent } from "../measure/words.ts";
import { formatBytes, formatInteger } from "../report/text.ts";
import { describeScore } from "./follow.ts";
import { drawFacts } from "./table.ts";

const ends = {
  completed: "",
  "early-stop": ", stopped early",
  "time-budget": ", the time was spent",
  "rolled-back": ", went back behind an epoch that broke the network",
} as const;

/** What came of a run. */
export function describeTraining(run: string, report: TrainReport, columns: number): string {
  const { epochs, steps, end, best, final, sizeBytes } = report;
  const facts: [string, string][] = [];
  if (steps > 0)
    facts.push([
      "trained",
      `${epochs} ${epochs === 1 ? "epoch" : "epochs"}, ${formatInteger(steps)} steps${ends[end]}`,
    ]);
  if (best !== null) facts.push(["best", `${describeScore(best)} on select, epoch ${best.epoch}`]);
  if (final !== null) {
    const { ci95, samples, loss } = final;
    const interval = ci95 ? ` (95 % ${ci95.map((p) => inPercent(p, 2)).join(" to ")})` : "";
    facts.push([
      "test",
      `${describeScore(final)}${interval}, loss ${loss.toFixed(4)}, ${formatInteger(samples)} samples`,
    ]);
  }
  facts.push(["model", `${join(run, "model.onnx")}, ${formatBytes(sizeBytes)}`]);
  return drawFacts(facts, columns);
}
