/**
 * @file What hides inside attributes: subgraph bodies and the names that they read from outside.
 *
 * Bodies are never interpreted. They are walked once, to find captured names, to hold the depth
 * limit, and to make sure that no tensor in them is damaged or points outside the file.
 */
import { EspalierError } from "../../errors.ts";
import type { AttributeMessage } from "../protobuf/schema.ts";
import {
  attributeProto,
  decode,
  graphProto,
  nodeProto,
  valueInfoProto,
} from "../protobuf/schema.ts";
import { sparseConstant, sparseName } from "./sparse.ts";
import { readTensor, type TensorContext } from "./tensor-proto.ts";

/** The outer names that the graphs in an attribute read, in order of appearance. */
export function capturesOf(
  attribute: AttributeMessage,
  context: TensorContext,
  depth = 0,
): readonly string[] {
  if (attribute.t !== undefined) checkInnerTensor(attribute.t, context);
  for (const tensor of attribute.tensors) checkInnerTensor(tensor, context);
  for (const sparse of [attribute.sparse, ...attribute.sparses])
    if (sparse) sparseConstant(attribute.name, sparse, { kind: "new" }, context);
  const bodies = attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs];
  return bodies.flatMap((body) => [...freeNames(body, context, depth + 1)]);
}

/** The names that a graph reads and does not define. */
export function freeNames(
  bytes: Uint8Array,
  context: TensorContext,
  depth: number,
): ReadonlySet<string> {
  if (depth > context.limits.maxDepth)
    throw new EspalierError("MODEL_TOO_DEEP", "Subgraphs are nested deeper than any real network.");
  const graph = decode(graphProto, bytes, context.budget);
  const names = (infos: readonly Uint8Array[]) =>
    infos.map((info) => decode(valueInfoProto, info, context.budget).name);
  const defined = new Set(names(graph.input));
  for (const tensor of graph.initializer) defined.add(checkInnerTensor(tensor, context));
  for (const sparse of graph.sparseInitializer) defined.add(sparseName(sparse, context));
  const read = new Set<string>();
  for (const node of graph.node) {
    const inner = scanNode(node, context, depth);
    for (const name of inner.reads) read.add(name);
    for (const name of inner.outputs) defined.add(name);
  }
  for (const name of names(graph.output)) read.add(name);
  for (const name of defined) read.delete(name);
  read.delete("");
  return read;
}

/** What a node inside a body or function reads (through its own bodies too) and writes. */
export function scanNode(
  bytes: Uint8Array,
  context: TensorContext,
  depth: number,
): { readonly reads: readonly string[]; readonly outputs: readonly string[] } {
  const { input, output, attribute } = decode(nodeProto, bytes, context.budget);
  const captured = attribute.flatMap((inner) =>
    capturesOf(decode(attributeProto, inner, context.budget), context, depth),
  );
  return { reads: [...input, ...captured], outputs: output };
}

/** Validates a tensor that stays where it is, and returns its name. */
function checkInnerTensor(bytes: Uint8Array, context: TensorContext): string {
  const { name, external } = readTensor(bytes, context, "(inside an attribute)");
  if (external !== undefined)
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      `A tensor inside an attribute or subgraph ("${name}") lies in another file.`,
      { hint: "Save the model again with all weights in one file.", data: { tensor: name } },
    );
  return name;
}
