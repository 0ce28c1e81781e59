/** @file What `train` tells a person at the end. */
import { join } from "node:path";
import type { TrainReport } from "../../runs/training/train-report.ts";
import { describeMetric, metricWords } from "../../words/metrics.ts";
import { counted, formatBytes } from "../../words/numbers.ts";
import { drawFacts, type Fact } from "../terminal/table.ts";

const ends = {
  completed: "",
  "early-stop": ", stopped early",
  "time-budget": ", stopped because the time was spent",
  "rolled-back": ", went back to the epoch before one that broke the network",
} as const;

/** Writes the result of a run. */
export function describeTraining(run: string, report: TrainReport, columns: number): string {
  const { epochs, steps, end, best, final, sizeBytes } = report;
  const facts: Fact[] = [];
  if (steps > 0)
    facts.push([
      "trained",
      { prose: `${counted(epochs, "epoch")}, ${counted(steps, "step")}${ends[end]}` },
    ]);
  if (best !== null) {
    const { metric, value, epoch } = best;
    facts.push(["best", { prose: `${describeMetric(metric, value)} on select, epoch ${epoch}` }]);
  }
  if (final !== null) {
    const { metric, value, ci95, samples, loss } = final;
    const interval = ci95 ? ` (95 %: ${ci95.map(metricWords(metric).value).join(" to ")})` : "";
    facts.push([
      "test",
      {
        prose: `${describeMetric(metric, value)}${interval}, loss ${loss.toFixed(4)}, ${counted(samples, "sample")}`,
      },
    ]);
  }
  facts.push(["model", `${join(run, "model.onnx")}, ${formatBytes(sizeBytes)}`]);
  return drawFacts(facts, columns);
}
