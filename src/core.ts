/**
 * @file `espalier/core`: everything that needs neither files nor ONNX Runtime, so that it runs in a
 * browser too: read, inspect, prune without data, write.
 *
 * @example
 * const model = readModel(new Uint8Array(await (await fetch("net.onnx")).arrayBuffer()));
 * const pruned = prune(model, { method: "bn", targets: { macs: 0.6 } });
 * const file = new Blob([...pruned.bytes.chunks]);
 */
export {
  type Figures,
  type Pruned,
  type PruneOptions,
  prune,
  referenceFor,
  type SelectedInputs,
  type Targets,
} from "./compress/prune.ts";
export { type ErrorCode, EspalierError, errorCodes } from "./errors.ts";
export { type AttributeValue, GraphBuilder, type NodeOptions } from "./ir/builder.ts";
export type { Attribute, Constant, Dim, Graph, Node, Shape, TensorType } from "./ir/graph.ts";
export type { Method, MethodContext, MethodOption, Proposal } from "./methods/method.ts";
export { methodNamed, methods } from "./methods/registry.ts";
export type { Architecture, NetworkOptions } from "./models/architecture.ts";
export { architectures, buildNetwork } from "./models/registry.ts";
export { type EmitOptions, emitModel } from "./onnx/emit.ts";
export type { ExternalDataSource } from "./onnx/external.ts";
export type { Limits } from "./onnx/limits.ts";
export { type Model, type ReadOptions, readModel } from "./onnx/read.ts";
export { concatBytes, type ModelBytes, type WriteOptions, writeModel } from "./onnx/write.ts";
export type { PackOptions } from "./pack/contents.ts";
export { type Packed, type PackedParts, type PackedTensor, pack } from "./pack/pack.ts";
export type { PackSource } from "./pack/source.ts";
export type { UnpackOptions } from "./pack/unpack.ts";
export { unpackChecked as unpack } from "./pack/unpack-checked.ts";
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
export type { Budget, SelectionRules } from "./structure/select.ts";
export { type Structure, structureOf } from "./structure/units.ts";
export type { Zeros } from "./structure/zeros.ts";
export type { DType } from "./tensor/dtype.ts";
export { type HostTensor, tensorOf } from "./tensor/host-tensor.ts";
