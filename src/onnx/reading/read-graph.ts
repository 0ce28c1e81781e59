/** @file GraphProto to the graph of the IR. */
import { EspalierError } from "../../errors.ts";
import type { Attribute, Constant, Dim, Graph, Node, TensorType } from "../../ir/graph.ts";
import { nameOpenSizes } from "../../ir/names.ts";
import { type Lift, liftNodes } from "../forms/lift.ts";
import { readAttribute } from "../parts/attributes.ts";
import { capturesOf } from "../parts/captures.ts";
import { constantOfNode } from "../parts/constant-node.ts";
import { sparseConstant, sparseName } from "../parts/sparse.ts";
import { readTensor, type TensorContext } from "../parts/tensor-proto.ts";
import { readValueInfo } from "../parts/types.ts";
import {
  decode,
  graphProto,
  type MessageOf,
  nodeProto,
  valueInfoProto,
} from "../protobuf/schema.ts";
import { checkNames, sortNodes } from "./check-graph.ts";

/** A graph that was read, and what writing it back needs. */
export interface GraphRead {
  readonly graph: Graph;
  /** How nodes of an older opset were lifted, by the index of their NodeProto. */
  readonly lifts: ReadonlyMap<number, Lift>;
  /** The constants whose elements lie in other files. */
  readonly external: ReadonlySet<string>;
  /** Number of dense initialisers. */
  readonly denseCount: number;
}

type NodeMessage = MessageOf<typeof nodeProto.fields>;
type GraphMessage = MessageOf<typeof graphProto.fields>;

/** The versions that a model declares; they decide how its graph is read. */
export interface Versions {
  /** The version of the standard operator set. */
  readonly opset: number;
  readonly irVersion: number;
}

/** Reads a GraphProto. */
export function readGraph(
  bytes: Uint8Array,
  { opset, irVersion }: Versions,
  context: TensorContext,
): GraphRead {
  const proto = decode(graphProto, bytes, context.budget);
  const { constants, external } = readInitializers(proto, irVersion, context);
  const nodes: Node[] = [];
  const nodeMessages = proto.node.map((node) => decode(nodeProto, node, context.budget));
  const names = uniqueNames(nodeMessages);
  for (const [index, message] of nodeMessages.entries()) {
    if (isConstantNode(message)) {
      const constant = constantOfNode(message.output[0], message.attribute, index, context);
      constants.push(constant);
    } else nodes.push(readNode(message, names[index], index, context));
  }
  const namesOfConstants = constants.map(({ name }) => name);
  const { inputs, outputs, types } = readDeclared(proto, new Set(namesOfConstants), context);
  checkNames(inputs, namesOfConstants, nodes, outputs);
  const constantsByName = new Map(constants.map((constant) => [constant.name, constant]));
  const lifted = liftNodes(sortNodes(nodes), opset, constantsByName, types);
  const graph: Graph = {
    name: proto.name,
    inputs,
    outputs,
    nodes: lifted.nodes,
    constants: lifted.constants,
    types,
  };
  return { graph, lifts: lifted.lifts, external, denseCount: proto.initializer.length };
}

/** The initialisers, dense ones first, and the names of those whose elements lie in other files. */
function readInitializers(
  proto: GraphMessage,
  irVersion: number,
  context: TensorContext,
): { readonly constants: Constant[]; readonly external: ReadonlySet<string> } {
  const listed = new Set(
    proto.input.map((info) => decode(valueInfoProto, info, context.budget).name),
  );
  // Until IR version 4 every initialiser had to be listed as an input, and none could be fed.
  const isDefault = (name: string) => irVersion >= 4 && listed.has(name);
  const external = new Set<string>();
  const constants: Constant[] = [];
  for (const [index, tensorBytes] of proto.initializer.entries()) {
    const tensor = readTensor(tensorBytes, context, `initializer ${index}`);
    const { name, dtype, shape, read } = tensor;
    const origin = { kind: "initializer", index, isDefault: isDefault(name) } as const;
    if (tensor.external) external.add(name);
    constants.push({ name, dtype, shape, read, origin });
  }
  for (const [k, sparseBytes] of proto.sparseInitializer.entries()) {
    const name = sparseName(sparseBytes, context);
    const index = proto.initializer.length + k;
    const origin = { kind: "initializer", index, isDefault: isDefault(name) } as const;
    constants.push(sparseConstant(name, sparseBytes, origin, context));
  }
  return { constants, external };
}

