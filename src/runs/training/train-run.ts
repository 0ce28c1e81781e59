/** @file Training in a folder that can be resumed: the `train` and `resume` of the command line. */

import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { whileLocked } from "../../files/lock.ts";
import { loadModel, saveModel } from "../../files/model-file.ts";
import { findTask } from "../../measure/evaluation/answers.ts";
import { evaluate } from "../../measure/evaluation/evaluate.ts";
import { labelSizeNote } from "../../measure/evaluation/label-size.ts";
import { checkInputs, inputWarning } from "../../measure/inputs/input-check.ts";
import { withAnswersFrom } from "../../measure/unlabelled/pseudo-outputs.ts";
import { architectureNamed } from "../../models/registry.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { versions } from "../../runtime/versions.ts";
import { evaluatorOf } from "../../train/loop/evaluation.ts";
import type { TrainOptions, TrainResult } from "../../train/loop/options.ts";
import { recalibrate } from "../../train/loop/recalibrate.ts";
import { train } from "../../train/loop/train.ts";
import type { TrainedNetwork } from "../../train/network/network.ts";
import { modelFor } from "../../train/network/provider-form.ts";
import { labels } from "../../train/step/objectives.ts";
import { logEnd, logEvent } from "../folder/events.ts";
import { discardRun } from "../folder/mend.ts";
import {
  createRun,
  hasCheckpoint,
  requireFree,
  runPaths,
  type TrainConfig,
  writeReport,
} from "../folder/run-folder.ts";
import type { RunHooks } from "../folder/run-hooks.ts";
import {
  requireObjectiveFits,
  settingsOf,
  type TrainSettings,
  type TrainSettingsInput,
  trainOptionsOf,
} from "../settings/train-settings.ts";
import { withReplicasChosen } from "./replicas-chosen.ts";
import { isModelFile, type NetworkRequest, networkFor } from "./train-network.ts";
import type { TrainReport } from "./train-report.ts";

/** The network, the data and the folder of a training run. */
export interface TrainRunRequest extends NetworkRequest {
  /** The folder of the run; it must be empty, or not there. */
  readonly run: string;
  readonly data: string;
  readonly dataOptions?: DatasetOptions;
  /** A model with the same input whose scores are to be followed, instead of labels. */
  readonly teacher?: string | undefined;
  readonly settings?: TrainSettingsInput;
}

/**
 * Trains in a new folder, and leaves it as described in `run-folder.ts`. A run that fails before its
 * first checkpoint leaves nothing; one that is stopped can be resumed.
 *
 * Fails with `RUN_NOT_EMPTY`, `USAGE`, `ARCHITECTURE_UNKNOWN`, `ARCHITECTURE_OPTION`, everything that
 * `loadModel`, `openDataset` and `train` fail with, and `ABORTED`.
 */
export async function trainRun(
  request: TrainRunRequest,
  hooks: RunHooks = {},
): Promise<TrainReport> {
  const { run, externalData = false } = request;
  const asked = settingsOf(withRecipe(request.network, request.settings ?? {}));
  requireObjectiveFits(asked, request.teacher !== undefined);
  await requireFree(run);
  hooks.onPhase?.("reading");
  const teacher = request.teacher === undefined ? undefined : await loadModel(request.teacher);
  const { original, dataset, dataOptions } = await networkFor(
    { ...request, outputName: asked.outputName },
    teacher,
    asked.seed,
  );
  const settings = await withReplicasFor(original, dataset, asked, teacher, hooks);
  const config: TrainConfig = {
    version: 1,
    command: "train",
    versions: { ...versions() },
    network: request.network,
    hasTeacher: teacher !== undefined,
    externalData,
    data: { path: resolve(request.data), digest: await dataset.digest(), options: dataOptions },
    settings,
  };
  throwIfAborted(hooks.signal);
  await createRun(run, config, async (folder) => {
    const paths = runPaths(folder);
    await saveModel(paths.original, original);
    if (teacher !== undefined) await saveModel(paths.teacher, writeModel(teacher));
  });
  return whileLocked(runPaths(run).lock, async () => {
    logEvent(run, "started");
    try {
      return await continueTraining(run, config, dataset, hooks);
    } catch (error) {
      if (!hooks.signal?.aborted && !(await hasCheckpoint(run))) await discardRun(run);
      throw error;
    }
  });
}

