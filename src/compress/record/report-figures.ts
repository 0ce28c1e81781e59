/** @file The figures of a report, from what was counted: made at the end of a run, and again to verify it. */
import type { Graph } from "../../ir/graph.ts";
import { calibrationError, reliability } from "../../measure/evaluation/classification.ts";
import { overlapOf, overlapsOf, sumOfRows } from "../../measure/evaluation/confusion.ts";
import { metricOf, type Outcomes, pairedDrop, samplesOf } from "../../measure/outcomes/outcomes.ts";
import { inPercent } from "../../measure/words.ts";
import type { Model } from "../../onnx/model.ts";
import { unclaimable } from "../../prune/unknown-costs.ts";
import { type CompressSettings, hasTargets } from "../../runs/settings/compress-settings.ts";
import type { Cost } from "../../structure/cost.ts";
import type { Removed } from "../../structure/removal.ts";
import {
  figuresOf,
  isSparse,
  layerSupports,
  magnitudeSupportOf,
  supportedWeights,
} from "../../structure/supports.ts";
import type { Structure } from "../../structure/units.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";

import {
  acceptedOf,
  type CompressReport,
  type Measured,
  type RoundRecord,
} from "./compress-report.ts";

/** A metric on a role, as it is written down. */
export function measuredOf(outcomes: Outcomes): Measured {
  const { value, ci95, loss } = metricOf(outcomes);
  return {
    value,
    ci95: [ci95[0], ci95[1]],
    samples: samplesOf(outcomes),
    ...(loss === undefined ? {} : { loss }),
  };
}

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

/** The metric of one side on `test`; nulls where there is no such data. */
export function testFigures(
  test: Outcomes | undefined,
): Pick<CompressReport["result"], "value" | "ci95" | "loss" | "samples"> {
  const measured = test && measuredOf(test);
  return {
    value: measured?.value ?? null,
    ci95: measured?.ci95 ?? null,
    loss: measured?.loss ?? null,
    samples: measured?.samples ?? 0,
  };
}

/** What one side costs. */
export function costFigures(
  { macs, params }: Cost,
  { sizeBytes }: Pick<Model, "sizeBytes">,
): Pick<CompressReport["result"], "macs" | "params" | "sizeBytes"> {
  return { macs, params, sizeBytes };
}

/** What is lost on `test`, sample by sample, and its two-sided interval. */
export function dropFigures(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): Pick<CompressReport["drop"], "value" | "ci95"> {
  if (before === undefined || after === undefined) return { value: null, ci95: null };
  const { drop, ci95 } = pairedDrop(before, after, { level: 0.025 });
  return { value: drop, ci95: [ci95[0], ci95[1]] };
}

/** What the metric is called, and what it is about. */
export function kindOf(
  outcomes: Outcomes,
  hasLabels: boolean,
): Pick<CompressReport, "metric" | "task"> {
  const labelled = (metric: string) => (hasLabels ? metric : "agreement");
  switch (outcomes.kind) {
    case "classes":
      return { metric: labelled("top1"), task: "classification" };
    case "maps":
      return { metric: labelled("miou"), task: "segmentation" };
    case "outputs":
      return { metric: "similarity", task: "outputs" };
    case "values":
      return { metric: outcomes.metric, task: "custom" };
    default:
      return outcomes satisfies never;
  }
}

/** What was asked for. */
export function askedOf({
  targets,
  maxDrop,
  confidence,
}: CompressSettings): CompressReport["asked"] {
  return { ...targets, ...(maxDrop === undefined ? {} : { maxDrop }), confidence };
}

/** What is left of the original, as shares in the terms of the targets. */
export function sharesLeft(
  before: Cost,
  after: Cost,
  { density, latency }: Pick<SharesLeft, "density" | "latency">,
): SharesLeft {
  return {
    macs: after.macs / before.macs,
    params: after.params / before.params,
    bytes: after.parameterBytes / before.parameterBytes,
    density,
    latency,
  };
}

/** Shares of the original that are left, by target; bytes are those of the parameters, as targets have them. */
export type SharesLeft = Readonly<Record<keyof CompressSettings["targets"], number>>;

/** What targets are called in sentences. */
const targetNames: ReadonlyMap<string, string> = new Map([
  ["macs", "multiply-accumulates"],
  ["params", "parameters"],
  ["bytes", "bytes of parameters"],
  ["density", "weights that are not 0"],
]);

/** Whether targets and tolerance are met, in a sentence. */
export function outcomeOf(
  settings: CompressSettings,
  { round, isCertified, words: claim }: Pick<Choice, "round" | "isCertified" | "words">,
  isTimeSpent: boolean,
  {
    shares,
    rounds,
    uncounted,
  }: Pick<Cost, "uncounted"> & {
    readonly shares: SharesLeft;
    readonly rounds: readonly RoundRecord[];
  },
): CompressReport["outcome"] {
  const missed = Object.entries(shares).filter(([name, share]) => {
    const target = Object.entries(settings.targets).find(([key]) => key === name)?.[1];
    return target !== undefined && share > target * (1 + 1e-9);
  });
  const unclear = settings.targets.macs === undefined ? [] : uncounted;
  const isKept = settings.maxDrop === undefined || isCertified;
  const words = [
    ...(isTimeSpent ? ["The time budget was spent."] : []),
    ...(round === 0 ? ["The original is returned as it was: nothing smaller held."] : []),
    ...divergenceWords(rounds),
    ...(hasTargets(settings) && missed.length === 0 && unclear.length === 0
      ? [metWords(isKept)]
      : []),
    ...missed.map(
      ([name, share]) =>
        `The target for ${targetNames.get(name) ?? name} was missed: ${inPercent(share)} are left.`,
    ),
    ...unclaimable({ uncounted }, settings.targets),
    ...(settings.maxDrop === undefined ? [] : [claim]),
  ];
  const isReached = missed.length === 0 && unclear.length === 0 && isKept;
  return { isReached, isTimeSpent, words: words.join(" ") };
}

