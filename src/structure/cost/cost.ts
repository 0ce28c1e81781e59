/** @file The cost of a network: multiply-accumulates, parameters and bytes, in total and per layer. */
import {
  bodyContents,
  type Constant,
  type Graph,
  type Node,
  operatorName,
} from "../../ir/graph.ts";
import { multiplies, operatorOf } from "../../ops/index.ts";
import { type Inference, inferTypes } from "../../ops/passes/infer.ts";
import { bitsOf, isWeightType } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { knownShape, outputShapes } from "../analysis/obstacles.ts";
import { AxisWidths } from "../units/axis-widths.ts";
import { type Removed, withDependants } from "../units/removal.ts";
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

/**
 * A function that gives the totals for any removal, including dependent units. It computes anew what differs from the
 * removal before.
 */
export function costModel(structure: Structure): (removed: Removed) => Totals {
  const { graph } = structure.analysis;
  const widths = new AxisWidths(structure);
  const layers = costlyLayers(structure, widths);
  const weights = storedWeights(structure, widths);
  const layersAt = placesByAxis(layers.map(({ axes }) => axes.flatMap((own) => own ?? [])));
  const weightsAt = placesByAxis(weights.map(({ axes }) => axes));
  const shapeOf = (axes: readonly number[]) => axes.map((axis) => widths.width(axis));
  const macsNow = ({ node, inputs, axes }: CostlyLayer): number => {
    const shapes = axes.map((own) => own && shapeOf(own));
    return macsOf(node, shapes.slice(0, inputs), shapes.slice(inputs)) ?? 0;
  };
  const macs = Float64Array.from(layers, macsNow);
  const sizes = Float64Array.from(weights, ({ axes }) => sizeOf(shapeOf(axes)));
  const inBodies = { params: 0, parameterBytes: 0 };
  for (const node of graph.nodes) {
    const { params, parameterBytes } = bodyContents(node);
    inBodies.params += params;
    inBodies.parameterBytes += parameterBytes;
  }
  return (chosen) => {
    for (const axis of widths.goTo(withDependants(structure, chosen))) {
      for (const layer of layersAt.get(axis) ?? []) macs[layer] = macsNow(layers[layer]);
      for (const weight of weightsAt.get(axis) ?? [])
        sizes[weight] = sizeOf(shapeOf(weights[weight].axes));
    }
    let { params, parameterBytes } = inBodies;
    for (const [weight, { bits }] of weights.entries()) {
      params += sizes[weight];
      parameterBytes += (sizes[weight] * bits) / 8;
    }
    return { macs: macs.reduce((sum, own) => sum + own, 0), params, parameterBytes };
  };
}

/** A node that multiplies, with the axes of its inputs and then its outputs. */
interface CostlyLayer {
  readonly node: Node;
  /** How many of the tensors are inputs. */
  readonly inputs: number;
  readonly axes: readonly (readonly number[] | undefined)[];
}

function costlyLayers({ analysis }: Structure, widths: AxisWidths): readonly CostlyLayer[] {
  return [...analysis.operands].flatMap(([node, { inputs, outputs, layoutOf }]): CostlyLayer[] => {
    const layouts = [...inputs, ...outputs].map((tensor) => tensor && layoutOf(tensor));
    const shapes = layouts.map((layout) => layout?.shape);
    const macs = macsOf(node, shapes.slice(0, inputs.length), shapes.slice(inputs.length));
    if (macs === undefined || macs <= 0) return [];
    const axes = layouts.map((layout) => layout && widths.axesOf(layout));
    return [{ node, inputs: inputs.length, axes }];
  });
}

/** The weights, with their axes. Uses of one shared vector are stored once as long as they stay equal; the first counts. */
function storedWeights({ analysis: { graph, parameters } }: Structure, widths: AxisWidths) {
  const counted = new Set<Constant>();
  return [...parameters].flatMap(([key, layout]) => {
    const constant = graph.constants.get(key.split("\u0000")[0]);
    if (!constant || !isWeightType(constant.dtype) || counted.has(constant)) return [];
    counted.add(constant);
    return [{ bits: bitsOf[constant.dtype], axes: widths.axesOf(layout) }];
  });
}

/** The places of the lists that an axis is in, by axis. */
function placesByAxis(lists: readonly (readonly number[])[]): ReadonlyMap<number, number[]> {
  const places = new Map<number, number[]>();
  for (const [place, axes] of lists.entries())
    for (const axis of new Set(axes)) {
      const known = places.get(axis);
      if (known) known.push(place);
      else places.set(axis, [place]);
    }
  return places;
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