/** The settings with the number of replicas that is fastest for a network, where that is asked for. */
async function withReplicasFor(
  original: ModelBytes,
  samples: Dataset,
  settings: TrainSettings,
  teacher: Model | undefined,
  hooks: RunHooks,
): Promise<TrainSettings> {
  if (settings.replicas !== "auto") return settings;
  const dataset = await taughtBy(teacher, samples, settings, hooks.signal);
  const model = readModel(concatBytes(original));
  return withReplicasChosen(settings, model, dataset, teacher?.graph, hooks);
}

/**
 * The settings with those of the network's recipe where they were left open. A recipe is one for SGD: another
 * optimizer has rates of its own. Fails with `ARCHITECTURE_UNKNOWN`.
 */
export function withRecipe(network: string, given: TrainSettingsInput): TrainSettingsInput {
  const recipe = isModelFile(network) ? undefined : architectureNamed(network).recipe;
  if (recipe === undefined || (given.optimizer ?? "sgd") !== "sgd") return given;
  const asked = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...recipe, ...Object.fromEntries(asked) };
}

/**
 * Goes on with a run where its last checkpoint is, or begins it.
 * Fails as {@link trainRun}.
 */
export async function continueTraining(
  run: string,
  config: TrainConfig,
  samples: Dataset,
  hooks: RunHooks,
): Promise<TrainReport> {
  const paths = runPaths(run);
  const { settings, externalData } = config;
  try {
    const model = await loadModel(paths.original, { externalData });
    const teacher = config.hasTeacher ? await loadModel(paths.teacher) : undefined;
    const dataset = await taughtBy(teacher, samples, settings, hooks.signal);
    const base = trainOptionsOf(settings, dataset, teacher?.graph);
    const options: TrainOptions = { ...base, ...(hooks.signal && { signal: hooks.signal }) };
    const result = settings.recalibrateOnly
      ? await recalibrated(model, dataset, options, hooks)
      : await trained(run, config, model, dataset, options, hooks);
    await saveModel(paths.model, result.best.bytes);
    hooks.onPhase?.("testing");
    const final = await test(result.best, dataset, options, hooks);
    const report = reportOf(config, result, final);
    await writeReport(run, report);
    logEvent(run, "finished", { end: result.end, seconds: result.seconds });
    return report;
  } catch (error) {
    const isStopped = hooks.signal?.aborted ?? false;
    logEnd(run, isStopped ? "stopped" : "failed", error);
    if (isStopped)
      throw new EspalierError("ABORTED", "Training was stopped.", {
        hint: `\`espalier resume ${run}\` goes on`,
        data: { run },
        cause: error,
      });
    throw error;
  }
}

/**
 * Samples without labels, with the answers of a teacher that tells no classes apart: all of its outputs are to
 * be followed, and similarity is measured.
 */
async function taughtBy(
  teacher: Model | undefined,
  samples: Dataset,
  { provider, threads, outputName: output }: TrainSettings,
  signal: AbortSignal | undefined,
): Promise<Dataset> {
  if (teacher === undefined || samples.labelKind !== "none") return samples;
  const { chunks } = writeModel(teacher);
  const options = { ...sessionOptionsOf({ providers: [provider], threads, signal }), output };
  const { task } = await findTask(samples, chunks, options);
  return task.kind === "outputs" ? withAnswersFrom(samples, chunks, options) : samples;
}

