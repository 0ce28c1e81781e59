/** @file What `prune` tells a person. */

import type { Graph } from "../../ir/graph.ts";
import type { NotTimed, PairLatency } from "../../measure/latency/pair.ts";
import type { Damage } from "../../prune/damage.ts";
import type { EstimatedLatency, MeasuredLatency } from "../../prune/latency.ts";
import { type Pruned, partsOf } from "../../prune/pruned.ts";
import { whatMakesFaster } from "../../report/page/advice.ts";
import { countWeights } from "../../structure/weights/layer-weights.ts";
import { counted, formatBytes, formatInteger, formatMs, inPercent } from "../../words/numbers.ts";
import { speedOf, whySlower } from "../../words/speed.ts";
import { escapeForTerminal, wrap } from "../../words/text.ts";
import { drawTable, type TableOptions } from "../terminal/table.ts";

/** What is known of the latency of a result: the comparison at the end, or with --no-bench what --latency measured. */
export type ReportedLatency = PairLatency | NotTimed | MeasuredLatency;

/** The latency of a result, as far as it is known; the estimate is that of a cost table, where a target asked for it. */
export interface Latencies {
  readonly latency: ReportedLatency | undefined;
  readonly estimate: EstimatedLatency | undefined;
}

/** Writes the cost before and after, and the groups that lost channels. */
export function describePruned(
  pruned: Pruned,
  { latency, estimate }: Latencies,
  io: TableOptions,
): string {
  const { before, after, groups } = pruned;
  const row = (name: string, a: number, b: number, show: (value: number) => string) => [
    name,
    show(a),
    show(b),
    a === 0 ? "" : inPercent(b / a),
  ];
  const nonZero = (graph: Graph) => countWeights(graph).nonZero;
  const { structure, zeros } = partsOf(pruned);
  const [whole, left] = [structure.analysis.graph, pruned.graph].map(nonZero);
  const cost = drawTable(
    [
      { title: "" },
      { title: "before", align: "right" },
      { title: "after", align: "right" },
      { title: "left", align: "right" },
    ],
    [
      row("MACs", before.macs, after.macs, formatInteger),
      row("params", before.params, after.params, formatInteger),
      ...(zeros.size > 0 ? [row("weights, not 0", whole, left, formatInteger)] : []),
      row("size", before.sizeBytes, after.sizeBytes, formatBytes),
      ...(latency !== undefined && "ratio" in latency
        ? [row("latency", latency.originalMs, latency.medianMs, formatMs)]
        : []),
      ...(estimate !== undefined && latency === undefined
        ? [row("latency, estimated", estimate.originalMs, estimate.medianMs, formatMs)]
        : []),
    ],
    io,
  );
  const measured = latency === undefined ? "" : describeLatency(latency, io);
  const changed = groups.filter((group) => group.after < group.before);
  if (changed.length === 0) return `${cost}${measured}\nno channel was removed\n`;
  const table = drawTable(
    [
      { title: "group", isFlexible: true },
      { title: "units", align: "right" },
      { title: "after", align: "right" },
      { title: "left", align: "right" },
    ],
    changed.map((group) => [
      group.id,
      String(group.before),
      String(group.after),
      inPercent(group.after / group.before, 0),
    ]),
    io,
  );
  const same = groups.length - changed.length;
  const selected = pruned.selected
    .filter((layer) => layer.after < layer.before)
    .map(
      ({ layer, before: all, after: left }) =>
        `${wrap(`${escapeForTerminal(layer)} reads ${left} of ${counted(all, "feature")}, selected by a Gather that costs no MACs`, io.columns, "  ")}\n`,
    );
  return `${cost}${measured}\n${table}${selected.join("")}${same > 0 ? `${counted(same, "more group is unchanged", "more groups are unchanged")}\n` : ""}`;
}

/** Whether the result is faster, as far as the interval tells; where it is slower, why, and what to do. */
function describeLatency(latency: ReportedLatency, { columns }: TableOptions): string {
  const line = (text: string) => `${wrap(text, columns, "  ")}\n`;
  if ("skipped" in latency)
    return line(`latency: not measured. ${escapeForTerminal(latency.skipped)}`);
  const { verdict, words, interval } = speedOf(latency);
  const threads = counted(latency.threads, "thread");
  const measured = line(`latency: ${words} (${interval}), ${threads}`);
  if (verdict !== "slower" || !("slowerOperators" in latency)) return measured;
  const why = escapeForTerminal(whySlower(latency.slowerOperators));
  return `${measured}${line(why)}${line(whatMakesFaster)}`;
}

/** The warning that a network's answers hardly agree with the original's, with figures and advice. */
export function describeDamage({ outputs, inputs, samples, atFloor }: Damage): string {
  const lost = outputs
    .filter(({ isDestroyed }) => isDestroyed)
    .map(({ output, correlation, variation, agreement }) => {
      const choices = agreement
        ? `, the same class ${inPercent(agreement.share, 0)} of the time (${inPercent(agreement.chance, 0)} by chance)`
        : "";
      return `output "${output}" has a correlation of ${correlation.toFixed(2)} with the original's and ${inPercent(variation)} of its variance${choices}`;
    });
  const shown = lost.slice(0, 3).join("; ");
  const rest = lost.length > 3 ? `; and ${lost.length - 3} more outputs` : "";
  const groups = atFloor.slice(0, 3).map(({ id, before, after }) => `${id} ${after} of ${before}`);
  const floors = groups.length > 0 ? ` Hardly any units are left of: ${groups.join(", ")}.` : "";
  const isGiven = inputs === "given";
  const doubt = isGiven
    ? ""
    : " No images were given, and random ones that resemble photographs stood in for them: real ones tell more (--verify-data DIR, --refit DIR).";
  return (
    `little is left of what the network answered: on ${samples} ${isGiven ? "images" : "random inputs"}, ${shown}${rest}.${floors}${doubt} ` +
    "Choose a milder target, let it be refitted on images (--refit DIR), or use `espalier compress`, which tunes."
  );
}
