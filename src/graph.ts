/**
 * @file `espalier/graph`: networks from the inside, for those who build graphs, or write a loss or a pruning
 * method of their own. It runs in a browser too.
 *
 * @example
 * import { losses } from "espalier/graph";
 *
 * // A loss: nodes that compute a number from what a network answers.
 * export const meanSquare: losses.Loss = (emit, prediction, target) => {
 *   const off = emit.sub(prediction, target);
 *   return emit.op("ReduceMean", [emit.mul(off, off)], { keepdims: 0 });
 * };
 *
 * @example
 * import { defineMethod, layerNormalizedScores, options, rowsOf } from "espalier/graph";
 *
 * // A method: filters without a large weight go first.
 * export const largest = defineMethod({
 *   name: "largest",
 *   summary: "removes the filters without a large weight",
 *   source: "an example",
 *   needs: { batchNorm: false, data: false },
 *   options: { power: options.number({ above: 0 }, 1, "Power of the largest weight.") },
 *   propose({ structure, options: { power } }) {
 *     const scores = layerNormalizedScores(structure, (filters) => {
 *       const rows = rowsOf(filters);
 *       const length = rows.length / filters.width;
 *       return Float64Array.from({ length: filters.width }, (_, i) => {
 *         const row = rows.subarray(i * length, (i + 1) * length);
 *         return row.reduce((largest, w) => Math.max(largest, Math.abs(w)), 0) ** power;
 *       });
 *     });
 *     return { scores, edits: () => [], notes: [] };
 *   },
 * });
 */

export type { GraphEmitter } from "./grad/emitter.ts";
export type { Prediction } from "./grad/head.ts";
/** Losses as graph functions, for objectives of one's own. */
export * as losses from "./grad/losses.ts";
export { type AttributeValue, GraphBuilder, type NodeOptions } from "./ir/builder.ts";
export type {
  Attribute,
  BodyContents,
  Constant,
  ConstantOrigin,
  Dim,
  Graph,
  Node,
  Shape,
  TensorType,
} from "./ir/graph.ts";
export {
  type Filters,
  layerNormalizedScores,
  rowsOf,
  unknownFilterNotes,
} from "./methods/method/filters.ts";
export {
  defineMethod,
  type Method,
  type MethodContext,
  type MethodDefinition,
  type Proposal,
  unscoredNotes,
} from "./methods/method/method.ts";
/** What the options of a method are declared with. */
export * as options from "./methods/method/options.ts";
export { methodNamed } from "./methods/registry.ts";
export type { Architecture, NetworkOptions, NetworkPlan, Recipe } from "./models/architecture.ts";
export { architectures, buildNetwork } from "./models/registry.ts";
export type { Lift, Slot } from "./onnx/forms/lift.ts";
export type { ExternalBytes, Model, ModelBytes, ModelFile } from "./onnx/model.ts";
export type { ExternalDataSource } from "./onnx/parts/external.ts";
export type { Limits } from "./onnx/protobuf/limits.ts";
export { type EncodeOptions, encodeGraph } from "./onnx/writing/encode-graph.ts";
export type { AttributeInit, Emitter, Value } from "./ops/operator/gradient.ts";
export type { TiedTensor } from "./ops/operator/operator.ts";
export type { Inference } from "./ops/passes/infer.ts";
export { referenceFor } from "./prune/prune.ts";
export { type Pruned, type PrunedParts, partsOf } from "./prune/pruned.ts";
export type { Analysis, AnalyzeOptions, Operands } from "./structure/analysis/analysis.ts";
export type { IdPool } from "./structure/analysis/id-pool.ts";
export type { Base, Block, Layout } from "./structure/analysis/layout.ts";
export type { Selection } from "./structure/analysis/selections.ts";
export type { Producer, Read } from "./structure/analysis/sums.ts";
export type { Budget } from "./structure/choice/select.ts";
export type { Rounding, SelectionRules } from "./structure/choice/selection-rules.ts";
export { type Cost, costModel, costOf, type Totals } from "./structure/cost/cost.ts";
export { type Plan, removalOf } from "./structure/plan.ts";
export type { CostTable } from "./structure/timing/cost-table.ts";
export type { Removed } from "./structure/units/removal.ts";
export {
  type FilterAxis,
  type Group,
  type Structure,
  structureOf,
  type Unit,
} from "./structure/units/units.ts";
export type { Edit } from "./structure/weights/edits.ts";
export type { Zeros } from "./structure/weights/zeros.ts";
export type { DType } from "./tensor/dtype.ts";
export { type HostTensor, type TensorData, tensorOf } from "./tensor/host-tensor.ts";
