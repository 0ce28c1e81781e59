/**
 * @file Compression in a folder that can be resumed: baseline, rounds, guard, final measurement.
 *
 * It is written as straight code. Whatever takes long is done once: decisions and figures are in the
 * journal, networks in files that were whole before the journal spoke of them, training in checkpoints.
 */
import { readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type Dataset, openDataset } from "../data/dataset.ts";
import type { DatasetOptions } from "../data/options.ts";
import { storedPreprocessing } from "../data/stored-preprocessing.ts";
import { EspalierError } from "../errors.ts";
import { loadModel, saveModel } from "../files/model-file.ts";
import { examine, metricOf, samplesOf } from "../measure/outcomes.ts";
import { withLabelsFrom } from "../measure/pseudo-labels.ts";
import { anyMethodNamed } from "../methods/learned-registry.ts";
import { requireOptions } from "../methods/method.ts";
import type { Model } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import type { SessionOptions } from "../runtime/session.ts";
import { versions } from "../runtime/versions.ts";
import { costOf } from "../structure/cost.ts";
import { structureOf } from "../structure/units.ts";
import type { Evaluator } from "../train/evaluation.ts";
import { chooseRound, describeLook, looksOf } from "./certify.ts";
import { type CompressReport, type RoundRecord, roundRecord } from "./compress-report.ts";
import { type CompressSettingsInput, compressSettingsOf, hasTargets } from "./compress-settings.ts";
import type { CompressContext, Original } from "./context.ts";
import {
  type CustomMetric,
  type CustomParts,
  customConfig,
  measureBy,
  requireSameParts,
} from "./custom.ts";
import { finish } from "./finish.ts";
import { Journal } from "./journal.ts";
import { runRound, runTuning } from "./round.ts";
import {
  type CompressConfig,
  createRun,
  discardRun,
  logEnd,
  logEvent,
  requireFree,
  roundPaths,
  runPaths,
  writeReport,
} from "./run-folder.ts";
import type { RunHooks } from "./run-hooks.ts";
import { trainOptionsOf } from "./train-settings.ts";

/** What to compress, with what data, and where to. */
export interface CompressRunRequest {
  /** An ONNX file. */
  readonly network: string;
  /** Allow weights in other files of the model's folder. */
  readonly externalData?: boolean;
  /** The folder of the run; it must be empty, or not there. */
  readonly run: string;
  readonly data: string;
  readonly dataOptions?: DatasetOptions;
  readonly settings: CompressSettingsInput;
  /** A metric and an objective of the caller's. */
  readonly custom?: CustomParts;
}

/**
 * Compresses in a new folder, and leaves it as described in `run-folder.ts`. A run that is stopped can
 * be resumed. The report says whether targets and tolerance were met.
 *
 * Fails with `RUN_NOT_EMPTY`, `USAGE`, `TARGET_INVALID`, `METHOD_UNKNOWN`, `VERIFY_FAILED`, everything
 * that `loadModel`, `openDataset` and `train` fail with, and `ABORTED`.
 */
export async function compressRun(
  request: CompressRunRequest,
  hooks: RunHooks = {},
): Promise<CompressReport> {
  const { run, network, externalData = false, custom = {} } = request;
  const settings = compressSettingsOf(request.settings);
  // Fails before anything is read.
  requireOptions(anyMethodNamed(settings.method), new Map(Object.entries(settings.methodOptions)));
  await requireFree(run);
  hooks.onPhase?.("reading");
  const { model, dataset, options } = await readRequest(request);
  const config: CompressConfig = {
    ...{ version: 1, command: "compress", versions: { ...versions() } },
    ...{ network, externalData, hasLabels: dataset.labelKind !== "none" },
    custom: customConfig(custom),
    data: { path: resolve(request.data), digest: await dataset.digest(), options },
    settings,
  };
  if (hooks.signal?.aborted) throw new EspalierError("ABORTED", "Stopped before the run began.");
  await createRun(run, config, (folder) => saveModel(runPaths(folder).original, writeModel(model)));
  logEvent(run, "started");
  try {
    return await continueCompression(run, config, dataset, hooks, custom);
  } catch (error) {
    if (!hooks.signal?.aborted && !(await isBegun(run))) await discardRun(run);
    throw error;
  }
}

