/** @file The context of all steps of a compression: the original, and the ways to judge and tune networks. */
import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Outcomes } from "../../measure/outcomes/outcomes.ts";
import { withLabelsOrAnswers } from "../../measure/unlabelled/pseudo-outputs.ts";
import type { AnyMethod } from "../../methods/method/learned-method.ts";
import type { MethodContext } from "../../methods/method/method.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import type { Journal } from "../../runs/folder/journal.ts";
import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import { type CompressSettings, rulesOf } from "../../runs/settings/compress-settings.ts";
import { trainOptionsOf } from "../../runs/settings/train-settings.ts";
import { withReplicasChosen } from "../../runs/training/replicas-chosen.ts";
import { type SessionOptions, sessionOptionsOf } from "../../runtime/session.ts";
import type { ModelSource } from "../../runtime/values.ts";
import type { Cost } from "../../structure/cost/cost.ts";
import type { Structure } from "../../structure/units/units.ts";
import { countWeights } from "../../structure/weights/layer-weights.ts";
import type { TrainOptions } from "../../train/loop/options.ts";
import type { CustomParts } from "./custom.ts";

/** The network as it was given. */
export interface Original {
  readonly model: Model;
  readonly structure: Structure;
  readonly cost: Cost;
  /** Elements of the weights of its linear layers, of which densities are shares. */
  readonly weights: number;
  /** Its outcomes on `select`. */
  readonly select: Outcomes;
}

/** The context of all steps of a compression. */
export interface CompressContext {
  /** The folder. */
  readonly run: string;
  readonly settings: CompressSettings;
  /** The samples with labels: those of the user, or the answers of the original. */
  readonly dataset: Dataset;
  /** The metric, by its name in reports: `agreement` where the answers of the original stand in for labels. */
  readonly metric: string;
  readonly method: AnyMethod;
  readonly original: Original;
  /** Measures the outcome of a network on each sample of a role. */
  readonly measureOutcomes: (network: ModelSource, role: Role) => Promise<Outcomes>;
  /** How networks are tuned; the epochs are those of a round. */
  readonly tuning: TrainOptions;
  readonly session: SessionOptions;
  readonly journal: Journal;
  readonly hooks: RunHooks;
}

/** The share of the original's weights that a network has left, zeros not counted. */
export function densityLeft(graph: Graph, { weights }: Original): number {
  return countWeights(graph).nonZero / weights;
}

/** Shares of the original's figures that a network of this cost has left. */
export function remainingOf(
  cost: Pick<Cost, "macs" | "params">,
  { cost: whole }: Original,
): { readonly macs: number; readonly params: number } {
  return { macs: cost.macs / whole.macs, params: cost.params / whole.params };
}

/** The input of a method that scores a network. */
export function methodContextOf(structure: Structure, settings: CompressSettings): MethodContext {
  const { methodOptions: options, tuning } = settings;
  return { structure, seed: tuning.seed, options, rules: rulesOf(settings) };
}

/**
 * How a network is tuned in a round. The original is the teacher where that is asked for, or where the data have no
 * labels; the targets are its answers where the data hold them.
 */
export function tuningOf(
  settings: CompressSettings,
  dataset: Dataset,
  original: Graph,
  hasLabels: boolean,
): TrainOptions {
  const tuning = { ...settings.tuning, epochs: Math.max(1, settings.epochs) };
  return trainOptionsOf(tuning, dataset, teacherOf(settings, original, hasLabels));
}

function teacherOf({ distills }: CompressSettings, original: Graph, hasLabels: boolean) {
  return distills || !hasLabels ? original : undefined;
}

/**
 * The settings with the number of replicas that is fastest for the original, where that is asked for; all rounds keep
 * it. Fails as `withReplicasChosen`.
 */
export async function withTuningChosen(
  settings: CompressSettings,
  original: Model,
  dataset: Dataset,
  hasLabels: boolean,
  hooks: RunHooks,
): Promise<CompressSettings> {
  const { replicas } = await withReplicasChosen(
    { ...settings.tuning, epochs: Math.max(1, settings.epochs) },
    original,
    dataset,
    teacherOf(settings, original.graph, hasLabels),
    hooks,
  );
  return { ...settings, tuning: { ...settings.tuning, replicas } };
}

/** The settings before the number of replicas is chosen: with one, with which networks can be trained if at all. */
export function withoutChoice(settings: CompressSettings): CompressSettings {
  const { tuning } = settings;
  return tuning.replicas === "auto"
    ? { ...settings, tuning: { ...tuning, replicas: 1 } }
    : settings;
}

/**
 * The samples, with the answers of the original where nobody has labelled them and no metric of the caller's
 * judges. Fails as `withAnswersFrom`.
 */
export async function judgedBy(
  original: Model,
  samples: Dataset,
  { tuning: { outputName: output, provider, threads } }: CompressSettings,
  { metric }: CustomParts,
  signal: AbortSignal | undefined,
): Promise<Dataset> {
  if (metric !== undefined) return samples;
  const session = sessionOptionsOf({ providers: [provider], threads, signal });
  return withLabelsOrAnswers(samples, writeModel(original).chunks, { ...session, output });
}

/** A model that was written just now. */
export function reread(bytes: ModelBytes): Model {
  return readModel(concatBytes(bytes));
}
