/**
 * @file `espalier/core`: everything that needs neither files nor ONNX Runtime, so that it runs in a
 * browser too: read, inspect, prune without data, write.
 *
 * @example
 * const model = readModel(new Uint8Array(await (await fetch("net.onnx")).arrayBuffer()));
 * const pruned = prune(model, { method: "bn", targets: { macs: 0.6 } });
 * const file = new Blob([...pruned.bytes.chunks]);
 */

export { type ErrorCode, EspalierError, errorCodes } from "./errors.ts";
export { type AttributeValue, GraphBuilder, type NodeOptions } from "./ir/builder.ts";
export type { Attribute, Constant, Dim, Graph, Node, Shape, TensorType } from "./ir/graph.ts";
export type { Method, MethodContext, MethodOption, Proposal } from "./methods/method/method.ts";
export { methodNamed, methods } from "./methods/registry.ts";
export type { Architecture, NetworkOptions } from "./models/architecture.ts";
export { architectures, buildNetwork } from "./models/registry.ts";
export type { Model, ModelBytes, WriteOptions } from "./onnx/model.ts";
export type { ExternalDataSource } from "./onnx/parts/external.ts";
export type { Limits } from "./onnx/protobuf/limits.ts";
export { type ReadOptions, readModel } from "./onnx/reading/read.ts";
export { type EmitOptions, emitModel } from "./onnx/writing/emit.ts";
export { concatBytes, writeModel } from "./onnx/writing/write.ts";
export type { PackSource } from "./pack/file/source.ts";
export { type Packed, type PackedParts, type PackedTensor, pack } from "./pack/pack.ts";
export type { PackOptions } from "./pack/quantising/contents.ts";
export { type UnpackOptions, unpack } from "./pack/unpack.ts";
export {
  type Figures,
  type Pruned,
  type PruneOptions,
  prune,
  referenceFor,
  type SelectedInputs,
  type Targets,
} from "./prune/prune.ts";
export type { LayerCost } from "./structure/cost.ts";
export type { Edit } from "./structure/edits.ts";
export {
  type GroupSummary,
  type InspectedLayer,
  type Inspection,
  inspect,
  type Port,
} from "./structure/inspect.ts";
export type { Plan, PlanAxis, PlanEdit, PlanGroup, PlanZeros } from "./structure/plan.ts";
export type { Removed } from "./structure/removal.ts";
export type { Budget } from "./structure/select.ts";
export type { SelectionRules } from "./structure/selection-rules.ts";
export { type Structure, structureOf } from "./structure/units.ts";
export type { Zeros } from "./structure/zeros.ts";
export type { DType } from "./tensor/dtype.ts";
export { type HostTensor, tensorOf } from "./tensor/host-tensor.ts";
