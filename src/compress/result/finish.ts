/** @file The end of a compression: the chosen network is checked, measured on `test`, and written. */
import { dirname } from "node:path";
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { loadModel, saveModel } from "../../files/model-file.ts";
import { loadPlan, savePlan } from "../../files/plan-file.ts";
import { bench } from "../../measure/latency/bench.ts";
import type { Outcomes } from "../../measure/outcomes/outcomes.ts";
import { saveOutcomes } from "../../measure/outcomes/outcomes-file.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { selectedInputs } from "../../prune/prune.ts";
import {
  type CompressConfig,
  makeFolder,
  roundPaths,
  runPaths,
} from "../../runs/folder/run-folder.ts";
import { costOf } from "../../structure/cost.ts";
import { planOf } from "../../structure/plan.ts";
import type { Removed } from "../../structure/removal.ts";
import { structureOf } from "../../structure/units.ts";
import { type CompressContext, densityLeft } from "../context/context.ts";
import type { CompressReport, RoundRecord } from "../record/compress-report.ts";
import { packingRecordOf } from "../record/packing-record.ts";
import type { Choice } from "../record/report-figures.ts";
import {
  askedOf,
  calibrationOf,
  classesOf,
  costFigures,
  dropFigures,
  groupsOf,
  kindOf,
  layersOf,
  measuredOf,
  notesOf,
  outcomeOf,
  roundsTaken,
  selectFigures,
  sharesLeft,
  sparsityOf,
  testFigures,
  verificationOf,
  warningsOf,
} from "../record/report-figures.ts";
import { uncertaintyRecordOf } from "../record/uncertainty-record.ts";
import { composeRemovals, composeZeros, mismatchAfter } from "../rounds/compose.ts";
import { saveExamples } from "./examples.ts";
import { samplePosterior } from "./posterior-of-run.ts";
import { sensitivityOfRun } from "./sensitivity-of-run.ts";

/** What a run has come to when its rounds are over. */
export interface Outcome {
  readonly rounds: readonly RoundRecord[];
  readonly choice: Choice;
  readonly isTimeSpent: boolean;
  /** Of the original and the data; those of rounds stand with them. */
  readonly warnings: readonly string[];
}

/** The latencies of a run, as they are put on record. */
export const latencyRecord = z.object({
  original: z.number(),
  result: z.number(),
  ratio: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  threads: z.number(),
  provider: z.string(),
});

/** The chosen network, and what was measured of it and of the original; `undefined` without `test`. */
interface Tested {
  readonly model: Model;
  /** The rounds that led to it. */
  readonly taken: readonly RoundRecord[];
  readonly removed: Removed;
  readonly before: Outcomes | undefined;
  readonly after: Outcomes | undefined;
  readonly posterior: Awaited<ReturnType<typeof samplePosterior>>;
  readonly times: z.output<typeof latencyRecord>;
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
  return reportOf(context, config, outcome, await testAndWrite(context, config, outcome));
}

/** Checks and measures the chosen network, and writes all files of the result but the report. */
async function testAndWrite(
  context: CompressContext,
  { hasLabels }: CompressConfig,
  { rounds, choice: { round: chosen } }: Outcome,
): Promise<Tested> {
  const { run, original, dataset, settings, hooks } = context;
  const paths = runPaths(run);
  const model = await chosenModel(context, chosen);
  const taken = roundsTaken(rounds, chosen);
  const plans = await Promise.all(taken.map(({ round }) => loadPlan(roundPaths(run, round).plan)));
  const removed = composeRemovals(original.structure, plans);
  const mismatch = mismatchAfter(original.structure, removed, model.graph);
  if (mismatch !== undefined)
    throw new EspalierError("VERIFY_FAILED", `the rounds do not add up: ${mismatch}`);
  hooks.onPhase?.("testing");
  const test = async (network: Model) =>
    dataset.size("test") > 0 ? context.examine(chunksOf(network), "test") : undefined;
  const [before, after] = [await test(original.model), await test(model)];
  const times = await timesOf(context, model);
  await savePredictions(context, before, after);
  const posterior = await samplePosterior(context, taken, model, after);
  if (before?.kind === "maps") {
    const { examples } = paths.predictions;
    const networks = { original: chunksOf(original.model), compressed: chunksOf(model) };
    await saveExamples(context, networks, hasLabels, examples);
  }
  await saveModel(paths.model, writeModel(model));
  const zeros = composeZeros(original.structure, plans);
  await savePlan(paths.plan, planOf(original.structure, removed, settings.method, [], zeros));
  return { model, taken, removed, before, after, posterior, times };
}

