/** @file What a network costs: multiply-accumulates, parameters and bytes, in total and per layer. */
import type { Graph, Node } from "../ir/graph.ts";
import { operatorOf } from "../ops/index.ts";
import { type Inference, inferTypes } from "../ops/infer.ts";
import { bitsOf, isFloat } from "../tensor/dtype.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import { knownShape } from "./analysis.ts";
import { type Removed, shapeAfter, withDependants } from "./removal.ts";
import type { Structure } from "./units.ts";

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

/** The cost of a network. */
export interface Cost {
  readonly macs: number;
  /** Elements of all weights, biases and statistics (not of shapes and indices). */
  readonly params: number;
  readonly parameterBytes: number;
  readonly layers: readonly LayerCost[];
}

/** Costs at the sizes that `dims` binds. Nodes whose shapes are unknown count no MACs. */
export function costOf(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  inference: Inference = inferTypes(graph, { dims }),
): Cost {
  const counted = new Set<string>();
  let parameterBytes = 0;
  const layers = graph.nodes.map((node): LayerCost => {
    let params = 0;
    for (const name of node.inputs) {
      const constant = graph.constants.get(name);
      if (constant === undefined || counted.has(name) || !isWeightType(constant.dtype)) continue;
      counted.add(name);
      params += sizeOf(constant.shape);
      parameterBytes += (sizeOf(constant.shape) * bitsOf[constant.dtype]) / 8;
    }
    return {
      name: node.name,
      opType: node.opType,
      macs: macsOf(
        node,
        node.inputs.map((name) => (name === "" ? undefined : knownShape(inference, name))),
        node.outputs.map((name) => (name === "" ? undefined : knownShape(inference, name))),
      ),
      params,
      outputShape: knownShape(inference, node.outputs[0] ?? ""),
    };
  });
  return {
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    params: layers.reduce((sum, layer) => sum + layer.params, 0),
    parameterBytes,
    layers,
  };
}

/** Totals after a removal, without building the smaller graph. */
export interface Totals {
  readonly macs: number;
  readonly params: number;
  readonly parameterBytes: number;
}

/**
 * A function that gives the totals for any removal, with all that goes along; what does not change is
 * computed once.
 */
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
    return macs > 0 ? [{ node, inputs, layouts }] : [];
  });
  return (chosen) => {
    const removed = withDependants(structure, chosen);
    let macs = 0;
    for (const { node, inputs, layouts } of costly) {
      const shapes = layouts.map((layout) => layout && shapeAfter(structure, removed, layout));
      macs += macsOf(node, shapes.slice(0, inputs.length), shapes.slice(inputs.length));
    }
    let params = 0;
    let parameterBytes = 0;
    for (const { constant, layout } of stored) {
      const size = sizeOf(shapeAfter(structure, removed, layout));
      params += size;
      parameterBytes += (size * bitsOf[constant.dtype]) / 8;
    }
    return { macs, params, parameterBytes };
  };
}

function macsOf(
  node: Node,
  inputs: readonly (readonly number[] | undefined)[],
  outputs: readonly (readonly number[] | undefined)[],
): number {
  const bound = operatorOf(node);
  const known = outputs.filter((shape) => shape !== undefined);
  const isKnown = node.inputs.every((name, i) => name === "" || inputs[i] !== undefined);
  if (bound === undefined || !isKnown || known.length < outputs.length) return 0;
  return bound.operator.macs({ attrs: bound.attrs, inputs, outputs: known });
}

function isWeightType(dtype: Parameters<typeof isFloat>[0]): boolean {
  return isFloat(dtype) || dtype === "int8" || dtype === "uint8" || bitsOf[dtype] < 8;
}
