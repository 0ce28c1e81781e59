/**
 * @file `espalier/train`: training beyond `train` of `espalier`: training runs in folders, teachers and answers in the
 * place of labels, new statistics for batch normalization, tuning under the rounding of a pack, and what
 * methods that train are made of.
 *
 * @example
 * import { loadModel, openDataset, train } from "espalier";
 * import { withLabelsFrom } from "espalier/train";
 *
 * // A pruned network learns from what the original answers, without labels.
 * const photos = await withLabelsFrom(await openDataset("photos"), await loadModel("net.onnx"));
 * const { best } = await train(await loadModel("small.onnx"), photos, { epochs: 3 });
 */

export type { MeasuredPack } from "./compress/packing/measured-pack.ts";
export {
  type PackedTuned,
  type PackTunedOptions,
  packTuned,
} from "./compress/packing/pack-tuned.ts";
export type { Dataset } from "./data/dataset.ts";
export type { AnswerOptions } from "./measure/evaluation/answers.ts";
export { type LabellingOptions, withLabelsFrom } from "./measure/unlabelled/pseudo-labels.ts";
export { withAnswersFrom } from "./measure/unlabelled/pseudo-outputs.ts";
export type {
  AnyMethod,
  LearnedMethod,
  LearnedProposal,
  LearningContext,
  LearningOptions,
  PosteriorFacts,
} from "./methods/method/learned-method.ts";
export type { Model } from "./onnx/model.ts";
export type { RunDataOptions } from "./runs/evaluate-run.ts";
export type { RunHooks } from "./runs/folder/run-hooks.ts";
export type { CompressSettings, CompressSettingsInput } from "./runs/settings/compress-settings.ts";
export type { TrainSettings, TrainSettingsInput } from "./runs/settings/train-settings.ts";
export type { NetworkRequest } from "./runs/training/train-network.ts";
export type { TrainReport } from "./runs/training/train-report.ts";
export { type TrainRunRequest, trainRun } from "./runs/training/train-run.ts";
export type { ModelSource } from "./runtime/values.ts";
export type { EpochRecord, Position, Score } from "./train/loop/checkpoint.ts";
export {
  chooseReplicas,
  type ReplicaChoice,
  type ReplicaTiming,
} from "./train/loop/choose-replicas.ts";
export type { CheckpointOptions, Evaluator, TrainOptions } from "./train/loop/options.ts";
export { type RecalibrateOptions, recalibrate } from "./train/loop/recalibrate.ts";
export type { TunedQuantised } from "./train/loop/tune-quantised.ts";
export type { TrainedNetwork, TrainSource } from "./train/network/network.ts";
export type { ParameterGroup } from "./train/network/parameters.ts";
