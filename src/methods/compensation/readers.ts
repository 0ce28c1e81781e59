/** @file The linear layers that read prunable channels, with the batch normalization behind each. */
import { consumersOf, type Graph, type Node } from "../../ir/graph.ts";
import {
  type LinearWeight,
  type SlidingAxis,
  slidingAxes,
  tapShares,
  weightOf,
} from "../../ops/operator/linear-layer.ts";
import type { TiedTensor } from "../../ops/operator/operator.ts";
import type { BatchNormRole, LinearRole } from "../../ops/operator/role.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Structure } from "../../structure/units/units.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";

/** A linear layer with a constant weight, as the methods see it. */
export interface Reader {
  readonly node: Node;
  readonly role: LinearRole;
  /** The value that the layer reads, and the value that it computes. */
  readonly source: string;
  readonly result: string;
  /** The axis of the source that is summed over. */
  readonly axis: number;
  readonly weight: LinearWeight;
  /** Share of output positions at which each tap lies inside the map: [K]. */
  readonly shares: Float64Array;
  readonly axes: readonly SlidingAxis[];
  /** The unit (or -1) of each channel of the source, and of the result. */
  readonly sourceUnits: Int32Array;
  readonly resultUnits: Int32Array;
  /** True when other nodes use the same weight, so that a change here would separate tied weights. */
  readonly isShared: boolean;
  /** The batch normalization that alone reads the result. */
  readonly batchNorm: BatchNormParameters | undefined;
  /** True where no linear layer comes after the result: the result is an answer of the network. */
  readonly isLast: boolean;
}

/** Batch normalization with its constant parameters, each [C]. */
export interface BatchNormParameters {
  readonly node: Node;
  readonly role: BatchNormRole;
  readonly scale: Float64Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

/** All readers of a network, in graph order. Sums over channels that are no linear layer are absent. */
export function readersOf(structure: Structure): readonly Reader[] {
  const { analysis } = structure;
  const { graph, reads, operands } = analysis;
  const consumers = consumersOf(graph);
  const leading = leadingToLinear(graph);
  return reads.flatMap(({ node, input }): Reader[] => {
    const role = roleOf(node);
    const own = operands.get(node);
    if (role.kind !== "linear" || own === undefined || input !== role.dataInput) return [];
    const data = own.inputs[role.dataInput];
    const stored = graph.constants.get(node.inputs[role.weightInput]);
    const [result] = own.outputs;
    if (!data || !stored || !isFloat(stored.dtype) || stored.shape.length < 2) return [];
    if (role.window === undefined && stored.shape.length > 2) return [];
    const axes = slidingAxes(role, {
      data: data.shape,
      weight: stored.shape,
      result: result.shape,
    });
    const axisOf = (axis: number, { shape }: TiedTensor) => (axis < 0 ? axis + shape.length : axis);
    const axis = axisOf(role.dataAxis, data);
    return [
      {
        node,
        role,
        source: data.name,
        result: result.name,
        axis,
        weight: weightOf(role, stored.read()),
        shares: tapShares(role, axes),
        axes,
        sourceUnits: structure.unitsAlong(own.layoutOf(data), axis),
        resultUnits: structure.unitsAlong(own.layoutOf(result), axisOf(role.resultAxis, result)),
        isShared: (consumers.get(stored.name)?.length ?? 0) > 1,
        batchNorm: batchNormAfter(graph, consumers, node),
        isLast: !leading.has(result.name),
      },
    ];
  });
}

/** The values on which a later linear layer depends. */
function leadingToLinear({ nodes }: Graph): ReadonlySet<string> {
  const leading = new Set<string>();
  for (const node of nodes.toReversed())
    if (roleOf(node).kind === "linear" || node.outputs.some((output) => leading.has(output)))
      for (const input of [...node.inputs, ...node.captures]) leading.add(input);
  return leading;
}

/** The batch normalization that alone reads what `node` computes, if its parameters are constant. */
function batchNormAfter(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  node: Node,
): BatchNormParameters | undefined {
  const [result] = node.outputs;
  const [next, ...others] = consumers.get(result) ?? [];
  if (next === undefined || others.length > 0 || graph.outputs.includes(result)) return undefined;
  const role = roleOf(next);
  if (role.kind !== "batch-norm" || next.inputs[role.dataInput] !== result) return undefined;
  const vector = (input: number): Float64Array | undefined => {
    const constant = graph.constants.get(next.inputs[input]);
    return constant && isFloat(constant.dtype) ? toNumbers(constant.read()) : undefined;
  };
  const scale = vector(role.scaleInput);
  const mean = vector(role.meanInput);
  const variance = vector(role.varianceInput);
  return scale && mean && variance && { node: next, role, scale, mean, variance };
}

/** A node that sums over channels and is no linear layer with constant weights. */
export interface OtherRead {
  readonly source: string;
  readonly axis: number;
  readonly sourceUnits: Int32Array;
}

/** The sums over channels that `readers` do not cover. */
export function otherReadsOf(structure: Structure, readers: readonly Reader[]): OtherRead[] {
  const { reads, operands } = structure.analysis;
  const covered = new Set(readers.map(({ node, role }) => `${node.name}\u0000${role.dataInput}`));
  return reads.flatMap(({ node, input, axis }) => {
    const own = operands.get(node);
    const source = own?.inputs[input];
    if (!own || !source || covered.has(`${node.name}\u0000${input}`)) return [];
    const sourceUnits = structure.unitsAlong(own.layoutOf(source), axis);
    return [{ source: source.name, axis, sourceUnits }];
  });
}
