/**
 * @file The report of a compression, as it follows from the evidence. `finish` gathers the evidence at the end
 * of a run and writes the report; `verify RUN` gathers it from the files of the run and compares.
 */
import { z } from "zod";
import type { PairLatency } from "../../measure/latency/pair.ts";
import type { Outcomes } from "../../measure/outcomes/outcomes.ts";
import type { Model } from "../../onnx/model.ts";
import { selectedInputs } from "../../prune/prune.ts";
import type { CompressConfig } from "../../runs/folder/run-folder.ts";
import { type Cost, costOf } from "../../structure/cost/cost.ts";
import type { Removed } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { countWeights, weightTotal } from "../../structure/weights/layer-weights.ts";
import {
  type CompressReport,
  latencyFigures,
  type Measured,
  type RoundRecord,
} from "./compress-report.ts";
import { costFigures, groupsOf, layersOf, sparsityOf } from "./network-figures.ts";
import { askedOf, type ChosenRound, outcomeOf, sharesLeft } from "./outcome-record.ts";
import { packingRecordOf } from "./packing-record.ts";
import {
  notesOf,
  roundsTaken,
  selectFigures,
  verificationOf,
  warningsOf,
} from "./round-figures.ts";
import { calibrationOf, classesOf, dropFigures, testFigures } from "./sample-figures.ts";
import { uncertaintyRecordOf } from "./uncertainty-record.ts";

/** The latencies of a run as they are put on record, or why there are none. */
export const timingRecord = z.union([
  latencyFigures.extend({ original: z.number(), result: z.number() }),
  z.object({ skipped: z.string() }),
]);

/** What was measured, in the form of the record. */
export function recordOfTiming(timed: PairLatency): z.output<typeof timingRecord> {
  const { originalMs, medianMs, ratio, ci95, threads, provider, slowerOperators } = timed;
  return {
    original: originalMs,
    result: medianMs,
    ratio,
    ci95: [ci95[0], ci95[1]],
    threads,
    provider,
    slowerOperators: slowerOperators.map(({ isSlower: _, ...operator }) => operator),
  };
}

/** What both networks did on `test`, and what draws from a posterior did; `undefined` without `test`. */
export interface TestEvidence {
  readonly before: Outcomes | undefined;
  readonly after: Outcomes | undefined;
  readonly posterior: { readonly draws: number; readonly outcomes: Outcomes } | undefined;
}

/** All that a report follows from. */
export interface Evidence {
  readonly config: Pick<CompressConfig, "network" | "hasLabels" | "data" | "settings">;
  readonly classNames: readonly string[] | undefined;
  readonly samples: CompressReport["samples"];
  /** What the metric is called, and what the network is for. */
  readonly kind: Pick<CompressReport, "metric" | "task">;
  readonly original: Model;
  readonly structure: Structure;
  readonly result: Model;
  /** The units of the original that the result is without. */
  readonly removed: Removed;
  /** The original on `select`. */
  readonly select: Measured;
  readonly test: TestEvidence;
  /** `undefined` where the networks were not to be timed. */
  readonly latencies: z.output<typeof timingRecord> | undefined;
  readonly rounds: readonly RoundRecord[];
  readonly choice: ChosenRound;
  readonly isTimeSpent: boolean;
  /** Warnings of the original and its data; those of rounds stand with the rounds. */
  readonly warnings: readonly string[];
  readonly sensitivity: CompressReport["sensitivity"];
  /** Digests of the files of both networks. */
  readonly digests: Pick<CompressReport["digests"], "original" | "model">;
}

/** What `report.json` says. It depends on nothing but the evidence. */
export function reportOf(evidence: Evidence): CompressReport {
  const { config, kind, original, structure, result, removed, test, rounds, choice } = evidence;
  const { settings, hasLabels } = config;
  const timed = timesOf(evidence.latencies);
  const taken = roundsTaken(rounds, choice.round);
  const costs = {
    before: costOf(original.graph, structure.analysis.dims),
    after: costOf(result.graph, structureOf(result.graph).analysis.dims),
  };
  const classNames = evidence.classNames === undefined ? null : [...evidence.classNames];
  return {
    command: "compress",
    version: 1,
    network: config.network,
    method: settings.method,
    methodOptions: settings.methodOptions,
    seed: settings.tuning.seed,
    metric: kind.metric,
    task: kind.task,
    hasLabels,
    classNames,
    asked: askedOf(settings),
    samples: evidence.samples,
    baseline: {
      ...testFigures(test.before),
      select: evidence.select,
      ...costFigures(costs.before, original),
      ...timed.baseline,
    },
    result: {
      ...testFigures(test.after),
      select: selectFigures(taken, evidence.select),
      ...costFigures(costs.after, result),
      ...timed.result,
    },
    ...timed.report,
    drop: {
      ...dropFigures(test.before, test.after),
      certified: choice.isCertified,
      words: choice.words,
    },
    looks: [...choice.looks],
    rounds: [...rounds],
    chosenRound: choice.round,
    outcome: verdictOf(evidence, costs),
    groups: groupsOf(structure, removed),
    selected: [...selectedInputs(structure, removed)],
    layers: layersOf(costs.before, costs.after),
    sparsity: sparsityOf(original.graph, result.graph),
    packing: packingRecordOf(result),
    verification: verificationOf(taken),
    calibration: calibrationOf(test.before, test.after),
    uncertainty: uncertaintyRecordOf(test, hasLabels),
    classes: classesOf(test.before, test.after, classNames),
    sensitivity: evidence.sensitivity,
    digests: { ...evidence.digests, data: config.data.digest },
    notes: notesOf(rounds),
    warnings: [...evidence.warnings, ...(timed.warnings ?? []), ...warningsOf(rounds)],
  };
}

/** The latencies in the places of a report where they stand. */
function timesOf(latencies: Evidence["latencies"]) {
  if (latencies === undefined) return {};
  if ("skipped" in latencies)
    return { warnings: [`the result was not timed: ${latencies.skipped}`] };
  const { original, result, ...latency } = latencies;
  return {
    baseline: { latencyMs: original },
    result: { latencyMs: result },
    report: { latency },
  };
}

function ratioOf(latencies: Evidence["latencies"]): number | undefined {
  return latencies === undefined || "skipped" in latencies ? undefined : latencies.ratio;
}

/** Whether the result reaches what was asked for, by all that is left of the original. */
function verdictOf(
  { config, original, result, latencies, rounds, choice, isTimeSpent }: Evidence,
  { before, after }: { readonly before: Cost; readonly after: Cost },
): CompressReport["outcome"] {
  const density = countWeights(result.graph).nonZero / weightTotal(original.graph);
  const shares = sharesLeft(before, after, { density, latency: ratioOf(latencies) });
  const { uncounted } = after;
  return outcomeOf(config.settings, choice, isTimeSpent, { shares, rounds, uncounted });
}
