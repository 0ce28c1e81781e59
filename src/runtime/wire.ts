/** @file Tensors and models on their way to the worker and back: one copy at most. */
import { EspalierError } from "../errors.ts";
import { nameOpenSizes } from "../ir/names.ts";
import { writeModel } from "../onnx/writing/write.ts";
import type { DType } from "../tensor/dtype.ts";
import { allocate, bytesOf, type HostTensor, isStrings } from "../tensor/host-tensor.ts";
import type { WireModel, WireTensor, WireValue } from "./protocol.ts";
import type { Feeds, ModelSource, SessionValue } from "./values.ts";

/**
 * A model to post. Pieces are laid end to end in one new buffer, which then changes owner, so that
 * this thread keeps only what the caller holds.
 */
export function toWireModel(model: ModelSource, transfer: ArrayBuffer[]): WireModel {
  if ("path" in model) return model.path;
  const pieces = piecesOf(model);
  const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  transfer.push(whole.buffer);
  return whole.buffer;
}

function piecesOf(model: Exclude<ModelSource, { readonly path: string }>): readonly Uint8Array[] {
  if (model instanceof Uint8Array) return [model];
  if (!("graph" in model)) return model;
  const { chunks, external } = writeModel(model);
  if (external === undefined) return chunks;
  throw new EspalierError("MODEL_TOO_LARGE", "the network is too large to be one message", {
    hint: "Save it with saveModel, and give { path } of that file.",
  });
}

/** Feeds to post: copies, or with `handOver` the caller's own arrays where they fill their buffer. */
export function toWireFeeds(
  feeds: Feeds,
  handOver: boolean,
  transfer: ArrayBuffer[],
): ReadonlyMap<string, WireTensor> {
  const out = new Map<string, WireTensor>();
  for (const [name, { dtype, shape, data }] of feeds) {
    if (isStrings(data)) out.set(name, { dtype, shape, data });
    else {
      const buffer = ownedBuffer(bytesOf(data), handOver);
      // One buffer may stand behind several feeds, but changes owner once.
      if (!transfer.includes(buffer)) transfer.push(buffer);
      out.set(name, { dtype, shape, data: buffer });
    }
  }
  return out;
}

function ownedBuffer(bytes: Uint8Array, handOver: boolean): ArrayBuffer {
  const { buffer } = bytes;
  if (handOver && buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength)
    return buffer;
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
}

/** The tensor that arrived. */
export function fromWire({ dtype, shape, data }: WireTensor): HostTensor {
  if (!(data instanceof ArrayBuffer)) return { dtype, shape, data };
  return { dtype, shape, data: viewOf(dtype, data) };
}

/** The whole buffer, as the array that holds `dtype`. */
function viewOf(dtype: DType, buffer: ArrayBuffer): HostTensor["data"] {
  // `allocate` knows which array holds a dtype; its constructor makes the view.
  const Elements = allocate(dtype, 0).constructor as new (
    buffer: ArrayBuffer,
  ) => Exclude<HostTensor["data"], readonly string[]>;
  return new Elements(buffer);
}

/** The declared inputs, with a name for every unnamed size: the one that reading the file gives it. */
export function fromWireInputs(
  inputs: readonly WireValue[],
  outputs: readonly WireValue[],
): readonly SessionValue[] {
  const shapes = nameOpenSizes(
    inputs,
    outputs.flatMap(({ shape }) => shape),
  );
  return inputs.map(({ name, dtype }, i) => ({ name, dtype, shape: shapes[i] ?? [] }));
}

/** A declared output. Sizes that are not known are called `?name_axis`. */
export function fromWireOutput({ name, dtype, shape }: WireValue): SessionValue {
  const named = shape.map((dim, axis) => (dim === "" ? `?${name}_${axis}` : dim));
  return { name, dtype, shape: named };
}
