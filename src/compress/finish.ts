/** @file The end of a compression: the chosen network is checked, measured on `test`, and written. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { loadModel, saveModel } from "../files/model-file.ts";
import { loadPlan, savePlan } from "../files/plan-file.ts";
import { bench } from "../measure/bench.ts";
import { calibrationError, reliability } from "../measure/classification.ts";
import { overlapOf, overlapsOf, sumOfRows } from "../measure/confusion.ts";
import { type Outcomes, pairedDrop } from "../measure/outcomes.ts";
import { saveOutcomes } from "../measure/outcomes-file.ts";
import type { Model } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { type Cost, costOf } from "../structure/cost.ts";
import { planOf } from "../structure/plan.ts";
import { structureOf } from "../structure/units.ts";
import type { Choice } from "./certify.ts";
import { composeRemovals, mismatchAfter } from "./compose.ts";
import type { CompressReport, RoundRecord } from "./compress-report.ts";
import { hasTargets } from "./compress-settings.ts";
import type { CompressContext } from "./context.ts";
import { saveExamples } from "./examples.ts";
import { measuredOf } from "./round.ts";
import { type CompressConfig, roundPaths, runPaths } from "./run-folder.ts";
import { sensitivityOfRun } from "./sensitivity-of-run.ts";

/** What a run has come to when its rounds are over. */
export interface Outcome {
  readonly rounds: readonly RoundRecord[];
  readonly choice: Choice;
  readonly isTimeSpent: boolean;
  readonly warnings: readonly string[];
}

const latency = z.object({
  original: z.number(),
  result: z.number(),
  ratio: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  threads: z.number(),
  provider: z.string(),
});

/** One side of the comparison, as far as it is measured. */
interface Side {
  readonly cost: Cost;
  readonly sizeBytes: number;
  readonly select: Outcomes;
  readonly test: Outcomes | undefined;
}

/**
 * Writes `model.onnx`, `plan.json` and `predictions/`, and gives the report. `test` is read here, and
 * nowhere else.
 */
export async function finish(
  context: CompressContext,
  config: CompressConfig,
  outcome: Outcome,
): Promise<CompressReport> {
  const { run, original, dataset, settings, hooks } = context;
  const { rounds, choice } = outcome;
  const paths = runPaths(run);
  const model = await chosenModel(context, choice.round);
  const taken = rounds.filter(({ round, isAccepted }) => isAccepted && round <= choice.round);
  const plans = await Promise.all(taken.map(({ round }) => loadPlan(roundPaths(run, round).plan)));
  const removed = composeRemovals(original.structure, plans);
  const mismatch = mismatchAfter(original.structure, removed, model.graph);
  if (mismatch !== undefined)
    throw new EspalierError("VERIFY_FAILED", `the rounds do not add up: ${mismatch}`);
  hooks.onPhase?.("testing");
  const hasTest = dataset.size("test") > 0;
  const examine = async (network: Model, role: "select" | "test") =>
    context.examine(chunksOf(network), role);
  const before: Side = {
    ...{ cost: original.cost, sizeBytes: original.model.sizeBytes, select: original.select },
    test: hasTest ? await examine(original.model, "test") : undefined,
  };
  const after: Side = {
    cost: costOf(model.graph, structureOf(model.graph).analysis.dims),
    sizeBytes: model.sizeBytes,
    select: await examine(model, "select"),
    test: hasTest ? await examine(model, "test") : undefined,
  };
  const times = await timesOf(context, model);
  await savePredictions(context, before, after);
  if (before.test?.kind === "maps") {
    const { examples } = paths.predictions;
    const networks = { original: chunksOf(original.model), compressed: chunksOf(model) };
    await saveExamples(context, networks, config.hasLabels, examples);
  }
  await saveModel(paths.model, writeModel(model));
  await savePlan(paths.plan, planOf(original.structure, removed, settings.method, []));

  const drop = before.test && after.test && pairedDrop(before.test, after.test, { level: 0.025 });
  const isKept = (unit: number) => removed[unit] === 0;
  const { metric, task } = kindOf(before.select, config);
  const [baseline, result] = [sideOf(before, times.original), sideOf(after, times.result)];
  const verifications = taken
    .flatMap(({ attempts }) => attempts.filter(({ isAccepted }) => isAccepted))
    .map(({ verification }) => verification);
  return {
    ...{ command: "compress", version: 1, network: config.network, method: settings.method },
    ...{ methodOptions: settings.methodOptions, seed: settings.tuning.seed, task, metric },
    hasLabels: config.hasLabels,
    classNames: dataset.classNames === undefined ? null : [...dataset.classNames],
    asked: {
      ...settings.targets,
      ...(settings.maxDrop === undefined ? {} : { maxDrop: settings.maxDrop }),
      confidence: settings.confidence,
    },
    samples: {
      ...{ fit: dataset.size("fit"), select: dataset.size("select") },
      ...{ certify: dataset.size("certify"), test: dataset.size("test") },
    },
    ...{ baseline, result },
    latency: {
      ...{ ratio: times.ratio, ci95: times.ci95 },
      ...{ threads: times.threads, provider: times.provider },
    },
    drop: {
      value: drop?.drop ?? null,
      ci95: drop === undefined ? null : [drop.ci95[0], drop.ci95[1]],
      ...{ certified: choice.isCertified, words: choice.words },
    },
    looks: [...choice.looks],
    rounds: [...rounds],
    chosenRound: choice.round,
    outcome: verdictOf(context, outcome, baseline, result, times.ratio),
    groups: original.structure.groups.map(({ id, units, axes }) => ({
      id,
      layers: axes.map((axis) => original.structure.filterAxes[axis].node.name),
      ...{ before: units.length, after: units.filter(isKept).length },
    })),
    layers: layersOf(before.cost, after.cost),
    verification: {
      maxError: Math.max(0, ...verifications.map(({ maxError }) => maxError)),
      samples: verifications.reduce((sum, { samples }) => sum + samples, 0),
      passed: verifications.every(({ passed }) => passed),
    },
    calibration: calibrationOf(before.test, after.test),
    classes: classesOf(context, before.test, after.test),
    sensitivity: await sensitivityOfRun(context, outcome.isTimeSpent),
    digests: {
      original: await digestOf(paths.original),
      model: await digestOf(paths.model),
      data: config.data.digest,
    },
    notes: [...new Set(rounds.flatMap(({ notes }) => notes))],
    warnings: [...outcome.warnings],
  };
}

