/** @file The weights that a network multiplies with: the kernels of convolutions, and matrices. */
import type { Constant, Graph, Node } from "../../ir/graph.ts";
import type { LinearRole } from "../../ops/operator/role.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { sizeOf, toNumbers } from "../../tensor/host-tensor.ts";

/** The weight of one linear layer. */
export interface LayerWeight {
  readonly node: Node;
  readonly role: LinearRole;
  /** Floats of two axes or more; layers may share it. */
  readonly constant: Constant;
}

/** The weights of all linear layers that have one as a constant, in graph order. */
export function layerWeights({ nodes, constants }: Graph): readonly LayerWeight[] {
  return nodes.flatMap((node) => {
    const role = roleOf(node);
    const constant = role.kind === "linear" && constants.get(node.inputs[role.weightInput]);
    if (!constant || !isFloat(constant.dtype) || constant.shape.length < 2) return [];
    return [{ node, role, constant }];
  });
}

/** The weights of all linear layers, each constant once, by its name. */
export function weightConstants(graph: Graph): ReadonlyMap<string, Constant> {
  return new Map(layerWeights(graph).map(({ constant }) => [constant.name, constant]));
}

/** How many elements of a weight are not 0. */
export function countNonZeros(constant: Constant): number {
  const tensor = constant.read();
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) count++;
  return count;
}

/** How many elements the weights of all linear layers have. */
export function weightTotal(graph: Graph): number {
  let total = 0;
  for (const { shape } of weightConstants(graph).values()) total += sizeOf(shape);
  return total;
}

/** Elements of weights, and how many of them are not 0. */
export interface WeightCount {
  readonly weights: number;
  readonly nonZero: number;
}

/** All weights of linear layers of a network, counted. */
export function countWeights(graph: Graph): WeightCount {
  let [weights, nonZero] = [0, 0];
  for (const constant of weightConstants(graph).values()) {
    weights += sizeOf(constant.shape);
    nonZero += countNonZeros(constant);
  }
  return { weights, nonZero };
}