/** Reads what is to be compressed, and with what. Fails with `DATA_NOT_FOUND`, and as {@link compressRun}. */
export async function readRequest(
  request: Pick<CompressRunRequest, "network" | "externalData" | "data" | "dataOptions">,
): Promise<{
  readonly model: Model;
  readonly dataset: Dataset;
  /** How samples become inputs: as asked for, else as the network was trained. */
  readonly options: DatasetOptions;
}> {
  const model = await loadModel(request.network, { externalData: request.externalData ?? false });
  const options = { ...storedPreprocessing(model.metadata), ...request.dataOptions };
  const dataset = await openDataset(request.data, options);
  for (const role of ["fit", "select"] as const)
    if (dataset.size(role) === 0)
      throw new EspalierError("DATA_NOT_FOUND", `${request.data}: no images serve as \`${role}\``, {
        hint: "Compression needs images to tune and to choose on: give a train file, or --held-out.",
      });
  return { model, dataset, options };
}

/** Goes on with a run where its journal ends, or begins it. Fails as {@link compressRun}. */
export async function continueCompression(
  run: string,
  config: CompressConfig,
  dataset: Dataset,
  hooks: RunHooks,
  custom: CustomParts = {},
): Promise<CompressReport> {
  requireSameParts(config.custom, custom);
  try {
    const context = await contextOf(run, config, dataset, hooks, custom);
    const report = await compress(context, config);
    logEvent(run, "finished", { isReached: report.outcome.isReached });
    return report;
  } catch (error) {
    const isStopped = hooks.signal?.aborted ?? false;
    logEnd(run, isStopped ? "stopped" : "failed", error);
    if (!isStopped && (await isBegun(run)))
      hooks.onNote?.(`what was done is kept: \`espalier resume ${run}\` goes on`);
    if (!isStopped) throw error;
    throw new EspalierError("ABORTED", "Compression was stopped.", {
      hint: `\`espalier resume ${run}\` goes on`,
      data: { run },
      cause: error,
    });
  }
}

async function compress(context: CompressContext, config: CompressConfig): Promise<CompressReport> {
  const { run, settings, dataset, journal, hooks } = context;
  const warnings = await journal.once("warnings", z.array(z.string()), () =>
    warningsOf(context, config),
  );
  for (const warning of warnings) hooks.onWarning?.(warning);

  const rounds: RoundRecord[] = [];
  let path = runPaths(run).original;
  let isTimeSpent = false;
  for (let round = 1; round <= settings.rounds && !isTimeSpent; round++) {
    const record = await recordRound(context, round, () => runRound(context, round, path));
    rounds.push(record);
    await clearCheckpoints(run);
    // A later round may lose more, so one that lost too much is not the end; one that found nothing is,
    // and one that always diverged: the next would begin with the same network.
    const { attempts } = record;
    if (attempts.every(({ isDiverged }) => isDiverged) || isEnough(context, rounds)) break;
    if (record.isAccepted) path = roundPaths(run, round).tuned;
    isTimeSpent = await journal.once(`time after round ${round}`, z.boolean(), () =>
      isSpent(context),
    );
  }
  const last = rounds.findLast(({ isAccepted }) => isAccepted);
  if (last !== undefined && settings.finalEpochs > 0 && !isTimeSpent) {
    const round = rounds.length + 1;
    const record = await recordRound(context, round, () =>
      runTuning(context, round, roundPaths(run, last.round).tuned, last),
    );
    rounds.push(record);
    await clearCheckpoints(run);
  }
  hooks.onPhase?.("choosing");
  const choice = await chooseRound(rounds, {
    ...{ maxDrop: settings.maxDrop, confidence: settings.confidence },
    ...{ samples: dataset.size("certify"), look: looksOf(context) },
  });
  for (const look of choice.looks) hooks.onNote?.(describeLook(look));
  const report = await finish(context, config, { rounds, choice, isTimeSpent, warnings });
  await writeReport(run, report);
  return report;
}

/** Does a round once in the run, and logs it. */
async function recordRound(
  { run, journal }: CompressContext,
  round: number,
  work: () => Promise<RoundRecord>,
): Promise<RoundRecord> {
  return journal.once(`round ${round}`, roundRecord, async () => {
    const record = await work();
    const { isAccepted, remaining } = record;
    logEvent(run, "round", { round, isAccepted, remaining });
    return record;
  });
}

/** Whether a run has anything on record. A journal that cannot be read is not thrown away. */
async function isBegun(run: string): Promise<boolean> {
  return Journal.open(runPaths(run).journal).then(
    ({ isEmpty }) => !isEmpty,
    () => true,
  );
}

