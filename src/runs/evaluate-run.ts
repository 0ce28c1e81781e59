/** @file The calibration of a run's result when its parameters are drawn from their posterior. */

import { type Dataset, openDataset } from "../data/dataset.ts";
import type { DatasetOptions } from "../data/options.ts";
import { assert, EspalierError } from "../errors.ts";
import { loadModel } from "../files/model-file.ts";
import { withSeeds } from "../measure/evaluation/draws.ts";
import {
  type EvaluateOptions,
  evaluateLabelled,
  type LabelledEvaluation,
} from "../measure/evaluation/evaluate.ts";
import { labelSizeNote } from "../measure/evaluation/label-size.ts";
import type { UncertaintyChange } from "../measure/evaluation/uncertainty.ts";
import { uncertaintyChange } from "../measure/outcomes/outcome-uncertainty.ts";
import type { Outcomes } from "../measure/outcomes/outcomes.ts";
import { allMethods } from "../methods/learned-registry.ts";
import { learnsPosterior } from "../methods/method/learned-method.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { type RunConfig, readConfig, runPaths } from "./folder/run-folder.ts";

/** The data to evaluate on. */
export interface RunDataOptions {
  /** Default: the data of the run, where they lay. */
  readonly data?: string | undefined;
  /** Default: as the run was told. */
  readonly dataOptions?: DatasetOptions | undefined;
  /** Told where the data of the run lie, if it is those that are read. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** The draws and the data. `draws` networks are averaged; a seed decides which. */
export interface EvaluateRunOptions extends EvaluateOptions, RunDataOptions {
  readonly draws: number;
}

/** The result of a run, and the mean of draws from its posterior, on the same samples. */
export interface RunEvaluation {
  readonly split: LabelledEvaluation["split"];
  readonly draws: number;
  readonly seed: number;
  /** `model.onnx`: the network of the means. */
  readonly mean: LabelledEvaluation;
  /** The mean of the probabilities of `draws` draws. */
  readonly posterior: LabelledEvaluation;
  /** `posterior` minus `mean`, paired. */
  readonly change: UncertaintyChange;
}

/**
 * Evaluates `model.onnx` and `posterior.onnx` of a run. The same arguments give the same figures.
 * Fails with `RUN_INVALID` where there is no posterior, and as `evaluate` and `openDataset`.
 */
export async function evaluateRun(
  run: string,
  { draws, data, dataOptions, onNote, ...options }: EvaluateRunOptions,
): Promise<RunEvaluation> {
  const config = await readConfig(run);
  const paths = runPaths(run);
  const posterior = await loadModel(paths.posterior).catch((cause: unknown) => {
    throw withoutPosterior(run, config, cause);
  });
  const dataset = await openData(config, { data, dataOptions, onNote });
  const { seed = 0 } = options;
  const own = { ...options, seed };
  const model = await loadModel(paths.model);
  const note = labelSizeNote(model.graph, dataset, options.output);
  if (note !== undefined) onNote?.(note);
  const mean = await evaluateLabelled(writeModel(model).chunks, dataset, own);
  const { chunks } = encodeGraph(withSeeds(posterior.graph, seed));
  const drawn = await evaluateLabelled(chunks, dataset, { ...own, draws });
  const change = uncertaintyChange(outcomesOf(mean), outcomesOf(drawn), seed);
  assert(change !== undefined, "an evaluation tells how sure the network was");
  return { split: mean.split, draws, seed, mean, posterior: drawn, change };
}

/** Opens the data of a run as the run did, or others. Fails with `RUN_INVALID`, and as `openDataset`. */
export async function openRunData(run: string, options: RunDataOptions): Promise<Dataset> {
  return openData(await readConfig(run), options);
}

async function openData(
  { data: own }: RunConfig,
  { data = own.path, dataOptions, onNote }: RunDataOptions,
): Promise<Dataset> {
  if (data === own.path) onNote?.(dataNote(data));
  return openDataset(data, { ...own.options, ...dataOptions });
}

/** A run says where its data lie, which may be anywhere; nobody else has said so. */
export function dataNote(path: string): string {
  return `the data are those that the run names: ${path}`;
}

function outcomesOf({ predictions }: LabelledEvaluation): Outcomes {
  return "confusions" in predictions
    ? { kind: "maps", ...predictions }
    : { kind: "classes", predictions };
}

function withoutPosterior(run: string, config: RunConfig, cause: unknown): EspalierError {
  const method = config.command === "compress" ? config.settings.method : config.command;
  const names = allMethods.filter(learnsPosterior).map(({ name }) => name);
  return new EspalierError("RUN_INVALID", `${run} keeps no posterior to draw from`, {
    hint: `Runs of compress that are over keep one where the method learns it (${names.join(", ")}) and something was removed; this is a run of ${method}.`,
    data: { run, method },
    cause,
  });
}
