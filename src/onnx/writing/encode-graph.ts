/** @file `encodeGraph`: a graph, as a new model file. `writeModel` keeps the bytes of the file that a model was read from. */
import { assert } from "../../errors.ts";
import { canonicalOpset, type Graph } from "../../ir/graph.ts";
import { staysHere } from "../../ops/passes/blocked.ts";
import { withoutFlattening } from "../forms/flattened.ts";
import type { ModelBytes, WriteOptions } from "../model.ts";
import { encodeNode, encodeTensor, encodeValueInfo } from "../parts/encode.ts";
import { Rope } from "../protobuf/rope.ts";
import { externalSink, modelBytes } from "./external-sink.ts";

/** How to encode. */
export interface EncodeOptions extends WriteOptions {
  /** Version of the standard operator set; the graph's nodes must be valid in it. */
  readonly opset?: number | undefined;
  readonly irVersion?: number | undefined;
  readonly producer?: string | undefined;
  /** Allows nodes of a pass that compute rightly on this machine alone. No such bytes go to a file. */
  readonly isForThisMachine?: boolean | undefined;
}

/**
 * Encodes a graph as a new file. Its nodes are of the canonical opset unless `opset` says otherwise. A model that was
 * read from a file is written by `writeModel`, which keeps what the file holds besides the graph.
 */
export function encodeGraph(graph: Graph, options: EncodeOptions = {}): ModelBytes {
  const { opset = canonicalOpset, irVersion = 10, producer = "espalier" } = options;
  assert(
    options.isForThisMachine === true || !graph.nodes.some(staysHere),
    "a graph in blocked layout stays on its machine",
  );
  const external = externalSink(graph, options);
  const body = new Rope();
  for (const node of withoutFlattening(graph)) body.field(1, encodeNode(node));
  body.text(2, graph.name);
  for (const { name, read } of graph.constants.values())
    body.field(5, encodeTensor(read(), name, undefined, external));
  for (const name of graph.inputs) body.field(11, encodeValueInfo(name, graph.types.get(name)));
  for (const name of graph.outputs) body.field(12, encodeValueInfo(name, graph.types.get(name)));
  const boundary = new Set([...graph.inputs, ...graph.outputs]);
  for (const [name, type] of graph.types)
    if (!boundary.has(name)) body.field(13, encodeValueInfo(name, type));
  if (irVersion < 4)
    for (const constant of graph.constants.values())
      body.field(11, encodeValueInfo(constant.name, constant));

  const rope = new Rope().int(1, irVersion).text(2, producer);
  const domains = new Set(graph.nodes.map((node) => node.domain));
  domains.delete("");
  rope.field(8, new Rope().int(2, opset));
  for (const domain of [...domains].sort()) rope.field(8, new Rope().text(1, domain).int(2, 1));
  rope.field(7, body);
  for (const [key, value] of options.metadata ?? [])
    rope.field(14, new Rope().text(1, key).text(2, value));
  return modelBytes(rope, external);
}
