/**
 * @file `espalier/core`: the part of `espalier` that needs neither files nor ONNX Runtime, so that it runs in
 * a browser too. It repeats the functions of `espalier` that inspect, prune without data, pack and unpack,
 * and has besides what turns bytes into models and back. `espalier/graph` runs in a browser as well.
 *
 * @example
 * const model = readModel(new Uint8Array(await (await fetch("net.onnx")).arrayBuffer()));
 * const pruned = prune(model, { method: methods.bn(), targets: { macs: 0.6 } });
 * const file = new Blob([...pruned.bytes.chunks]);
 */

export {
  type AnyEspalierError,
  type ErrorCode,
  type ErrorData,
  type ErrorDetails,
  EspalierError,
} from "./errors.ts";
export type { Graph } from "./ir/graph.ts";
export type { ChosenMethod, Method } from "./methods/method/method.ts";
export type { GivenOptions, OptionTable, OptionValue } from "./methods/method/options.ts";
/** How channels are ranked. */
export { untrained as methods } from "./methods/registry.ts";
export type { Model, ModelBytes, WriteOptions } from "./onnx/model.ts";
export { type ReadOptions, readModel } from "./onnx/reading/read.ts";
export { concatBytes, writeModel } from "./onnx/writing/write.ts";
export type { PackSource } from "./pack/file/source.ts";
export { type PackAsyncOptions, type Packed, pack, packAsync } from "./pack/pack.ts";
export type { PackOptions } from "./pack/quantising/contents.ts";
export { type UnpackOptions, unpack } from "./pack/unpack.ts";
export {
  type PruneAsyncOptions,
  type PruneOptions,
  prune,
  pruneAsync,
  type Targets,
} from "./prune/prune.ts";
export type { Figures, MissedTarget, Pruned, SelectedInputs } from "./prune/pruned.ts";
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
export type { NotUnderstood } from "./structure/units/not-understood.ts";
export type { StepOptions, StepProgress, Steps } from "./tensor/steps.ts";
