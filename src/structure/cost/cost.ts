/** @file The cost of a network: multiply-accumulates, parameters and bytes, in total and per layer. */
import { bodyContents, type Graph, type Node, operatorName } from "../../ir/graph.ts";
import { multiplies, operatorOf } from "../../ops/index.ts";
import { type Inference, inferTypes } from "../../ops/passes/infer.ts";
import { bitsOf, isWeightType } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { knownShape, outputShapes } from "../analysis/obstacles.ts";
import { type Removed, shapeAfter, withDependants } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/** The cost of one node. */
export interface LayerCost {
  readonly name: string;
  readonly opType: string;
  /** Multiply-accumulates for one run at the bound sizes. */
  readonly macs: number;
  /** Elements of the parameters that this node is the first to read. */
  readonly params: number;
  readonly outputShape: readonly number[] | undefined;
}

/** A layer that multiplies an unknown number of times. */
export interface UncountedLayer {
  readonly name: string;
  /** Its type, with its domain where that is not the standard one. */
  readonly operator: string;
}

/** The cost of a network. */
export interface Cost {
  /** Multiply-accumulates of all layers whose cost is known. */
  readonly macs: number;
  /** The layers whose multiply-accumulates are not known, and count 0. */
  readonly uncounted: readonly UncountedLayer[];
  /** Elements of all weights, biases and statistics (not of shapes and indices). */
  readonly params: number;
  readonly parameterBytes: number;
  readonly layers: readonly LayerCost[];
}

/** Costs at the sizes that `dims` binds. What lies in bodies counts as parameters of their node. */
export function costOf(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  inference: Inference = inferTypes(graph, { dims }),
): Cost {
  const counted = new Set<string>();
  let parameterBytes = 0;
  const uncounted: UncountedLayer[] = [];
  const layers = graph.nodes.map((node): LayerCost => {
    const body = bodyContents(node);
    let { params } = body;
    parameterBytes += body.parameterBytes;
    for (const name of node.inputs) {
      const constant = graph.constants.get(name);
      if (constant === undefined || counted.has(name) || !isWeightType(constant.dtype)) continue;
      counted.add(name);
      params += sizeOf(constant.shape);
      parameterBytes += (sizeOf(constant.shape) * bitsOf[constant.dtype]) / 8;
    }
    const macs = macsOf(
      node,
      node.inputs.map((name) => (name === "" ? undefined : knownShape(inference, name))),
      outputShapes(node, inference),
    );
    if (macs === undefined && seemsCostly(graph, node))
      uncounted.push({ name: node.name, operator: operatorName(node) });
    return {
      name: node.name,
      opType: node.opType,
      macs: macs ?? 0,
      params,
      outputShape: knownShape(inference, node.outputs[0] ?? ""),
    };
  });
  return {
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    params: layers.reduce((sum, layer) => sum + layer.params, 0),
    parameterBytes,
    layers,
    uncounted,
  };
}

/** Whether a node whose cost is not known multiplies: by its type, its bodies, or a matrix that it reads. */
function seemsCostly({ constants }: Graph, node: Node): boolean {
  if (operatorOf(node) !== undefined) return multiplies(node);
  if (bodyContents(node).products > 0) return true;
  return node.inputs.some((name) => {
    const constant = constants.get(name);
    const isWeight = constant !== undefined && isWeightType(constant.dtype);
    return isWeight && constant.shape.filter((size) => size > 1).length >= 2;
  });
}

/** Totals after a removal, without building the smaller graph. */
export interface Totals {
  readonly macs: number;
  readonly params: number;
  readonly parameterBytes: number;
}

/** A function that gives the totals for any removal, including dependent units; unchanged parts are computed once. */
export function costModel(structure: Structure): (removed: Removed) => Totals {
  const { graph, operands, parameters } = structure.analysis;
  const weights = [...parameters].flatMap(([key, layout]) => {
    const constant = graph.constants.get(key.split("\u0000")[0]);
    return constant && isWeightType(constant.dtype) ? [{ constant, layout }] : [];
  });
  // Uses of one shared vector are stored once as long as they stay equal; count the first.
  const stored = weights.filter(
    ({ constant }, i) => weights.findIndex((other) => other.constant === constant) === i,
  );
  const costly = [...operands].flatMap(([node, { inputs, outputs, layoutOf }]) => {
    const layouts = [...inputs, ...outputs].map((tensor) => tensor && layoutOf(tensor));
    const shapes = layouts.map((layout) => layout?.shape);
    const macs = macsOf(node, shapes.slice(0, inputs.length), shapes.slice(inputs.length));
    return macs !== undefined && macs > 0 ? [{ node, inputs, layouts }] : [];
  });
  const inBodies = { params: 0, parameterBytes: 0 };
  for (const node of graph.nodes) {
    const { params, parameterBytes } = bodyContents(node);
    inBodies.params += params;
    inBodies.parameterBytes += parameterBytes;
  }
  return (chosen) => {
    const removed = withDependants(structure, chosen);
    let macs = 0;
    for (const { node, inputs, layouts } of costly) {
      const shapes = layouts.map((layout) => layout && shapeAfter(structure, removed, layout));
      macs += macsOf(node, shapes.slice(0, inputs.length), shapes.slice(inputs.length)) ?? 0;
    }
    let { params, parameterBytes } = inBodies;
    for (const { constant, layout } of stored) {
      const size = sizeOf(shapeAfter(structure, removed, layout));
      params += size;
      parameterBytes += (size * bitsOf[constant.dtype]) / 8;
    }
    return { macs, params, parameterBytes };
  };
}

/** `undefined` where the operator or a size is not known. */
function macsOf(
  node: Node,
  inputs: readonly (readonly number[] | undefined)[],
  outputs: readonly (readonly number[] | undefined)[],
): number | undefined {
  const bound = operatorOf(node);
  const known = outputs.filter((shape) => shape !== undefined);
  const isKnown = node.inputs.every((name, i) => name === "" || inputs[i] !== undefined);
  if (bound === undefined || !isKnown || known.length < outputs.length) return undefined;
  if (known.length === 0) return 0;
  return bound.operator.macs({ attrs: bound.attrs, inputs, outputs: known });
}
