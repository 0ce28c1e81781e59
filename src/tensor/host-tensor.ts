/** @file Dense tensors in host memory, and the few index loops that we own. */
import { assert } from "../errors.ts";
import { bitsOf, type DType } from "./dtype.ts";
import { halfToNumber, numberToHalf } from "./half.ts";

/** The array behind a tensor. 16-bit floats are kept as their bits, sub-byte types as packed bytes. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[];

/** A dense, row-major tensor. `data` has one entry per element, but for complex (2) and sub-byte types (packed). */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

/** A zero-filled array of `length` entries that can hold `dtype`. Strings are refused. */
export function allocate(dtype: DType, length: number): Exclude<TensorData, readonly string[]> {
  switch (dtype) {
    case "float32":
    case "complex64":
      return new Float32Array(dtype === "complex64" ? 2 * length : length);
    case "float64":
    case "complex128":
      return new Float64Array(dtype === "complex128" ? 2 * length : length);
    case "float16":
    case "bfloat16":
    case "uint16":
      return new Uint16Array(length);
    case "int8":
      return new Int8Array(length);
    case "int16":
      return new Int16Array(length);
    case "int32":
      return new Int32Array(length);
    case "int64":
      return new BigInt64Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "uint64":
      return new BigUint64Array(length);
    case "string":
      assert(false, "strings have no typed array");
      break;
    default:
      return new Uint8Array(Math.ceil((length * bitsOf[dtype]) / 8));
  }
  throw new Error("unreachable");
}

/** A tensor of numbers; values are rounded to `dtype` as its typed array rounds. */
export function tensorOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): HostTensor {
  const length = sizeOf(shape);
  assert(values.length === length, `${values.length} values for shape [${shape.join(", ")}]`);
  const data = allocate(dtype, length);
  if (data instanceof Float32Array || data instanceof Float64Array) {
    data.set(values);
    return { dtype, shape, data };
  }
  for (let i = 0; i < length; i++) {
    const value = values[i];
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(value);
    else if (dtype === "float16") data[i] = numberToHalf(value);
    else if (dtype === "bfloat16") data[i] = numberToBfloat16(value);
    else data[i] = value;
  }
  return { dtype, shape, data };
}

/** An int64 vector, as shape-like ONNX inputs want it. */
export function int64Vector(values: ArrayLike<number>): HostTensor {
  return tensorOf("int64", [values.length], values);
}

/** The elements as numbers (float64). Not for strings, complex and sub-byte types. */
export function toNumbers(tensor: HostTensor): Float64Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return new Float64Array(data);
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; i++) {
    if (dtype === "float16") out[i] = halfToNumber(Number(data[i]));
    else if (dtype === "bfloat16") out[i] = bfloat16ToNumber(Number(data[i]));
    else out[i] = Number(data[i]);
  }
  return out;
}

const scratch = new DataView(new ArrayBuffer(4));

function bfloat16ToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Round to nearest even; NaN stays NaN. */
function numberToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/**
 * Reads single elements as numbers, without converting the whole tensor. Not for strings, complex and
 * sub-byte types.
 */
export function elementReader({ dtype, data }: HostTensor): (index: number) => number {
  if (data instanceof Float32Array || data instanceof Float64Array) return (index) => data[index];
  if (dtype === "float16") {
    const values = Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
    return (index) => values[Number(data[index])];
  }
  if (dtype === "bfloat16") return (index) => bfloat16ToNumber(Number(data[index]));
  return (index) => Number(data[index]);
}

/**
 * The sub-tensor at `indices` along `axis`: [.., C, ..] → [.., indices.length, ..].
 * Indices may repeat and come in any order. Sub-byte types are refused.
 */
export function takeAlong(
  tensor: HostTensor,
  axis: number,
  indices: ArrayLike<number>,
): HostTensor {
  return takeGrid(
    tensor,
    tensor.shape.map((_, i) => (i === axis ? indices : undefined)),
  );
}

/** The sub-tensor at the given indices of every axis at once; `undefined` takes an axis whole. */
export function takeGrid(
  { dtype, shape, data }: HostTensor,
  indices: readonly (ArrayLike<number> | undefined)[],
): HostTensor {
  assert(bitsOf[dtype] === 0 || bitsOf[dtype] >= 8, `cannot take elements of packed ${dtype}`);
  const outShape = shape.map((size, axis) => indices[axis]?.length ?? size);
  // Axes behind the last one that is cut are copied in one run.
  const cut = indices.findLastIndex((list) => list !== undefined);
  const taken = indices[cut] ?? [0];
  const width = cut < 0 ? 1 : shape[cut];
  const run = sizeOf(shape.slice(cut + 1));
  const rows = rowStarts(shape.slice(0, Math.max(0, cut)), indices);
  if (isStrings(data)) {
    const strings: string[] = [];
    for (const row of rows)
      for (let k = 0; k < taken.length; k++) {
        const start = (row * width + taken[k]) * run;
        for (let i = start; i < start + run; i++) strings.push(data[i]);
      }
    return { dtype, shape: outShape, data: strings };
  }
  const out = allocate(dtype, sizeOf(outShape));
  const runBytes = (run * bitsOf[dtype]) / 8;
  const [source, target] = [bytesOf(data), bytesOf(out)];
  let to = 0;
  for (const row of rows) {
    for (let k = 0; k < taken.length; k++, to += runBytes) {
      const from = (row * width + taken[k]) * runBytes;
      if (runBytes > 64) target.set(source.subarray(from, from + runBytes), to);
      else for (let b = 0; b < runBytes; b++) target[to + b] = source[from + b];
    }
  }
  return { dtype, shape: outShape, data: out };
}

/** Row-major positions over `shape` that the indices select, in order. */
function rowStarts(
  shape: readonly number[],
  indices: readonly (ArrayLike<number> | undefined)[],
): Float64Array {
  let starts = new Float64Array(1);
  for (const [axis, size] of shape.entries()) {
    const taken = indices[axis];
    const count = taken?.length ?? size;
    const next = new Float64Array(starts.length * count);
    let to = 0;
    for (const start of starts)
      for (let k = 0; k < count; k++) next[to++] = start * size + (taken ? taken[k] : k);
    starts = next;
  }
  return starts;
}

/** True where the data are strings rather than a typed array. */
export function isStrings(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

/** The bytes behind a typed array, as a view. */
export function bytesOf(data: Exclude<TensorData, readonly string[]>): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