/** The names of inputs and outputs, and the declared types of all values that are no constants. */
function readDeclared(
  proto: GraphMessage,
  constantNames: ReadonlySet<string>,
  context: TensorContext,
): Pick<Graph, "inputs" | "outputs" | "types"> {
  let unknownDims = 0;
  const unknownDim = (): Dim => `?${++unknownDims}`;
  const types = new Map<string, TensorType>();
  const declare = (info: Uint8Array): string => {
    const { name, type } = readValueInfo(info, context, unknownDim);
    if (type !== undefined && !constantNames.has(name) && !types.has(name)) types.set(name, type);
    return name;
  };
  const inputs = proto.input.map(declare).filter((name) => !constantNames.has(name));
  const outputs = proto.output.map(declare);
  nameSizesOf(inputs, outputs, types);
  for (const info of proto.valueInfo) declare(info);
  return { inputs, outputs, types };
}

/** Names the sizes that the inputs leave open. */
function nameSizesOf(
  inputs: readonly string[],
  outputs: readonly string[],
  types: Map<string, TensorType>,
): void {
  const declared = inputs.map((name) => ({ name, shape: types.get(name)?.shape }));
  const taken = outputs.flatMap((name) => types.get(name)?.shape ?? []);
  const shapes = nameOpenSizes(declared, taken);
  for (const [i, name] of inputs.entries()) {
    const type = types.get(name);
    if (type !== undefined) types.set(name, { ...type, shape: shapes[i] });
  }
}

/** True for the nodes that the IR holds as constants. */
export function isConstantNode(message: NodeMessage): boolean {
  const standard = message.domain === "" || message.domain === "ai.onnx";
  return standard && message.opType === "Constant" && message.output.length === 1;
}

function readNode(message: NodeMessage, name: string, index: number, context: TensorContext): Node {
  const { opType, input, output } = message;
  if (opType === "")
    throw new EspalierError("MODEL_BAD_GRAPH", `Node "${name}" has no operator type.`, {
      data: { node: name },
    });
  const attributes = new Map<string, Attribute>();
  const captures = new Set<string>();
  for (const bytes of message.attribute) {
    const read = readAttribute(bytes, name, context);
    if (attributes.has(read.name))
      throw new EspalierError(
        "MODEL_BAD_ATTRIBUTE",
        `Node "${name}" has the attribute "${read.name}" twice.`,
        { data: { node: name, attribute: read.name } },
      );
    attributes.set(read.name, read.attribute);
    for (const captured of capturesOf(read.message, context)) captures.add(captured);
  }
  return {
    name,
    opType,
    domain: message.domain === "ai.onnx" ? "" : message.domain,
    inputs: input,
    outputs: output,
    attributes,
    captures: [...captures],
    origin: index,
  };
}

/** The nodes' own names where they are unique and not empty, else made from the type and index. */
function uniqueNames(messages: readonly NodeMessage[]): readonly string[] {
  const count = new Map<string, number>();
  for (const { name } of messages) count.set(name, (count.get(name) ?? 0) + 1);
  const taken = new Set(count.keys());
  return messages.map(({ name, opType }, index) => {
    if (name !== "" && count.get(name) === 1) return name;
    let unique = `${name === "" ? opType : name}#${index}`;
    while (taken.has(unique)) unique += "'";
    taken.add(unique);
    return unique;
  });
}
