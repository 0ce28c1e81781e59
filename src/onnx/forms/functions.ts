/**
 * @file Local functions of a model, put in the place of the nodes that call them. Exporters write whole
 * modules as functions; what stands inside can only be pruned when it stands in the graph.
 */
import { EspalierError } from "../../errors.ts";
import { newNode } from "../../ir/graph.ts";
import { encodeNode } from "../parts/encode.ts";
import type { TensorContext } from "../parts/tensor-proto.ts";
import { fieldOf, joined, patchMessage, Rope } from "../protobuf/rope.ts";
import {
  attributeProto,
  decode,
  functionProto,
  type MessageOf,
  nodeProto,
  opsetId,
} from "../protobuf/schema.ts";
import { renamedNode } from "./rename.ts";

type FunctionMessage = MessageOf<typeof functionProto.fields>;
type NodeMessage = MessageOf<typeof nodeProto.fields>;

/** A model's functions. */
export interface Functions {
  /** The function that a node calls, where its body means the same in the model's graph. */
  readonly called: (node: NodeMessage) => FunctionMessage | undefined;
}

const keyOf = (domain: string, name: string, overload: string) =>
  `${domain}\u0000${name}\u0000${overload}`;

/**
 * The functions of a model. One that speaks of another version of an operator set than the model is no
 * function that could stand in its graph: calls of it stay calls. Standard operators are what they are.
 */
export function functionsOf(
  protos: readonly Uint8Array[],
  opsets: ReadonlyMap<string, number>,
  context: TensorContext,
): Functions {
  const byKey = new Map<string, FunctionMessage>();
  for (const bytes of protos) {
    const message = decode(functionProto, bytes, context.budget);
    const isSame = message.opsetImport.every((entry) => {
      const { domain, version } = decode(opsetId, entry, context.budget);
      const own = opsets.get(domain === "ai.onnx" ? "" : domain);
      return own === version;
    });
    const isOwn = message.domain !== "" && message.domain !== "ai.onnx";
    if (isSame && isOwn) byKey.set(keyOf(message.domain, message.name, message.overload), message);
  }
  return {
    called: ({ domain, opType, overload }) => byKey.get(keyOf(domain, opType, overload)),
  };
}

/**
 * The GraphProto with the bodies of functions in place of the nodes that call them; the same bytes where
 * none does. Calls inside the bodies of If, Loop and Scan stay.
 *
 * Errors: `MODEL_TOO_LARGE` where that makes more nodes or bytes than a model may have, `MODEL_TOO_DEEP`
 * for functions that call each other without end.
 */
export function withoutCalls(
  graph: Uint8Array,
  functions: Functions,
  context: TensorContext,
): Uint8Array {
  let isChanged = false;
  let size = graph.length;
  let calls = 0;
  const expand = (bytes: Uint8Array, depth: number): Rope => {
    const node = decode(nodeProto, bytes, context.budget);
    const body = functions.called(node);
    if (body === undefined) return fieldOf(1, bytes);
    if (depth > context.limits.maxDepth)
      throw new EspalierError(
        "MODEL_TOO_DEEP",
        "Functions call each other deeper than any real network.",
      );
    isChanged = true;
    const rope = new Rope();
    for (const inner of bodyOf(node, body, `${node.name || node.opType}.${calls++}`, context)) {
      size += inner.byteLength;
      if (size > context.limits.maxBytes)
        throw new EspalierError(
          "MODEL_TOO_LARGE",
          "With its functions written out the model is too large.",
        );
      rope.append(expand(joined(inner), depth + 1));
    }
    return rope;
  };
  const rope = patchMessage(graph, (field) => (field.holds(1) ? expand(field.value(), 0) : "keep"));
  return isChanged ? joined(rope) : graph;
}

/** The nodes of one call, under names of their own. */
function bodyOf(
  node: NodeMessage,
  body: FunctionMessage,
  prefix: string,
  context: TensorContext,
): readonly Rope[] {
  const actual = new Map<string, string>();
  for (const [i, name] of body.input.entries()) actual.set(name, node.input[i] ?? "");
  const passed: Rope[] = [];
  for (const [i, name] of body.output.entries()) {
    const result = node.output[i] ?? "";
    if (result === "") continue;
    const given = actual.get(name);
    if (given === undefined) actual.set(name, result);
    else passed.push(encodeNode(newNode(`${prefix}/${name}`, "Identity", [given], result)));
  }
  const given = new Map<string, Uint8Array>();
  for (const attribute of [...body.defaults, ...node.attribute])
    given.set(decode(attributeProto, attribute, context.budget).name, attribute);
  const inner = (name: string) => (name === "" ? "" : `${prefix}/${name}`);
  const names = {
    value: (name: string) => actual.get(name) ?? inner(name),
    node: (name: string) => inner(name),
    attribute: (name: string) => given.get(name),
  };
  return [...body.node.map((bytes) => renamedNode(bytes, names)), ...passed];
}
