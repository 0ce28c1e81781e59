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
export type { CompressReport } from "./compress/compress-report.ts";
export { type CompressRunRequest, compressRun } from "./compress/compress-run.ts";
export type { CompressSettings, CompressSettingsInput } from "./compress/compress-settings.ts";
export type { CustomMetric, CustomParts } from "./compress/custom.ts";
export {
  type CompressionPlan,
  type PlanRequest,
  planCompression,
} from "./compress/dry-run/dry-run.ts";
export {
  type LatencyTarget,
  type MeasuredLatency,
  type PrunedToLatency,
  pruneToLatency,
} from "./compress/latency.ts";
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
export { type RefitPrunedOptions, refitPruned } from "./compress/refit.ts";
export {
  type EvaluateRunOptions,
  evaluateRun,
  type RunEvaluation,
} from "./compress/runs/evaluate-run.ts";
export { type ResumeOptions, type RunReport, resumeRun } from "./compress/runs/resume-run.ts";
export type { RunHooks } from "./compress/runs/run-hooks.ts";
export {
  type GroupSensitivity,
  type Sensitivity,
  type SensitivityOptions,
  type SensitivityPoint,
  type SensitivityProgress,
  sensitivity,
} from "./compress/sensitivity/sensitivity.ts";
export type { TrainReport } from "./compress/training/train-report.ts";
export { type TrainRunRequest, trainRun } from "./compress/training/train-run.ts";
export type { TrainSettings, TrainSettingsInput } from "./compress/training/train-settings.ts";
export { type Damage, damageOfPruned } from "./compress/verify/damage.ts";
export { verifyFiles, verifyPruned } from "./compress/verify/verify.ts";
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
export type { AnswerOptions } from "./measure/answers.ts";
export {
  type BenchModel,
  type BenchOptions,
  type BenchResult,
  bench,
  type Latency,
  type LatencyRatio,
} from "./measure/bench.ts";
export type { Verification, VerificationCheck, VerifyOptions } from "./measure/compare.ts";
export { type DataFeedOptions, dataFeeds } from "./measure/data-feeds.ts";
export {
  type EvaluateOptions,
  type EvaluateProgress,
  type Evaluation,
  type ExamineOptions,
  evaluate,
  evaluateClasses,
  evaluateMaps,
  type LabelledEvaluation,
} from "./measure/evaluate.ts";
export { uncertaintyChange, uncertaintyOf } from "./measure/outcome-uncertainty.ts";
export {
  type DropOptions,
  examine,
  type MeasuredMetric,
  metricOf,
  type Outcomes,
  type PairedDrop,
  pairedDrop,
} from "./measure/outcomes.ts";
export { loadOutcomes, saveOutcomes } from "./measure/outcomes-file.ts";
export { type LabellingOptions, withLabelsFrom } from "./measure/pseudo-labels.ts";
export { withAnswersFrom } from "./measure/pseudo-outputs.ts";
export type {
  ClassOverlap,
  MapPredictions,
  SegmentationEvaluation,
} from "./measure/segmentation.ts";
export type {
  OutputErrors,
  OutputSimilarity,
  SimilarityEvaluation,
} from "./measure/similarity.ts";
export type { Estimate, Interval } from "./measure/statistics.ts";
export type { ClassCount, ClassificationEvaluation, Predictions } from "./measure/tally.ts";
export type {
  SelectiveAccuracy,
  Uncertainty,
  UncertaintyChange,
} from "./measure/uncertainty.ts";
export {
  type Feeds,
  type ModelSource,
  openSession,
  type Session,
  type SessionOptions,
  withSession,
} from "./runtime/session.ts";
export { isolated } from "./runtime/shared-host.ts";
export type { EpochRecord, Score } from "./train/checkpoint.ts";
export type { Evaluator } from "./train/evaluation.ts";
export type { TrainedNetwork, TrainSource } from "./train/network.ts";
/** What a step minimises. */
export * as objectives from "./train/objectives.ts";
/** How a step changes the parameters. */
export * as optimizers from "./train/optimizers.ts";
export type {
  CheckpointOptions,
  TrainOptions,
  TrainProgress,
  TrainResult,
} from "./train/options.ts";
export type { ParameterGroup } from "./train/parameters.ts";
export { type RecalibrateOptions, recalibrate } from "./train/recalibrate.ts";
/** How the learning rate changes from step to step. */
export * as schedules from "./train/schedules.ts";
export { train } from "./train/train.ts";
