/**
 * @file `writeModel`: the original file, patched.
 *
 * What a pass left alone is copied byte for byte, unknown fields included. Changed constants go
 * back where they stood; changed nodes go back in the form of the file's own opset.
 */

import { assert } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { staysHere } from "../../ops/passes/blocked.ts";
import type { Model, ModelBytes, WriteOptions } from "../model.ts";
import { type ExternalSink, encodeNode, encodeTensor, encodeValueInfo } from "../parts/encode.ts";
import { type FieldEdit, fieldOf, patchMessage, Rope } from "../protobuf/rope.ts";
import { decode, stringEntry } from "../protobuf/schema.ts";
import { WireType } from "../protobuf/wire.ts";
import { externalSink, modelBytes } from "./external-sink.ts";
import { annotationEditor } from "./write-annotation.ts";
import { editInitializer, editNode, editValueInfo, writePlanOf } from "./write-plan.ts";

const noLimit = { fields: Number.POSITIVE_INFINITY };

/** The chunks as one array. A model with external data does not fit into one; write its two files. */
export function concatBytes(bytes: ModelBytes | readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const chunks = "chunks" in bytes ? bytes.chunks : bytes;
  assert(!("chunks" in bytes) || bytes.external === undefined, "a model in two files has no bytes");
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/**
 * Writes the file of a model with `graph`, which a pass made from `model.graph`, patched in. The result is canonical
 * only as far as the original was: same opset, IR version, names, metadata and unknown fields. A graph without a file of
 * its own is encoded by `encodeGraph`.
 */
export function writeModel(
  model: Model,
  graph: Graph = model.graph,
  options: WriteOptions = {},
): ModelBytes {
  assert(!graph.nodes.some(staysHere), "a graph in blocked layout stays on its machine");
  const { original, external: elsewhere } = model.file;
  const isUntouched = graph === model.graph && elsewhere.size === 0 && !options.externalData;
  if (isUntouched && (options.metadata?.size ?? 0) === 0)
    return modelBytes(new Rope().push(original), undefined);
  const external = externalSink(graph, options);
  const metadata = new Map(options.metadata ?? []);
  const isCut = changesShapes(model, graph);
  const rope = patchMessage(model.file.bytes, (field) => {
    // A training graph belongs to the shapes that it was made for.
    if (field.holds(20) && isCut) return "drop";
    if (field.holds(7)) {
      const bytes = field.value();
      const patched = patchGraph(model, graph, bytes, external);
      return isSame(patched, bytes) ? "keep" : fieldOf(7, patched);
    }
    if (!field.holds(14)) return "keep";
    const { key } = decode(stringEntry, field.value(), noLimit);
    const value = metadata.get(key);
    if (value === undefined) return "keep";
    metadata.delete(key);
    return fieldOf(14, new Rope().text(1, key).text(2, value));
  });
  for (const [key, value] of metadata) rope.field(14, new Rope().text(1, key).text(2, value));
  return modelBytes(rope, external);
}

/** Whether a constant of the model has another shape in `graph`, or is not there. */
function changesShapes(model: Model, graph: Graph): boolean {
  return [...model.graph.constants.values()].some(
    ({ name, shape }) => graph.constants.get(name)?.shape.join() !== shape.join(),
  );
}

/** True when a rebuilt message is the original's own bytes. */
function isSame(rope: Rope, original: Uint8Array): boolean {
  const [chunk] = rope.chunks;
  if (rope.byteLength === 0) return original.length === 0;
  return (
    rope.chunks.length === 1 &&
    chunk.buffer === original.buffer &&
    chunk.byteOffset === original.byteOffset &&
    chunk.length === original.length
  );
}

function patchGraph(
  model: Model,
  graph: Graph,
  bytes: Uint8Array,
  external: ExternalSink | undefined,
): Rope {
  const plan = writePlanOf(model, graph);
  const editAnnotation = annotationEditor(plan);
  const index = { node: 0, initializer: 0, sparse: 0 };
  const rope = patchMessage(bytes, (field): FieldEdit => {
    // A known number with another wire type is an unknown field, and does not count.
    if (field.wireType !== WireType.LengthDelimited) return "keep";
    switch (field.number) {
      case 1:
        return editNode(plan, index.node++, field.value());
      case 5:
        return editInitializer(plan, index.initializer++, field.value(), external);
      case 11:
      case 12:
      case 13:
        return editValueInfo(plan, field.number, field.value());
      case 14:
        return editAnnotation(field.value());
      case 15: {
        const name = plan.initializerAt.get(model.file.denseCount + index.sparse++);
        return name !== undefined && plan.resident.has(name) ? "keep" : "drop";
      }
      default:
        return "keep";
    }
  });
  for (const node of plan.newBefore.get(undefined) ?? []) rope.field(1, encodeNode(node));
  for (const constant of plan.newConstants) {
    rope.field(5, encodeTensor(constant.read(), constant.name, undefined, external));
    if (model.irVersion < 4) rope.field(11, encodeValueInfo(constant.name, constant));
  }
  return rope;
}
