/** @file Networks of one node without weights, cut from a graph with its own sizes. They need no Node. */
import { GraphBuilder } from "../../ir/builder.ts";
import type { Node } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import type { TiedTensor } from "../../ops/operator/operator.ts";
import type { Operands } from "../../structure/analysis/analysis.ts";
import type { Structure } from "../../structure/units/units.ts";
import { isFloat } from "../../tensor/dtype.ts";
import {
  allocate,
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
} from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import type { MicroNetwork } from "./micro-networks.ts";

/** Copies of the node, each with inputs of its own. */
const copies = 4;
/** Elements of constants that are copied into a network; larger ones are rare beside nodes without weights. */
const mostConstants = 2 ** 24;

/** A node's network, and the same network without the node, whose time is to be taken off. */
export interface NodeNetworks {
  readonly whole: MicroNetwork;
  readonly without: MicroNetwork;
}

/** The networks of a node; `undefined` where it cannot stand alone (it has bodies, or no tensor that is computed). */
export function nodeNetworks(structure: Structure, node: Node): NodeNetworks | undefined {
  const own = structure.analysis.operands.get(node);
  const [result] = own?.outputs ?? [];
  if (own === undefined || result === undefined) return undefined;
  const isWhole = [...node.attributes.values()].every(({ kind }) => kind !== "opaque");
  const data = own.inputs.filter((input) => input !== undefined && isFed(input));
  const constants = own.inputs.filter((input) => input !== undefined && !isFed(input));
  const isSmall = constants.every((input) => input && sizeOf(input.shape) <= mostConstants);
  const isKnown = constants.every((input) => input && heldValue(structure, input) !== undefined);
  if (node.captures.length > 0 || !isWhole || data.length === 0 || !isSmall || !isKnown)
    return undefined;
  return {
    whole: network(structure, node, own, true),
    without: network(structure, node, own, false),
  };
}

/** Whether a network is fed with a tensor, rather than holding it. */
function isFed({ isParameter, value }: TiedTensor): boolean {
  return !isParameter && value === undefined;
}

function heldValue({ analysis }: Structure, tensor: TiedTensor): HostTensor | undefined {
  return tensor.value ?? analysis.graph.constants.get(tensor.name)?.read();
}

function network(
  structure: Structure,
  node: Node,
  { inputs, outputs }: Operands,
  hasNode: boolean,
): MicroNetwork {
  const b = new GraphBuilder("node");
  const feeds = new Map<string, HostTensor>();
  for (let copy = 0; copy < copies; copy++) {
    const names = inputs.map((input, i) => {
      if (input === undefined) return "";
      const name = `x${copy}_${i}`;
      const value = heldValue(structure, input);
      if (!isFed(input)) return value === undefined ? "" : b.constant(name, value);
      feeds.set(name, randomTensor(input, i));
      return b.input(name, input.dtype, input.shape);
    });
    if (!hasNode) {
      // As many corners are read as with the node; what else is fed is handed in all the same.
      const fed = names.find((name) => feeds.has(name)) ?? "";
      outputCorner(b, fed, feeds.get(fed));
      continue;
    }
    const { opType, domain, attributes } = node;
    const results = node.outputs.map((name) => (name === "" ? "" : `${name}_${copy}`));
    b.node(opType, names, Object.fromEntries(attributes), { domain, outputs: results });
    outputCorner(b, results[0], outputs[0]);
  }
  return { model: encodeGraph(b.build()).chunks, feeds, copies, weightBytes: 0 };
}

/** Declares the first element of a value as an output: it is computed, and next to nothing is handed out. */
function outputCorner(
  b: GraphBuilder,
  value: string,
  tensor: Pick<TiedTensor, "dtype" | "shape"> | undefined,
): void {
  const rank = tensor?.shape.length ?? 0;
  const dtype = tensor?.dtype ?? "float32";
  if (rank === 0) {
    b.output(value, { dtype, shape: [] });
    return;
  }
  const vector = (values: number) =>
    b.constant(undefined, int64Vector(new Array(rank).fill(values)));
  const [corner] = b.node("Slice", [value, vector(0), vector(1)]);
  b.output(corner, { dtype, shape: undefined });
}

function randomTensor({ dtype, shape }: TiedTensor, input: number): HostTensor {
  const size = sizeOf(shape);
  if (isFloat(dtype)) return tensorOf(dtype, shape, randomOf(input, "node").normals(size));
  return { dtype, shape, data: allocate(dtype, size) };
}