async function contextOf(
  run: string,
  { settings, hasLabels, externalData }: CompressConfig,
  data: Dataset,
  hooks: RunHooks,
  { metric, objective }: CustomParts,
): Promise<CompressContext> {
  const { provider, threads } = settings.tuning;
  const session: SessionOptions = {
    providers: [provider],
    ...(threads !== undefined && { threads }),
    ...(hooks.signal && { signal: hooks.signal }),
  };
  const model = await loadModel(runPaths(run).original, { externalData });
  hooks.onPhase?.("measuring the baseline");
  const needsLabels = !hasLabels && metric === undefined;
  const dataset = needsLabels ? await withLabelsFrom(data, chunksOf(model), session) : data;
  const structure = structureOf(model.graph);
  const teacher = settings.distills || !hasLabels ? model.graph : undefined;
  const examineOn: CompressContext["examine"] = (network, split) =>
    metric === undefined
      ? examine(network, dataset, { ...session, split })
      : measureBy(metric, network, dataset, split);
  const original: Original = {
    ...{ model, structure, cost: costOf(model.graph, structure.analysis.dims) },
    select: await examineOn(chunksOf(model), "select"),
  };
  return {
    ...{ run, settings, dataset, original, session, hooks, examine: examineOn },
    method: anyMethodNamed(settings.method),
    tuning: {
      ...trainOptionsOf(
        { ...settings.tuning, epochs: Math.max(1, settings.epochs) },
        dataset,
        teacher,
      ),
      ...session,
      ...(objective && { objective }),
      ...(metric && { evaluator: evaluatorBy(metric, dataset) }),
    },
    journal: await Journal.open(runPaths(run).journal),
  };
}

function chunksOf(model: Model): readonly Uint8Array[] {
  return writeModel(model).chunks;
}

/** Scores networks between epochs by the caller's metric, whose negative stands in for a loss. */
function evaluatorBy(metric: CustomMetric, dataset: Dataset): Evaluator {
  return async ({ bytes }, role) => {
    const { value } = metricOf(await measureBy(metric, bytes.chunks, dataset, role));
    return { metric: metric.name, value, loss: -value };
  };
}

/** What the user should know before anything is done: above all, that `select` was trained on. */
async function warningsOf(
  { original, dataset, examine: examineOn }: CompressContext,
  { hasLabels }: CompressConfig,
): Promise<string[]> {
  const { model, select } = original;
  if (!hasLabels || select.kind === "values" || dataset.size("certify") === 0) return [];
  const certify = await examineOn(chunksOf(model), "certify");
  const [a, b] = [metricOf(select), metricOf(certify)];
  const halfWidths = [a, b].map(({ ci95 }) => (ci95[1] - ci95[0]) / 2);
  if (a.value - b.value <= Math.max(0.02, Math.hypot(...halfWidths))) return [];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    `The network reaches ${percent(a.value)} on the ${samplesOf(select)} images for selection but ` +
      `${percent(b.value)} on the ${samplesOf(certify)} for certification: it may have been trained ` +
      "on the former. Give held-out data (--held-out).",
  ];
}

/** Whether the targets are met, or a round without targets brought next to nothing. */
function isEnough({ settings }: CompressContext, rounds: readonly RoundRecord[]): boolean {
  const last = rounds[rounds.length - 1];
  if (!last.isAccepted) return false;
  const { macs, params, bytes, latency } = settings.targets;
  if (hasTargets(settings)) {
    // Bytes and latency are measured at the end: all rounds work towards them.
    const isMet = (target: number | undefined, share: number) =>
      target === undefined || share <= target;
    if (bytes !== undefined || latency !== undefined) return false;
    return isMet(macs, last.remaining.macs) && isMet(params, last.remaining.params);
  }
  const before = rounds.at(-2)?.remaining.macs ?? 1;
  return last.remaining.macs > before * (1 - leastGain);
}

/** A round that removes a smaller share than this of what was there is not worth another. */
const leastGain = 0.01;

function isSpent({ settings, journal }: CompressContext): boolean {
  return journal.seconds >= (settings.timeBudgetSeconds ?? Number.POSITIVE_INFINITY);
}

/** Rounds that are over need no checkpoints. */
async function clearCheckpoints(run: string): Promise<void> {
  const { journal } = runPaths(run);
  const folder = dirname(journal);
  for (const name of await readdir(folder))
    if (name.endsWith(".safetensors")) await rm(join(folder, name), { force: true });
}
