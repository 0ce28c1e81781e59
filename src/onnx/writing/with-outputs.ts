/** @file A written model that also gives out values from its inside. */
import type { DType } from "../../tensor/dtype.ts";
import type { ModelBytes } from "../model.ts";
import { encodeValueInfo } from "../parts/encode.ts";
import { Rope } from "../protobuf/rope.ts";

/**
 * The model with further outputs, which nodes of it must compute. Not a byte of it changes: a second graph
 * field follows, which protobuf merges with the first one.
 */
export function withOutputs(
  bytes: ModelBytes,
  values: readonly { readonly name: string; readonly dtype: DType }[],
): ModelBytes {
  if (values.length === 0) return bytes;
  const graph = new Rope();
  for (const { name, dtype } of values)
    graph.field(12, encodeValueInfo(name, { dtype, shape: undefined }));
  const more = new Rope().field(7, graph);
  return {
    ...bytes,
    chunks: [...bytes.chunks, ...more.chunks],
    byteLength: bytes.byteLength + more.byteLength,
  };
}