function metWords(isKept: boolean): string {
  return isKept ? "All targets are met." : "The targets are met, the tolerance is not certain.";
}

/** That tuning diverged, where it did. */
function divergenceWords(rounds: readonly RoundRecord[]): string[] {
  const attempts = rounds.flatMap((round) => round.attempts);
  const diverged = attempts.filter(({ isDiverged }) => isDiverged).length;
  if (diverged === 0) return [];
  const hint = "a lower learning rate, warm-up or clipping may help";
  return [`Fine-tuning diverged in ${diverged} of ${attempts.length} attempts: ${hint}.`];
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

/** The groups of the original, and what is left of each. */
export function groupsOf(
  { groups, filterAxes }: Structure,
  removed: Removed,
): CompressReport["groups"] {
  return groups.map(({ id, units, axes }) => ({
    id,
    layers: axes.map((axis) => filterAxes[axis].node.name),
    before: units.length,
    after: units.filter((unit) => removed[unit] === 0).length,
  }));
}

/** Every layer that costs anything, by its name before. */
export function layersOf(before: Cost, after: Cost): CompressReport["layers"] {
  const small = new Map(after.layers.map((layer) => [layer.name, layer]));
  return before.layers
    .filter(({ macs, params }) => macs > 0 || params > 0)
    .map(({ name, opType, macs, params }) => ({
      name,
      opType,
      before: { macs, params },
      after: { macs: small.get(name)?.macs ?? 0, params: small.get(name)?.params ?? 0 },
    }));
}

/** The weights of each linear layer before and after; none where the result has no zeros beyond chance. */
export function sparsityOf(original: Graph, result: Graph): CompressReport["sparsity"] {
  const [before, after] = [layerSupports(original), layerSupports(result)];
  const densities = [...after.values()].map(({ weights, nonZero }) => nonZero / weights);
  if (!densities.some(isSparse)) return [];
  const weights = supportedWeights(original);
  return [...after].flatMap(([layer, own]) => {
    const [first, weight] = [before.get(layer), weights.get(layer)];
    if (first === undefined || weight === undefined) return [];
    const magnitude = figuresOf(magnitudeSupportOf(weight, own.nonZero));
    return [{ layer, before: first, magnitude, after: own }];
  });
}

/** Reliability of classifiers on `test`; null for all else. */
export function calibrationOf(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): CompressReport["calibration"] {
  if (before?.kind !== "classes" || after?.kind !== "classes") return null;
  const of = ({ predictions: { confidences, isCorrect } }: typeof before) => ({
    ece: calibrationError(confidences, isCorrect)(confidences.map((_, i) => i)),
    bins: [...reliability(confidences, isCorrect)],
  });
  return { before: of(before), after: of(after) };
}

/** Each class on `test`: accuracy of its samples, or its IoU. */
export function classesOf(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
  names: readonly string[] | null,
): CompressReport["classes"] {
  if (before === undefined || after === undefined) return [];
  const [first, second] = [before, after].map(perClass);
  return first.map(({ samples, value }, label) => ({
    label,
    name: names?.[label] ?? null,
    samples,
    before: value,
    after: second[label]?.value ?? null,
  }));
}

/** Accuracy of the samples of each class, or its IoU with its pixels. */
function perClass(
  outcomes: Outcomes,
): readonly { readonly samples: number; readonly value: number | null }[] {
  if (outcomes.kind === "values" || outcomes.kind === "outputs") return [];
  if (outcomes.kind === "maps") {
    const overlaps = overlapsOf(outcomes);
    const sum = sumOfRows(
      overlaps,
      Int32Array.from({ length: overlaps.images }, (_, i) => i),
    );
    return Array.from({ length: outcomes.classes }, (_, label) => {
      const { iou, pixels } = overlapOf(sum, outcomes.classes, label);
      return { samples: pixels, value: iou };
    });
  }
  const { labels, isCorrect } = outcomes.predictions;
  const counts = Array.from({ length: Math.max(0, ...labels) + 1 }, () => ({
    samples: 0,
    right: 0,
  }));
  for (const [i, label] of labels.entries()) {
    counts[label].samples++;
    counts[label].right += isCorrect[i];
  }
  return counts.map(({ samples, right }) => ({
    samples,
    value: samples === 0 ? null : right / samples,
  }));
}

/** What the guard says of the rounds. */
export interface Choice {
  /** 0: the original. */
  readonly round: number;
  readonly isCertified: boolean;
  readonly words: string;
  readonly looks: CompressReport["looks"];
}
