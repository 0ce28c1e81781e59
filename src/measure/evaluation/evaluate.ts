/** @file How good a network is on a data set: a classifier, or one that segments images. */

import type { Dataset } from "../../data/dataset.ts";
import { type Session, withSession } from "../../runtime/session.ts";
import type { ModelSource, SessionValue } from "../../runtime/values.ts";
import type { OutputKind } from "./classification.ts";
import { declaredKind } from "./declared-kind.ts";
import { drawsOf } from "./draws.ts";
import type { OutcomeOptions } from "./options.ts";
import { chooseOutput } from "./outputs.ts";
import { passOver, samplesIn } from "./pass.ts";
import {
  type MapTally,
  miouSoFar,
  newMapTally,
  recordMaps,
  type SegmentationEvaluation,
  summarizeMaps,
} from "./segmentation.ts";
import { compareOutputs, type SimilarityEvaluation, summarizeOutputs } from "./similarity.ts";
import {
  type ClassificationEvaluation,
  newTally,
  record,
  summarize,
  type Tally,
  withoutLabels,
} from "./tally.ts";

/** How good a network is: `metric` tells which of them it is. */
export type Evaluation = LabelledEvaluation | SimilarityEvaluation;

/** How good a network is by classes. */
export type LabelledEvaluation = ClassificationEvaluation | SegmentationEvaluation;

/** What to measure, and on what. */
export interface EvaluateOptions extends OutcomeOptions {
  /** Keeps every sample's outputs in `predictions.outputs`; for classifiers only. Default false. */
  readonly keepOutputs?: boolean | undefined;
  /** Seed of the bootstrap. Default 0. */
  readonly seed?: number | undefined;
}

const defaultBatchSize = { classes: 128, maps: 16 } as const;

/**
 * Evaluates a network on one split of a data set: a classifier where samples have a class each, a
 * network that segments where they have label maps, and where they have the outputs of another
 * (`withAnswersFrom`) by how similar its own are.
 * @throws EspalierError `DATA_MISMATCH` where samples or labels do not fit the network, `DATA_INVALID`,
 * `DATA_NOT_FOUND`, `RUNTIME_FAILED`, `PROVIDER_MISSING`, `ABORTED`.
 */
export async function evaluate(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  return dataset.labelKind === "outputs"
    ? evaluateOutputs(model, dataset, options)
    : evaluateLabelled(model, dataset, options);
}

/** As {@link evaluate}; fails with `DATA_INVALID` where samples have neither classes nor maps of them. */
export async function evaluateLabelled(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<LabelledEvaluation> {
  return dataset.labelKind === "maps"
    ? evaluateMaps(model, dataset, options)
    : evaluateClasses(model, dataset, options);
}

/** As {@link evaluate}, of samples that hold the outputs of a network. */
async function evaluateOutputs(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<SimilarityEvaluation> {
  return withSession(model, options, async (session) => {
    const errors = await compareOutputs(session, dataset, options);
    return summarizeOutputs(errors, options.split ?? "test", options.seed ?? 0);
  });
}

/** As {@link evaluate}; fails with `DATA_INVALID` where samples do not have a class each. */
export async function evaluateClasses(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<ClassificationEvaluation> {
  return withSession(model, options, async (session) => {
    const tally = await tallyClasses(session, model, dataset, options);
    return summarize(tally, options.split ?? "test", dataset, options.seed ?? 0);
  });
}

/** As {@link evaluate}; fails with `DATA_INVALID` where samples do not have a label map each. */
export async function evaluateMaps(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<SegmentationEvaluation> {
  return withSession(model, options, async (session) => {
    const tally = await tallyMaps(session, model, dataset, options);
    return summarizeMaps(tally, options.split ?? "test", options.seed ?? 0);
  });
}

/** Counts what a classifier does on one split, sample by sample. Fails as {@link evaluate}. */
export async function tallyClasses(
  session: Session,
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Tally> {
  const { split = "test", limit, signal, batchSize = defaultBatchSize.classes } = options;
  const total = samplesIn(dataset, split, limit, batchSize);
  if (dataset.labelKind !== "classes") throw withoutLabels(dataset, "classes");
  const output = chooseOutput(session.outputs, options.output, "classes");
  const declared = await kindOf(model, output);
  const draws = options.draws === undefined ? undefined : drawsOf(options.draws, output, declared);
  const tally = newTally(total, output, dataset, {
    keepsOutputs: options.keepOutputs ?? false,
    isNamed: options.output !== undefined,
    declared: draws ? "probabilities" : declared,
  });
  await passOver(session, dataset, {
    split,
    limit,
    batchSize,
    signal,
    draws,
    outputs: [output.name],
    record: (batch, rows) => record(tally, batch, rows),
    onBatch() {
      const { done, correct } = tally;
      options.onProgress?.({ done, total, metric: "top1", value: correct / done });
    },
  });
  return tally;
}

/** Counts what a network that segments does on one split, image by image. Fails as {@link evaluate}. */
export async function tallyMaps(
  session: Session,
  model: ModelSource,
  dataset: Dataset,
  options: OutcomeOptions,
): Promise<MapTally> {
  const { split = "test", limit, signal, batchSize = defaultBatchSize.maps, onProgress } = options;
  const total = samplesIn(dataset, split, limit, batchSize);
  if (dataset.labelKind !== "maps") throw withoutLabels(dataset, "maps");
  const output = chooseOutput(session.outputs, options.output, "maps");
  const declared = await kindOf(model, output);
  const draws = options.draws === undefined ? undefined : drawsOf(options.draws, output, declared);
  const tally = newMapTally(total, output, dataset, draws ? "probabilities" : declared);
  await passOver(session, dataset, {
    split,
    limit,
    batchSize,
    signal,
    draws,
    outputs: [output.name],
    record: (batch, rows) => recordMaps(tally, batch, rows),
    onBatch: () =>
      onProgress?.({ done: tally.done, total, metric: "miou", value: miouSoFar(tally) }),
  });
  return tally;
}

/** What the graph says of a single channel; of several the values tell. */
async function kindOf(model: ModelSource, output: SessionValue): Promise<OutputKind | undefined> {
  const [, channels] = output.shape;
  return typeof channels === "number" && channels > 1
    ? undefined
    : declaredKind(model, output.name);
}
