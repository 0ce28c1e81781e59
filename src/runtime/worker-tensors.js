/** @file Worker: tensors as they travel between threads, and as onnxruntime takes them. */
import * as ort from "onnxruntime-node";

/**
 * @typedef {import("./protocol.ts").WireTensor} WireTensor
 * @typedef {import("./protocol.ts").WireValue} WireValue
 */

/** The typed array of each element type that onnxruntime-node takes. float16 travels as bits. */
const arrayOf = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Raised for element types that onnxruntime-node cannot take or give. */
export class TypeFailure extends Error {}

/** onnxruntime's numbers of the element types that onnxruntime-node does not know. */
const unknownTypes = new Map([
  [14, "complex64"],
  [15, "complex128"],
  [16, "bfloat16"],
  [17, "float8e4m3fn"],
  [18, "float8e4m3fnuz"],
  [19, "float8e5m2"],
  [20, "float8e5m2fnuz"],
  [23, "float4e2m1"],
  [24, "uint2"],
  [25, "int2"],
]);

/**
 * What onnxruntime-node says of a type that it does not know, in words; any other error as it is.
 * @param {unknown} error
 */
export function typeFailureOf(error) {
  const [, number] = /Unsupported data type: (\d+)/.exec(String(error)) ?? [];
  if (number === undefined) return error;
  const type = unknownTypes.get(Number(number)) ?? `of type number ${number}`;
  return new TypeFailure(`an input or output is ${type}`);
}

/**
 * Types of two elements to a byte, whose size onnxruntime-node does not know: for an output it asks for an
 * impossible amount of memory, which ends the process, and an input of it would be misread.
 */
const halfBytes = new Set(["int4", "uint4"]);

/** @param {readonly ort.InferenceSession.ValueMetadata[]} values @returns {WireValue[]} */
export function describe(values) {
  return values.map((value) => {
    if (!value.isTensor) throw new Error(`"${value.name}" is not a tensor`);
    if (halfBytes.has(value.type)) throw new TypeFailure(`"${value.name}" is ${value.type}`);
    return { name: value.name, dtype: value.type, shape: value.shape };
  });
}

/** @param {ReadonlyMap<string, WireTensor>} feeds */
export function toFeeds(feeds) {
  /** @type {Record<string, ort.Tensor>} */
  const out = Object.create(null);
  for (const [name, tensor] of feeds) out[name] = toTensor(name, tensor);
  return out;
}

/** @param {string} name @param {WireTensor} wire @returns {ort.Tensor} */
function toTensor(name, { dtype, shape, data }) {
  if (Array.isArray(data)) {
    // onnxruntime-node ends a text at its first NUL, silently.
    if (data.some((text) => text.includes("\0")))
      throw new Error(`"${name}" holds text with a NUL`);
    return new ort.Tensor("string", data, shape);
  }
  if (!Object.hasOwn(arrayOf, dtype)) throw new Error(`"${name}" is ${dtype}, which cannot be fed`);
  const Elements = arrayOf[/** @type {keyof typeof arrayOf} */ (dtype)];
  // The constructor's overloads tie each dtype to its array; `arrayOf` is that same table.
  return new /** @type {any} */ (ort.Tensor)(dtype, new Elements(/** @type {any} */ (data)), shape);
}

/** @param {ort.Tensor} tensor @param {ArrayBuffer[]} transfer @returns {WireTensor} */
export function fromTensor(tensor, transfer) {
  const { type: dtype, dims: shape, data } = tensor;
  if (Array.isArray(data)) return { dtype, shape, data };
  const view = /** @type {Uint8Array} */ (/** @type {unknown} */ (data));
  const whole = view.byteOffset === 0 && view.byteLength === view.buffer.byteLength;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const buffer = /** @type {ArrayBuffer} */ (whole ? view.buffer : bytes.slice().buffer);
  transfer.push(buffer);
  return { dtype, shape, data: buffer };
}

/** Frees a buffer now rather than at the next garbage collection. @param {ArrayBuffer} buffer */
export function discard(buffer) {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, [buffer]);
  port1.close();
  port2.close();
}
