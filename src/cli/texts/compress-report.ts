/** @file What `compress` tells a person at the end. */

import { join } from "node:path";
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { whatMakesFaster } from "../../report/page/advice.ts";
import { metricWords } from "../../words/metrics.ts";
import {
  counted,
  formatBytes,
  formatInteger,
  formatMs,
  formatScientific,
  inPercent,
} from "../../words/numbers.ts";
import { speedOf, whySlower } from "../../words/speed.ts";
import { escapeForTerminal, wrap } from "../../words/text.ts";
import { exitCodes } from "../terminal/failure.ts";
import { inFlags } from "../terminal/flag-names.ts";
import { drawFacts, drawTable, type Fact, type TableOptions } from "../terminal/table.ts";

/** The exit code: 0, or 3 where a target or the tolerance was not reached although there was time. */
export function exitCodeOf({ outcome }: CompressReport): number {
  return outcome.isReached || outcome.isTimeSpent ? exitCodes.done : exitCodes.targetMissed;
}

/** Writes the figures before and after, the verdict of the guard, and the path of the result. */
export function describeCompression(run: string, report: CompressReport, io: TableOptions): string {
  const { baseline, result, drop, outcome, verification } = report;
  const words = metricWords(report.metric);
  const row = (name: string, a: number, b: number, show: (value: number) => string) => [
    name,
    show(a),
    show(b),
    inPercent(b / a),
  ];
  const metric = (name: string, a: number | null, b: number | null) =>
    a === null || b === null ? [] : [[name, words.value(a), words.value(b), ""]];
  const weights = (side: "before" | "after") =>
    report.sparsity.reduce((sum, layer) => sum + layer[side].nonZero, 0);
  const table = drawTable(
    [
      { title: "" },
      { title: "before", align: "right" },
      { title: "after", align: "right" },
      { title: "left", align: "right" },
    ],
    [
      ...metric(`${words.name} (test)`, baseline.value, result.value),
      row("MACs", baseline.macs, result.macs, formatInteger),
      row("params", baseline.params, result.params, formatInteger),
      ...(report.sparsity.length > 0
        ? [row("weights, not 0", weights("before"), weights("after"), formatInteger)]
        : []),
      row("size", baseline.sizeBytes, result.sizeBytes, formatBytes),
      ...(baseline.latencyMs === undefined || result.latencyMs === undefined
        ? []
        : [row("latency", baseline.latencyMs, result.latencyMs, formatMs)]),
    ],
    io,
  );
  const facts: Fact[] = [];
  if (drop.value !== null && drop.ci95 !== null)
    facts.push([
      "drop",
      {
        prose:
          `${words.difference(drop.value)} on ${counted(result.samples, "test sample")} ` +
          `(95 %: ${drop.ci95.map(words.amount).join(" to ")})`,
      },
    ]);
  for (const { layer, before, after } of report.selected)
    facts.push(["selected", `${escapeForTerminal(layer)} reads ${after} of ${before} features`]);
  facts.push(
    ...latencyFacts(report),
    [
      "verified",
      `${verification.passed ? "exact removal" : "FAILED"}, error ${formatScientific(verification.maxError)} of the range`,
    ],
    ...packedFact(report),
    ["model", join(run, "model.onnx")],
    ["report", join(run, "report.html")],
  );
  return `${table}\n${outcome.words}\n${warningsOf(report, io)}\n${drawFacts(facts, io.columns)}`;
}

/** Whether the result is faster; where it is slower, why, and what to do. */
function latencyFacts({ latency }: CompressReport): readonly Fact[] {
  if (latency === undefined) return [];
  const { verdict, words, interval } = speedOf(latency);
  const threads = counted(latency.threads, "thread");
  const measured: Fact = ["latency", { prose: `${words} (${interval}), ${threads}` }];
  if (verdict !== "slower") return [measured];
  const why = escapeForTerminal(whySlower(latency.slowerOperators));
  return [measured, ["slower", { prose: `${why} ${whatMakesFaster}` }]];
}

/** Problems of the run, and warnings that need action, as lines of text. */
function warningsOf({ warnings }: CompressReport, { columns }: TableOptions): string {
  return warnings
    .map((warning) => `${wrap(`warning: ${escapeForTerminal(inFlags(warning))}`, columns, "  ")}\n`)
    .join("");
}

/** The size of the result in a pack, where it was counted. */
function packedFact({ packing }: CompressReport): readonly [string, string][] {
  if (packing === undefined || "skipped" in packing) return [];
  const size = formatBytes(packing.bytes);
  return [["if packed", `${size} with steps of 8 bits, which the drop does not include`]];
}
