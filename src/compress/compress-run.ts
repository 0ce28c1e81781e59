/**
 * @file Compression in a folder that can be resumed: baseline, rounds, guard, final measurement.
 *
 * It is written as straight code. Every long step is done once: decisions and figures are in the journal, networks in
 * files that are complete before the journal records them, training in checkpoints.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { type Dataset, openDataset } from "../data/dataset.ts";
import type { DatasetOptions } from "../data/options.ts";
import { storedPreprocessing } from "../data/stored-preprocessing.ts";
import { EspalierError } from "../errors.ts";
import { whileLocked } from "../files/lock.ts";
import { loadModel, saveModel } from "../files/model-file.ts";
import { labelSizeNote } from "../measure/evaluation/label-size.ts";
import { anyMethodNamed } from "../methods/learned-registry.ts";
import { readOptions } from "../methods/method/options.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { unknownsOf } from "../prune/unknown-costs.ts";
import { logEnd, logEvent } from "../runs/folder/events.ts";
import { Journal } from "../runs/folder/journal.ts";
import { discardRun } from "../runs/folder/mend.ts";
import {
  type CompressConfig,
  createRun,
  requireFree,
  runPaths,
  writeReport,
} from "../runs/folder/run-folder.ts";
import type { RunHooks } from "../runs/folder/run-hooks.ts";
import {
  type CompressSettings,
  type CompressSettingsInput,
  compressSettingsOf,
} from "../runs/settings/compress-settings.ts";
import { versions } from "../runtime/versions.ts";
import { structureOf } from "../structure/units/units.ts";
import { baselineWarnings } from "./baseline-warnings.ts";
import {
  type CompressContext,
  judgedBy,
  withoutChoice,
  withTuningChosen,
} from "./context/context.ts";
import { type CustomParts, customConfig, requireSameParts } from "./context/custom.ts";
import { contextOf } from "./context/run-context.ts";
import { requireFeasible } from "./feasible.ts";
import type { CompressReport } from "./record/compress-report.ts";
import { chooseRound, describeLook, looksOf } from "./result/certify.ts";
import { finish } from "./result/finish.ts";
import { runRounds } from "./rounds/rounds.ts";

/** The network, the data and the folder of a compression. */
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
  const settings = checkedSettings(request.settings);
  await requireFree(run);
  hooks.onPhase?.("reading");
  const { model, dataset: samples, options } = await readRequest(request);
  const source = { model, network, externalData, samples, dataOptions: options };
  const { config, dataset } = await beginRun(run, source, settings, custom, hooks);
  return whileLocked(runPaths(run).lock, async () => {
    logEvent(run, "started");
    try {
      return await continueCompression(run, config, dataset, hooks, custom);
    } catch (error) {
      if (!hooks.signal?.aborted && !(await isBegun(run))) await discardRun(run);
      throw error;
    }
  });
}

/** The settings with their defaults. Fails for every fault that can be found before a file is read. */
export function checkedSettings(input: CompressSettingsInput): CompressSettings {
  const settings = compressSettingsOf(input);
  const method = anyMethodNamed(settings.method);
  readOptions(method.name, method.options, settings.methodOptions);
  return settings;
}

/** The network that is compressed, once it has been read. */
export interface CompressSource {
  readonly model: Model;
  /** The name of the network in the report. */
  readonly network: string;
  readonly externalData: boolean;
  readonly samples: Dataset;
  /** How the samples were opened. */
  readonly dataOptions: DatasetOptions;
}

/**
 * Makes the folder of a run that is to compress something; gives its configuration, and the samples with what
 * judges networks on them. Fails as {@link compressRun}.
 */
export async function beginRun(
  run: string,
  { model, network, externalData, samples, dataOptions: options }: CompressSource,
  asked: CompressSettings,
  custom: CustomParts,
  hooks: RunHooks,
): Promise<{ readonly config: CompressConfig; readonly dataset: Dataset }> {
  requireRoles(samples);
  const hasLabels = samples.labelKind !== "none";
  const dataset = await judgedBy(model, samples, asked, custom, hooks.signal);
  const structure = structureOf(model.graph, asked);
  requireFeasible(structure, dataset, withoutChoice(asked), custom, hasLabels);
  const settings = await withTuningChosen(asked, model, dataset, hasLabels, hooks);
  const config: CompressConfig = {
    version: 1,
    command: "compress",
    versions: { ...versions() },
    network,
    externalData,
    hasLabels,
    custom: customConfig(custom),
    data: { path: resolve(samples.path), digest: await dataset.digest(), options },
    settings,
  };
  if (hooks.signal?.aborted) throw new EspalierError("ABORTED", "Stopped before the run began.");
  await createRun(run, config, (folder) => saveModel(runPaths(folder).original, writeModel(model)));
  return { config, dataset };
}

function requireRoles(samples: Dataset): void {
  for (const role of ["fit", "select"] as const)
    if (samples.size(role) === 0)
      throw new EspalierError("DATA_NOT_FOUND", `${samples.path}: no images serve as \`${role}\``, {
        hint: "Compression needs images to tune and to choose on: give a train file, or `heldOut`.",
      });
}

/** Reads the network to compress and its data. Fails with `DATA_NOT_FOUND`, and as {@link compressRun}. */
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
  requireRoles(dataset);
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
    return await carryOut(run, config, dataset, hooks, custom);
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

/** Carries out the steps of a run that are not on record yet. Fails as {@link compressRun}. */
export async function carryOut(
  run: string,
  config: CompressConfig,
  dataset: Dataset,
  hooks: RunHooks,
  custom: CustomParts = {},
): Promise<CompressReport> {
  const context = await contextOf(run, config, dataset, hooks, custom);
  const report = await allRounds(context, config).catch(async (error: unknown) => {
    // The failure itself is reported, even if its time could not be put on record.
    await context.journal.keepTime().catch(() => undefined);
    throw error;
  });
  logEvent(run, "finished", { isReached: report.outcome.isReached });
  return report;
}

async function allRounds(
  context: CompressContext,
  config: CompressConfig,
): Promise<CompressReport> {
  const { run, settings, dataset, metric, journal, hooks } = context;
  const warnings = await journal.once("warnings", z.array(z.string()), async () => [
    ...unknownsOf(context.original.structure),
    ...(await baselineWarnings(context, config.hasLabels)),
  ]);
  for (const warning of warnings) hooks.onWarning?.(warning);
  const note = labelSizeNote(context.original.model.graph, dataset, settings.tuning.outputName);
  if (note !== undefined) hooks.onNote?.(note);

  const { rounds, isTimeSpent } = await runRounds(context);
  hooks.onPhase?.("choosing");
  const choice = await chooseRound(rounds, {
    maxDrop: settings.maxDrop,
    metric,
    confidence: settings.confidence,
    samples: dataset.size("certify"),
    look: looksOf(context),
  });
  for (const look of choice.looks) hooks.onNote?.(describeLook(look, metric));
  const report = await finish(context, config, { rounds, choice, isTimeSpent, warnings });
  await writeReport(run, report);
  return report;
}

/** Whether a run has anything on record. A journal that cannot be read is not thrown away. */
async function isBegun(run: string): Promise<boolean> {
  return Journal.open(runPaths(run).journal).then(
    ({ isEmpty }) => !isEmpty,
    () => true,
  );
}
