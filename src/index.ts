/**
 * @file `espalier`: the library for Node. The command line is a thin shell over it. What one needs to read,
 * prune, check, measure, train and pack networks stands here; `espalier/train` and `espalier/measure` have
 * the details, `espalier/graph` what one needs to write a loss or a method, and `espalier/core` what runs
 * in a browser.
 *
 * @example
 * const model = await loadModel("net.onnx");
 * const pruned = prune(model, { method: methods.bn(), targets: { macs: 0.6 } });
 * const { passed } = await verifyPruned(model, pruned);
 * if (passed) await savePruned("small.onnx", pruned.bytes, pruned.plan);
 *
 * @example
 * const small = await loadModel("small.onnx");
 * const { best } = await train(small, await openDataset("photos"), {
 *   epochs: 5,
 *   schedule: schedules.cosine(),
 * });
 * await saveModel("tuned.onnx", best.bytes);
 */

export { defineConfig, type EspalierConfig, type FlagValue } from "./cli/config.ts";
export { type Compressed, type CompressOptions, compress } from "./compress/compress.ts";
export { type CompressRunRequest, compressRun } from "./compress/compress-run.ts";
export type { CustomMetric, CustomParts } from "./compress/context/custom.ts";
export type { CompressReport } from "./compress/record/compress-report.ts";
export { type ResumeOptions, type RunReport, resumeRun } from "./compress/resume-run.ts";
export {
  type RunCheck,
  type RunVerification,
  type VerifyRunOptions,
  verifyRun,
} from "./compress/verify/verify-run.ts";
export type { Augmentation } from "./data/augment.ts";
export { type Answer, type Dataset, openDataset, type Picture } from "./data/dataset.ts";
export type { DatasetOptions } from "./data/options.ts";
export type { Preprocessing } from "./data/preprocessing.ts";
export type { Pixels, Raster } from "./data/raster.ts";
export type { Batch, BatchOptions } from "./data/serve.ts";
export type { Role } from "./data/splits.ts";
export type { DataFormat, LabelKind } from "./data/table.ts";
export {
  type AboutData,
  type AboutDifference,
  type AboutExternalData,
  type AboutFile,
  type AboutName,
  type AboutNode,
  type AboutRun,
  type AboutTensor,
  type AnyEspalierError,
  type ErrorCode,
  type ErrorData,
  type ErrorDetails,
  EspalierError,
} from "./errors.ts";
export { type LoadOptions, loadModel, saveModel } from "./files/model-file.ts";
export { loadPlan, savePruned } from "./files/plan-file.ts";
export type { CrossEntropyOptions, OverlapOptions } from "./grad/losses.ts";
export type { Verification, VerificationCheck, VerifyOptions } from "./measure/equality/compare.ts";
export { type EvaluateOptions, type Evaluation, evaluate } from "./measure/evaluation/evaluate.ts";
export {
  type BenchModel,
  type BenchOptions,
  type BenchResult,
  bench,
  type Latency,
  type LatencyRatio,
} from "./measure/latency/bench.ts";
export type { CostProgress } from "./measure/latency/measure-costs.ts";
export type { OperatorTimes } from "./measure/latency/operators.ts";
export type { MeasuredPair, NotTimed, PairLatency, PairOptions } from "./measure/latency/pair.ts";
export type { RefitOptions } from "./methods/compensation/refit.ts";
/** How channels are ranked. */
export { methods } from "./methods/learned-registry.ts";
export type { AnyChosenMethod, AnyMethod, LearnedMethod } from "./methods/method/learned-method.ts";
export type { ChosenMethod, Method } from "./methods/method/method.ts";
export type { GivenOptions, OptionTable, OptionValue } from "./methods/method/options.ts";
export type { Model, ModelBytes } from "./onnx/model.ts";
export type { SupportForm } from "./pack/coding/support-code.ts";
export type { ValueForm } from "./pack/file/directory.ts";
export type { PackSource } from "./pack/file/source.ts";
export {
  type Packed,
  type PackedParts,
  type PackedTensor,
  pack,
} from "./pack/pack.ts";
export type { PackOptions } from "./pack/quantising/contents.ts";
export { type UnpackOptions, unpack } from "./pack/unpack.ts";
export { type Damage, type DamageOfPrunedOptions, damageOfPruned } from "./prune/damage.ts";
export {
  type EstimatedLatency,
  type LatencyTarget,
  type MeasuredLatency,
  type PrunedToLatency,
  pruneToLatency,
} from "./prune/latency.ts";
export {
  type LatencyOfPrunedOptions,
  latencyOfPruned,
} from "./prune/latency-of-pruned.ts";
export {
  type PruneOptions,
  prune,
  type Targets,
} from "./prune/prune.ts";
export type { Figures, MissedTarget, Pruned, SelectedInputs } from "./prune/pruned.ts";
export { type RefitPrunedOptions, refitPruned } from "./prune/refit.ts";
export { verifyByPlan, verifyPruned } from "./prune/verify.ts";
export type { RunHooks } from "./runs/folder/run-hooks.ts";
export type { ModelSource } from "./runtime/values.ts";
export type { AnalyzeOptions } from "./structure/analysis/analysis.ts";
export type { LayerCost, UncountedLayer } from "./structure/cost/cost.ts";
export {
  type GroupSummary,
  type InspectedLayer,
  type InspectedModel,
  type Inspection,
  inspect,
  type Port,
} from "./structure/inspect.ts";
export type { Plan, PlanAxis, PlanEdit, PlanGroup, PlanZeros } from "./structure/plan.ts";
export type { CostSource, CostTable } from "./structure/timing/cost-table.ts";
export type { NotUnderstood } from "./structure/units/not-understood.ts";
export type { RandomKey } from "./tensor/random.ts";
export type { StepOptions, StepProgress, Steps } from "./tensor/steps.ts";
export type { TrainOptions, TrainProgress, TrainResult } from "./train/loop/options.ts";
export { train } from "./train/loop/train.ts";
export type { TrainSource } from "./train/network/network.ts";
/** What a step minimises. */
export * as objectives from "./train/step/objectives.ts";
/** How a step changes the parameters. */
export * as optimizers from "./train/step/optimizers.ts";
/** How the learning rate changes from step to step. */
export * as schedules from "./train/step/schedules.ts";
export type { SpeedVerdict } from "./words/speed.ts";