/** What `report.json` says: all of it follows from what was measured, but the packing and the sensitivity. */
async function reportOf(
  context: CompressContext,
  config: CompressConfig,
  { rounds, choice, isTimeSpent, warnings }: Outcome,
  { model, taken, removed, before, after, posterior, times }: Tested,
): Promise<CompressReport> {
  const { run, original, dataset, settings, hooks } = context;
  const paths = runPaths(run);
  hooks.onPhase?.("packing");
  const packed = packingRecordOf(await loadModel(paths.model));
  const cost = costOf(model.graph, structureOf(model.graph).analysis.dims);
  const baseline = {
    ...testFigures(before),
    select: measuredOf(original.select),
    ...costFigures(original.cost, original.model),
    latencyMs: times.original,
  };
  const result = {
    ...testFigures(after),
    select: selectFigures(taken, baseline.select),
    ...costFigures(cost, model),
    latencyMs: times.result,
  };
  const latency = {
    ratio: times.ratio,
    ci95: times.ci95,
    threads: times.threads,
    provider: times.provider,
  };
  const classNames = dataset.classNames === undefined ? null : [...dataset.classNames];
  return {
    command: "compress",
    version: 1,
    network: config.network,
    method: settings.method,
    methodOptions: settings.methodOptions,
    seed: settings.tuning.seed,
    ...kindOf(original.select, config.hasLabels),
    hasLabels: config.hasLabels,
    classNames,
    asked: askedOf(settings),
    samples: {
      fit: dataset.size("fit"),
      select: dataset.size("select"),
      certify: dataset.size("certify"),
      test: dataset.size("test"),
    },
    baseline,
    result,
    latency,
    drop: { ...dropFigures(before, after), certified: choice.isCertified, words: choice.words },
    looks: [...choice.looks],
    rounds: [...rounds],
    chosenRound: choice.round,
    outcome: outcomeOf(settings, choice, isTimeSpent, {
      shares: sharesLeft(original.cost, cost, {
        density: densityLeft(model.graph, original),
        latency: times.ratio,
      }),
      rounds,
      uncounted: cost.uncounted,
    }),
    groups: groupsOf(original.structure, removed),
    selected: [...selectedInputs(original.structure, removed)],
    layers: layersOf(original.cost, cost),
    sparsity: sparsityOf(original.model.graph, model.graph),
    packing: packed,
    verification: verificationOf(taken),
    calibration: calibrationOf(before, after),
    uncertainty: uncertaintyRecordOf({ before, after, posterior }, config.hasLabels),
    classes: classesOf(before, after, classNames),
    sensitivity: await sensitivityOfRun(context, isTimeSpent),
    digests: {
      original: await fileDigest(paths.original),
      model: await fileDigest(paths.model),
      data: config.data.digest,
    },
    notes: notesOf(rounds),
    warnings: [...warnings, ...warningsOf(rounds)],
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
  return journal.once("latency", latencyRecord, async () => {
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
      original: models[0].medianMs,
      result: models[1].medianMs,
      ratio,
      ci95,
      threads,
      provider,
    };
  });
}

async function savePredictions(
  context: CompressContext,
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): Promise<void> {
  if (before === undefined || after === undefined) return;
  const { predictions } = runPaths(context.run);
  await makeFolder(dirname(predictions.original));
  await saveOutcomes(predictions.original, before);
  await saveOutcomes(predictions.result, after);
}

function chunksOf(model: Model): readonly Uint8Array[] {
  return writeModel(model).chunks;
}
