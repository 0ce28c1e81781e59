/**
 * @file The immutable graph: values, nodes and constants of a network.
 *
 * Nodes are in topological order, constants stand apart from nodes, and every value is known by its
 * name. Nodes are in *canonical form*: the operator set that `canonicalOpset` names, whatever the
 * file's own opset was (`onnx/lift.ts` does the lifting). A pass takes a graph and returns a graph;
 * what it did not touch it passes on as the same object, and writing relies on that: a node or
 * constant that is still the object that was read is copied byte for byte.
 */
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** The opset whose operator definitions the IR and every rule in `ops/` speak. */
export const canonicalOpset = 21;

/**
 * A size, or the name of a symbolic one. A name that starts with `?` stands for nothing known; sizes that
 * an input leaves open have names of their own (`nameOpenSizes`).
 */
export type Dim = number | string;
/** Sizes of the axes, outermost first; activations are [N, C, ...spatial]. */
export type Shape = readonly Dim[];

/** What is known of a value before it is computed. */
export interface TensorType {
  readonly dtype: DType;
  /** `undefined` when not even the rank is known. */
  readonly shape: Shape | undefined;
}

/** An attribute as the file holds it. Whole numbers beyond 2^53 are clamped to +-2^53. */
export type Attribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "tensor"; readonly value: HostTensor }
  /** Anything that the IR does not look into: graphs, sparse tensors, types. */
  | {
      readonly kind: "opaque";
      readonly what: string;
      /** What the body holds; attributes that are graphs alone have it. */
      readonly contents?: BodyContents | undefined;
    };

/** How much lies in a node's subgraph bodies, and in theirs. */
export interface BodyContents {
  readonly nodes: number;
  /** Nodes that convolve or multiply matrices. */
  readonly products: number;
  /** Elements of weights, and the bytes that they take. */
  readonly params: number;
  readonly parameterBytes: number;
}

/** One operation. */
export interface Node {
  /** Unique in the graph; the ONNX node name where that is unique and not empty. For messages. */
  readonly name: string;
  readonly opType: string;
  /** `""` for the standard ONNX operators. */
  readonly domain: string;
  /** Value names; `""` where an optional input is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** Values of this graph that the node's subgraph bodies (If, Loop, Scan) read by name. */
  readonly captures: readonly string[];
  /** Index of the NodeProto that this node was read from; `undefined` for a node made by a pass. */
  readonly origin: number | undefined;
}

/** Where a constant stands in the file, so that a changed one is written back to the same place. */
export type ConstantOrigin =
  | {
      readonly kind: "initializer";
      readonly index: number;
      /** Whether it is an input, too: the caller may feed another value. */
      readonly isDefault: boolean;
    }
  /** The value of a `Constant` node. */
  | { readonly kind: "constant-node"; readonly node: number }
  /** An attribute of an older opset that the canonical form has as an input. */
  | { readonly kind: "attribute"; readonly node: number; readonly attribute: string }
  /** Made by a pass, or implied by an old operator form that had no such attribute. */
  | { readonly kind: "new" };

/** Whether a constant is only what an input is where the caller feeds nothing. */
export function isDefault({ origin }: Constant): boolean {
  return origin.kind === "initializer" && origin.isDefault;
}

/** A value known before the network runs. */
export interface Constant {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Decodes the elements; nothing is cached, so keep what you read only as long as you need it. */
  readonly read: () => HostTensor;
  readonly origin: ConstantOrigin;
}

/** A network, or a part of one. */
export interface Graph {
  readonly name: string;
  /** The values that the caller feeds, in order. Initialisers that are also inputs are constants only. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
  /** Declared types of inputs, outputs and (where the file gives them) values in between. */
  readonly types: ReadonlyMap<string, TensorType>;
}

/** A constant made by a pass. */
export function constantOf(
  name: string,
  tensor: HostTensor,
  origin: ConstantOrigin = { kind: "new" },
): Constant {
  return { name, dtype: tensor.dtype, shape: tensor.shape, read: () => tensor, origin };
}

/** A node of the standard operator set that a pass makes; it has one output. */
export function newNode(
  name: string,
  opType: string,
  inputs: readonly string[],
  output: string,
): Node {
  return {
    name,
    opType,
    domain: "",
    inputs,
    outputs: [output],
    attributes: new Map(),
    captures: [],
    origin: undefined,
  };
}

/** The type of a node, with its domain where that is not the standard one. */
export function operatorName({ domain, opType }: Pick<Node, "domain" | "opType">): string {
  return domain === "" ? opType : `${domain}.${opType}`;
}

/** What lies in the bodies of a node; nothing where it has none. */
export function bodyContents({ attributes }: Node): BodyContents {
  const total = { nodes: 0, products: 0, params: 0, parameterBytes: 0 };
  for (const attribute of attributes.values()) {
    if (attribute.kind !== "opaque" || attribute.contents === undefined) continue;
    total.nodes += attribute.contents.nodes;
    total.products += attribute.contents.products;
    total.params += attribute.contents.params;
    total.parameterBytes += attribute.contents.parameterBytes;
  }
  return total;
}

/** The nodes that read each value, subgraph captures included, in topological order. */
export function consumersOf(graph: Graph): ReadonlyMap<string, readonly Node[]> {
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set([...node.inputs, ...node.captures])) {
      if (name === "") continue;
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
  }
  return consumers;
}

/** The node that computes each value; graph inputs and constants have none. */
export function producersOf(graph: Graph): ReadonlyMap<string, Node> {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes)
    for (const name of node.outputs) if (name !== "") producers.set(name, node);
  return producers;
}
