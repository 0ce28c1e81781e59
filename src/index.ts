/**
 * @file `espalier`: the library for Node. The command line is a thin shell over what stands here.
 *
 * @example
 * const model = await loadModel("net.onnx");
 * const pruned = prune(model, { method: "bn", targets: { macs: 0.6 } });
 * const { passed } = await verifyPruned(model, pruned);
 * if (passed) await savePruned("small.onnx", pruned.bytes, pruned.plan);
 *
 * @example
 * const small = await loadModel("small.onnx");
 * const data = await openDataset("photos", storedPreprocessing(small.metadata));
 * const { best } = await train(small, data, { epochs: 5, schedule: schedules.cosine() });
 * await saveModel("tuned.onnx", best.bytes);
 */

export { defineConfig, type EspalierConfig, type FlagValue } from "./cli/config.ts";
export { type CompressRunRequest, compressRun } from "./compress/compress-run.ts";
export type { CustomMetric, CustomParts } from "./compress/context/custom.ts";
export type { CompressionPlan } from "./compress/dry-run/compression-plan.ts";
export { type PlanRequest, planCompression } from "./compress/dry-run/dry-run.ts";
export type { MeasuredPack } from "./compress/packing/measured-pack.ts";
export {
  type PackedTuned,
  type PackTunedOptions,
  packTuned,
} from "./compress/packing/pack-tuned.ts";
export {
  type PackCandidate,
  type PackedWithin,
  type PackWithinOptions,
  packWithin,
} from "./compress/packing/pack-within.ts";
export { posteriorTolerances } from "./compress/packing/posterior-tolerances.ts";
export type { CompressReport } from "./compress/record/compress-report.ts";
export { type ResumeOptions, type RunReport, resumeRun } from "./compress/resume-run.ts";
export {
  type RunCheck,
  type RunVerification,
  type VerifyRunOptions,
  verifyRun,
} from "./compress/verify/verify-run.ts";
export * from "./core.ts";
export type { Augmentation } from "./data/augment.ts";
export { type Dataset, openDataset } from "./data/dataset.ts";
export type { DatasetOptions } from "./data/options.ts";
export type { Preprocessing, PreprocessingOptions } from "./data/preprocessing.ts";
export type { Batch, BatchOptions } from "./data/serve.ts";
export type { Role } from "./data/splits.ts";
export { storedPreprocessing } from "./data/stored-preprocessing.ts";
export { type LoadOptions, loadModel, saveModel } from "./files/model-file.ts";
export { loadPlan, planPathFor, savePruned } from "./files/plan-file.ts";
/** Losses as graph functions, for objectives of one's own. */
export * as losses from "./grad/losses.ts";
export type { Verification, VerificationCheck, VerifyOptions } from "./measure/equality/compare.ts";
export type { AnswerOptions } from "./measure/evaluation/answers.ts";
export {
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  evaluateClasses,
  evaluateMaps,
  type LabelledEvaluation,
} from "./measure/evaluation/evaluate.ts";
export type { EvaluateProgress, ExamineOptions } from "./measure/evaluation/options.ts";
export type { Predictions } from "./measure/evaluation/predictions.ts";
export type {
  ClassOverlap,
  MapPredictions,
  SegmentationEvaluation,
} from "./measure/evaluation/segmentation.ts";
export type {
  OutputErrors,
  OutputSimilarity,
  SimilarityEvaluation,
} from "./measure/evaluation/similarity.ts";
export type { ClassCount, ClassificationEvaluation } from "./measure/evaluation/tally.ts";
export type {
  SelectiveAccuracy,
  Uncertainty,
  UncertaintyChange,
} from "./measure/evaluation/uncertainty.ts";
export { type DataFeedOptions, dataFeeds } from "./measure/inputs/data-feeds.ts";
export {
  type BenchModel,
  type BenchOptions,
  type BenchResult,
  bench,
  type Latency,
  type LatencyRatio,
} from "./measure/latency/bench.ts";
export { uncertaintyChange, uncertaintyOf } from "./measure/outcomes/outcome-uncertainty.ts";
export {
  type DropOptions,
  examine,
  type MeasuredMetric,
  metricOf,
  type Outcomes,
  type PairedDrop,
  pairedDrop,
} from "./measure/outcomes/outcomes.ts";
export { loadOutcomes, saveOutcomes } from "./measure/outcomes/outcomes-file.ts";
export type { Estimate, Interval } from "./measure/statistics/statistics.ts";
export { type LabellingOptions, withLabelsFrom } from "./measure/unlabelled/pseudo-labels.ts";
export { withAnswersFrom } from "./measure/unlabelled/pseudo-outputs.ts";
export { type Damage, damageOfPruned } from "./prune/damage.ts";
export {
  type LatencyTarget,
  type MeasuredLatency,
  type PrunedToLatency,
  pruneToLatency,
} from "./prune/latency.ts";
export { type RefitPrunedOptions, refitPruned } from "./prune/refit.ts";
export {
  type GroupSensitivity,
  type Sensitivity,
  type SensitivityOptions,
  type SensitivityPoint,
  type SensitivityProgress,
  sensitivity,
} from "./prune/sensitivity.ts";
export { verifyFiles, verifyPruned } from "./prune/verify.ts";
export {
  type EvaluateRunOptions,
  evaluateRun,
  type RunEvaluation,
} from "./runs/evaluate-run.ts";
export type { RunHooks } from "./runs/folder/run-hooks.ts";
export type { CompressSettings, CompressSettingsInput } from "./runs/settings/compress-settings.ts";
export type { TrainSettings, TrainSettingsInput } from "./runs/settings/train-settings.ts";
export type { TrainReport } from "./runs/training/train-report.ts";
export { type TrainRunRequest, trainRun } from "./runs/training/train-run.ts";
export { openSession, type Session, type SessionOptions, withSession } from "./runtime/session.ts";
export { isolated } from "./runtime/shared-host.ts";
export type { Feeds, ModelSource } from "./runtime/values.ts";
export type { EpochRecord, Score } from "./train/loop/checkpoint.ts";
export type {
  CheckpointOptions,
  Evaluator,
  TrainOptions,
  TrainProgress,
  TrainResult,
} from "./train/loop/options.ts";
export { type RecalibrateOptions, recalibrate } from "./train/loop/recalibrate.ts";
export { train } from "./train/loop/train.ts";
export type { TrainedNetwork, TrainSource } from "./train/network/network.ts";
export type { ParameterGroup } from "./train/network/parameters.ts";
/** What a step minimises. */
export * as objectives from "./train/step/objectives.ts";
/** How a step changes the parameters. */
export * as optimizers from "./train/step/optimizers.ts";
/** How the learning rate changes from step to step. */
export * as schedules from "./train/step/schedules.ts";
