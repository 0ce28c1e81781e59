/**
 * @file `espalier/measure`: what stands behind the figures of `espalier`: networks by their answers on each
 * sample, drops with intervals, similarity and uncertainty, sensitivities, packs within a tolerance, and
 * sessions of ONNX Runtime to run networks in.
 *
 * @example
 * import { loadModel, openDataset } from "espalier";
 * import { measureOutcomes, pairedDrop } from "espalier/measure";
 *
 * // What a smaller network loses on the same samples, with its interval.
 * const photos = await openDataset("photos");
 * const before = await measureOutcomes(await loadModel("net.onnx"), photos);
 * const after = await measureOutcomes(await loadModel("small.onnx"), photos);
 * const { drop, ci95 } = pairedDrop(before, after, { level: 0.025 });
 */

export type {
  CompressionPlan,
  PlannedNetwork,
  PlannedRound,
} from "./compress/dry-run/compression-plan.ts";
export { type PlanRequest, planCompression } from "./compress/dry-run/dry-run.ts";
export type { RunCost, RunTime } from "./compress/dry-run/dry-run-cost.ts";
export type { GuardOutlook, Outlook } from "./compress/dry-run/dry-run-guard.ts";
export {
  type PackCandidate,
  type PackedWithin,
  type PackWithinOptions,
  packWithin,
} from "./compress/packing/pack-within.ts";
export { posteriorTolerances } from "./compress/packing/posterior-tolerances.ts";
export type { Dataset } from "./data/dataset.ts";
export type { ImageSize, PreprocessingOptions } from "./data/preprocessing.ts";
export { storedPreprocessing } from "./data/stored-preprocessing.ts";
export { loadCosts, saveCosts } from "./files/cost-table-file.ts";
export type { Graph } from "./ir/graph.ts";
export type { Agreement, DamageOptions, OutputDamage } from "./measure/equality/damage.ts";
export type { Finding } from "./measure/equality/judgement.ts";
export type { OutputKind } from "./measure/evaluation/classification.ts";
export type { Confusions } from "./measure/evaluation/confusion.ts";
export {
  type EvaluateOptions,
  evaluateClasses,
  evaluateMaps,
  type LabelledEvaluation,
} from "./measure/evaluation/evaluate.ts";
export type { MapSize } from "./measure/evaluation/label-size.ts";
export type { EvaluateProgress, OutcomeOptions } from "./measure/evaluation/options.ts";
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
export type { FeedOptions } from "./measure/inputs/feeds.ts";
export type { PixelRange } from "./measure/inputs/image-like-feeds.ts";
export { requestFor } from "./measure/latency/cost-request.ts";
export {
  type CostedNetwork,
  generalCosted,
  type MachineCostsOptions,
  machineCosts,
} from "./measure/latency/machine-costs.ts";
export {
  type CostProgress,
  type CostRequest,
  type LayerRequest,
  type MeasureOptions,
  measureCosts,
  type NetworkRequest,
  type OtherRequest,
  type TimedNetwork,
  type TimingEngine,
} from "./measure/latency/measure-costs.ts";
export type { MicroNetwork } from "./measure/latency/micro-networks.ts";
export type { NodeNetworks } from "./measure/latency/node-networks.ts";
export { uncertaintyChange, uncertaintyOf } from "./measure/outcomes/outcome-uncertainty.ts";
export {
  type ClassOutcomes,
  type DropAsyncOptions,
  type DropOptions,
  type MapOutcomes,
  type MeasuredMetric,
  measureOutcomes,
  metricOf,
  type Outcomes,
  type OutputOutcomes,
  type PairedDrop,
  pairedDrop,
  pairedDropAsync,
  type ValueOutcomes,
} from "./measure/outcomes/outcomes.ts";
export { loadOutcomes, saveOutcomes } from "./measure/outcomes/outcomes-file.ts";
export type { Estimate, Interval } from "./measure/statistics/statistics.ts";
export type { Model } from "./onnx/model.ts";
export {
  type GroupSensitivity,
  type Sensitivity,
  type SensitivityOptions,
  type SensitivityPoint,
  type SensitivityProgress,
  sensitivity,
} from "./prune/sensitivity.ts";
export { type EvaluateRunOptions, evaluateRun, type RunEvaluation } from "./runs/evaluate-run.ts";
export type { RunHooks } from "./runs/folder/run-hooks.ts";
export type { Optimization } from "./runtime/protocol.ts";
export {
  openSession,
  type RunOptions,
  type Session,
  type SessionOptions,
  withSession,
} from "./runtime/session.ts";
export { isolated } from "./runtime/shared-host.ts";
export type { Feeds, ModelSource, SessionValue } from "./runtime/values.ts";
export type {
  CostSource,
  CostTable,
  LayerKind,
  LayerTimes,
  NetworkTime,
  OtherTimes,
} from "./structure/timing/cost-table.ts";
export type { Structure } from "./structure/units/units.ts";