/** The network of a round; the original for 0. */
async function chosenModel({ run, original }: CompressContext, round: number): Promise<Model> {
  return round === 0 ? original.model : loadModel(roundPaths(run, round).tuned);
}

/** Latencies, measured once in a run. */
async function timesOf(
  { journal, hooks, session, settings, original }: CompressContext,
  model: Model,
) {
  return journal.once("latency", latency, async () => {
    hooks.onPhase?.("timing");
    const { models, ratios, threads, provider } = await bench(
      [
        { name: "original", model: chunksOf(original.model) },
        { name: "result", model: chunksOf(model) },
      ],
      { ...session, seconds: settings.benchSeconds },
    );
    const [{ ratio, ci95: ends }] = ratios;
    const ci95: [number, number] = [ends[0], ends[1]];
    return {
      ...{ original: models[0].medianMs, result: models[1].medianMs },
      ...{ ratio, ci95, threads, provider },
    };
  });
}

async function savePredictions(context: CompressContext, before: Side, after: Side): Promise<void> {
  if (before.test === undefined || after.test === undefined) return;
  const { predictions } = runPaths(context.run);
  await mkdir(dirname(predictions.original), { recursive: true });
  await saveOutcomes(predictions.original, before.test);
  await saveOutcomes(predictions.result, after.test);
}

function chunksOf(model: Model): readonly Uint8Array[] {
  return writeModel(model).chunks;
}

function sideOf({ cost, sizeBytes, select, test }: Side, latencyMs: number) {
  const measured = test && measuredOf(test);
  return {
    value: measured?.value ?? null,
    ci95: measured?.ci95 ?? null,
    loss: measured?.loss ?? null,
    samples: measured?.samples ?? 0,
    select: measuredOf(select),
    ...{ macs: cost.macs, params: cost.params, sizeBytes, latencyMs },
  };
}

function kindOf(
  outcomes: Outcomes,
  { hasLabels }: CompressConfig,
): Pick<CompressReport, "metric" | "task"> {
  const labelled = (metric: string) => (hasLabels ? metric : "agreement");
  switch (outcomes.kind) {
    case "classes":
      return { metric: labelled("top1"), task: "classification" };
    case "maps":
      return { metric: labelled("miou"), task: "segmentation" };
    case "values":
      return { metric: outcomes.metric, task: "custom" };
    default:
      return outcomes satisfies never;
  }
}

/** Whether targets and tolerance are met, in a sentence. */
function verdictOf(
  { settings }: CompressContext,
  { choice, isTimeSpent }: Outcome,
  before: CompressReport["baseline"],
  after: CompressReport["result"],
  latencyRatio: number,
): CompressReport["outcome"] {
  const shares = {
    macs: after.macs / before.macs,
    params: after.params / before.params,
    bytes: after.sizeBytes / before.sizeBytes,
    latency: latencyRatio,
  };
  const missed = Object.entries(shares).filter(([name, share]) => {
    const target = Object.entries(settings.targets).find(([key]) => key === name)?.[1];
    return target !== undefined && share > target * (1 + 1e-9);
  });
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const isKept = settings.maxDrop === undefined || choice.isCertified;
  const words = [
    ...(isTimeSpent ? ["The time budget was spent."] : []),
    ...(choice.round === 0 ? ["The original is returned as it was: nothing smaller held."] : []),
    ...(hasTargets(settings) && missed.length === 0 ? ["All targets are met."] : []),
    ...missed.map(
      ([name, share]) => `The target for ${name} was missed: ${percent(share)} are left.`,
    ),
    ...(settings.maxDrop === undefined ? [] : [choice.words]),
  ];
  return { isReached: missed.length === 0 && isKept, isTimeSpent, words: words.join(" ") };
}

/** Every layer that costs anything, by its name before. */
function layersOf(before: Cost, after: Cost): CompressReport["layers"] {
  const small = new Map(after.layers.map((layer) => [layer.name, layer]));
  return before.layers
    .filter(({ macs, params }) => macs > 0 || params > 0)
    .map(({ name, opType, macs, params }) => ({
      ...{ name, opType, before: { macs, params } },
      after: { macs: small.get(name)?.macs ?? 0, params: small.get(name)?.params ?? 0 },
    }));
}

function calibrationOf(
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

function classesOf(
  { dataset }: CompressContext,
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): CompressReport["classes"] {
  if (before === undefined || after === undefined || before.kind === "values") return [];
  const [first, second] = [before, after].map(perClass);
  return first.map(({ samples, value }, label) => ({
    ...{ label, name: dataset.classNames?.[label] ?? null, samples },
    ...{ before: value, after: second[label]?.value ?? null },
  }));
}

/** Accuracy of the samples of each class, or its IoU with its pixels. */
function perClass(
  outcomes: Outcomes,
): readonly { readonly samples: number; readonly value: number | null }[] {
  if (outcomes.kind === "values") return [];
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

async function digestOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