async function trained(
  run: string,
  { settings, network, hasTeacher }: TrainConfig,
  model: Model,
  dataset: Dataset,
  options: TrainOptions,
  { onPhase, onProgress, onEpoch, onNote, onWarning }: RunHooks,
): Promise<TrainResult> {
  // A network with random weights has no preprocessing of its own.
  const check = isModelFile(network)
    ? await checkInputs(model.graph, dataset, { ...sessionOptionsOf(options), role: "fit" })
    : undefined;
  const warning = inputWarning(check);
  if (warning !== undefined) onWarning?.(warning);
  const note = labelSizeNote(model.graph, dataset, options.output);
  if (note !== undefined) onNote?.(note);
  onPhase?.("training");
  const paths = runPaths(run);
  const result = await train(model, dataset, {
    ...options,
    onProgress,
    onWarning,
    checkpoint: {
      path: paths.checkpoint,
      everySteps: settings.checkpointEvery,
      resumes: true,
      origin: await originOf([
        paths.config,
        paths.original,
        ...(hasTeacher ? [paths.teacher] : []),
      ]),
    },
    // A network with random weights has seen no data.
    checksMemorisation: isModelFile(network),
    onEpoch(record, isBest) {
      logEvent(run, "epoch", { ...record, epoch: record.epoch + 1 });
      onEpoch?.(record, isBest);
    },
  });
  return warning === undefined ? result : { ...result, warnings: [warning, ...result.warnings] };
}

/** A digest of files. */
async function originOf(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(await fileDigest(path));
  return hash.digest("hex");
}

/** Statistics of batch normalization measured anew, in the form of a run without epochs. */
async function recalibrated(
  model: Model,
  dataset: Dataset,
  options: TrainOptions,
  { onPhase }: RunHooks,
): Promise<TrainResult> {
  onPhase?.("recalibrating");
  const { limit, batchSize } = options;
  const network = await recalibrate(model, dataset, {
    ...sessionOptionsOf(options),
    ...(limit !== undefined && { limit }),
    ...(batchSize !== undefined && { batchSize }),
  });
  return {
    history: [],
    steps: 0,
    warnings: [],
    seconds: 0,
    end: "completed",
    final: network,
    best: { ...network, epoch: 0, score: undefined },
  };
}

async function test(
  network: TrainedNetwork,
  dataset: Dataset,
  options: TrainOptions,
  { onTest }: RunHooks,
): Promise<TrainReport["final"]> {
  const samples = dataset.size("test");
  const { teacher, objective = labels(), batchSize = 64, output } = options;
  const isMeasurable = dataset.labelKind !== "none" || teacher !== undefined;
  if (samples === 0 || !isMeasurable) return null;
  const session = sessionOptionsOf(options);
  if (dataset.labelKind === "none") {
    const evaluator = evaluatorOf(dataset, { ...session, objective, teacher, batchSize, output });
    return { split: "test", ...(await evaluator(network, "test")), samples };
  }
  const { metric, value, loss, ci95 } = await evaluate(modelFor(network, session), dataset, {
    ...session,
    ...(output !== undefined && { output }),
    ...(onTest && { onProgress: onTest }),
  });
  return { split: "test", metric, value, loss, samples, ci95: [ci95[0], ci95[1]] };
}

function reportOf(
  { network, settings }: TrainConfig,
  { history, steps, end, best, warnings }: TrainResult,
  final: TrainReport["final"],
): TrainReport {
  const { bytes, score, epoch } = best;
  return {
    command: "train",
    network,
    seed: settings.seed,
    epochs: history.length,
    steps,
    end,
    history: history.map((record) => ({ ...record, epoch: record.epoch + 1 })),
    best: score === undefined ? null : { epoch: epoch + 1, ...score },
    final,
    sizeBytes: bytes.byteLength + (bytes.external?.byteLength ?? 0),
    warnings: [...warnings],
  };
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EspalierError("ABORTED", "Stopped before the run began.");
}
