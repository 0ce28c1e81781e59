/** @file Where the weights of a model go that is written: into it, or into a second file beside it. */
import type { Graph } from "../../ir/graph.ts";
import type { ModelBytes, WriteOptions } from "../model.ts";
import type { ExternalSink } from "../parts/encode.ts";
import { storedBytes } from "../parts/tensor-proto.ts";
import { Rope } from "../protobuf/rope.ts";

/** protobuf ends at 2 GiB; the rest of the model needs room beside its weights. */
const largestWeights = 2 ** 31 - 2 ** 26;

/** A sink when weights have to leave the file, or should. */
export function externalSink(graph: Graph, options: WriteOptions): ExternalSink | undefined {
  let bytes = 0;
  for (const { dtype, shape } of graph.constants.values()) bytes += storedBytes(dtype, shape);
  if (!options.externalData && bytes < largestWeights) return undefined;
  return { location: options.externalLocation ?? "model.onnx.data", bytes: new Rope() };
}

/** The finished ropes as a {@link ModelBytes}. */
export function modelBytes(rope: Rope, external: ExternalSink | undefined): ModelBytes {
  const { chunks, byteLength } = rope;
  if (external === undefined || external.bytes.byteLength === 0)
    return { chunks, byteLength, external: undefined };
  const { location, bytes } = external;
  return {
    chunks,
    byteLength,
    external: { location, chunks: bytes.chunks, byteLength: bytes.byteLength },
  };
}
