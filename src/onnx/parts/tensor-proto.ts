/**
 * @file TensorProto: checked when the model is read, decoded only when somebody asks.
 *
 * The header is small and validated at once, the number of stored elements against the dimensions
 * included; the elements go from the file straight into a typed array. All encodings of ONNX:
 * raw_data, the typed fields (packed, unpacked, in several chunks), and external files.
 */
import { EspalierError } from "../../errors.ts";
import { bitsOf, type DType } from "../../tensor/dtype.ts";
import { allocate, bytesOf, type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import type { Limits } from "../protobuf/limits.ts";
import { countNumbers, decodeNumbers, type NumberWire } from "../protobuf/numbers.ts";
import { type Budget, decode, tensorProto } from "../protobuf/schema.ts";
import { decodeText, FieldCursor, WireType } from "../protobuf/wire.ts";
import { dtypeOf } from "./data-types.ts";
import {
  checkExternal,
  type ExternalDataSource,
  type ExternalSpan,
  externalDataOff,
  externalSpan,
  readExternal,
} from "./external.ts";

/** What reading a tensor needs besides its bytes. */
export interface TensorContext {
  readonly limits: Limits;
  readonly budget: Budget;
  readonly externalData: ExternalDataSource | undefined;
}

/** A validated tensor whose elements are still in the file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The location of external data, where the elements are not in the file. */
  readonly external: ExternalSpan | undefined;
  /** Decodes the elements; nothing is cached. */
  readonly read: () => HostTensor;
}

/** The typed field of each element type: field number and how it stands on the wire. */
const typedField: Readonly<Record<DType, readonly [number: number, wire: NumberWire]>> = {
  float32: [4, "fixed32"],
  complex64: [4, "fixed32"],
  float64: [10, "fixed64"],
  complex128: [10, "fixed64"],
  int64: [7, "varint"],
  uint32: [11, "varint"],
  uint64: [11, "varint"],
  string: [6, "varint"],
  int32: [5, "varint"],
  int16: [5, "varint"],
  int8: [5, "varint"],
  uint16: [5, "varint"],
  uint8: [5, "varint"],
  bool: [5, "varint"],
  float16: [5, "varint"],
  bfloat16: [5, "varint"],
  float8e4m3fn: [5, "varint"],
  float8e4m3fnuz: [5, "varint"],
  float8e5m2: [5, "varint"],
  float8e5m2fnuz: [5, "varint"],
  float8e8m0: [5, "varint"],
  int4: [5, "varint"],
  uint4: [5, "varint"],
  int2: [5, "varint"],
  uint2: [5, "varint"],
  float4e2m1: [5, "varint"],
};

/** Reads and validates a TensorProto; `fallbackName` names it in messages where it has no name. */
export function readTensor(
  bytes: Uint8Array,
  context: TensorContext,
  fallbackName: string,
): StoredTensor {
  const proto = decode(tensorProto, bytes, context.budget);
  const name = proto.name === "" ? fallbackName : proto.name;
  const { dims: shape } = proto;
  const dtype = dtypeOf(proto.dataType);
  if (dtype === undefined) badTensor(name, `unknown data type ${proto.dataType}`, shape);
  if (proto.segment !== undefined) badTensor(name, "segmented tensors do not exist", shape);
  const size = checkedSize(name, shape, context.limits);
  const entries = storedBytes(dtype, shape);
  const stored = { name: proto.name, dtype, shape };
  const external = proto.dataLocation === 1 || proto.externalData.length > 0;
  const encodings = [
    proto.rawData !== undefined,
    proto.floatData,
    proto.int32Data,
    proto.stringData,
    proto.int64Data,
    proto.doubleData,
    proto.uint64Data,
    external,
  ].filter(Boolean).length;
  if (encodings > 1) badTensor(name, "its elements are stored twice", shape);

  if (external) {
    const source = context.externalData ?? externalDataOff(name);
    const span = externalSpan(name, proto.externalData, context.budget);
    if (dtype === "string") badTensor(name, "strings cannot be external data", shape);
    checkExternal(name, span, entries, source);
    const read = () => fromRaw(dtype, shape, size, readExternal(name, span, entries, source));
    return { ...stored, external: span, read };
  }
  if (dtype === "string") {
    checkCount(name, shape, countStrings(bytes), size, "strings");
    return { ...stored, external: undefined, read: () => readStrings(bytes, shape) };
  }
  if (proto.rawData !== undefined) {
    const raw = proto.rawData;
    checkCount(name, shape, raw.length, entries, `bytes of ${dtype}`);
    return { ...stored, external: undefined, read: () => fromRaw(dtype, shape, size, raw) };
  }
  const [field, wire] = typedField[dtype];
  const expected = fieldEntries(dtype, size);
  checkCount(name, shape, countNumbers(bytes, field, wire), expected, `entries of ${dtype}`);
  const read = () => {
    const data = allocate(dtype, size);
    decodeNumbers(bytes, field, wire, data);
    return { dtype, shape, data };
  };
  return { ...stored, external: undefined, read };
}

/** Bytes that a tensor's elements take as raw data; 0 for strings, which have none. */
export function storedBytes(dtype: DType, shape: readonly number[]): number {
  return Math.ceil((sizeOf(shape) * bitsOf[dtype]) / 8);
}

/** Number of entries of the typed field: complex numbers take two, packed types share one. */
function fieldEntries(dtype: DType, size: number): number {
  if (dtype === "complex64" || dtype === "complex128") return 2 * size;
  return bitsOf[dtype] < 8 ? Math.ceil((size * bitsOf[dtype]) / 8) : size;
}

/** The number of elements of a shape, computed without overflow and within the limits. */
export function checkedSize(name: string, shape: readonly number[], limits: Limits): number {
  if (shape.length > limits.maxRank)
    throw new EspalierError(
      "MODEL_TOO_LARGE",
      `Tensor "${name}" has ${shape.length} axes; at most ${limits.maxRank} are read.`,
      { data: { tensor: name, rank: shape.length } },
    );
  if (shape.some((dim) => dim < 0)) badTensor(name, "a dimension is negative", shape);
  const size = shape.reduce((product, dim) => product * BigInt(dim), 1n);
  if (size > BigInt(limits.maxElements) || shape.some((dim) => dim > limits.maxElements))
    throw new EspalierError(
      "MODEL_TOO_LARGE",
      `Tensor "${name}" claims the shape [${shape.join(", ")}].`,
      { data: { tensor: name, shape } },
    );
  return Number(size);
}

function checkCount(
  name: string,
  shape: readonly number[],
  got: number,
  expected: number,
  what: string,
): void {
  if (got !== expected) badTensor(name, `expected ${expected} ${what}, got ${got}`, shape);
}

function badTensor(name: string, problem: string, shape: readonly number[]): never {
  throw new EspalierError(
    "MODEL_BAD_TENSOR",
    `Tensor "${name}" of shape [${shape.slice(0, 16).join(", ")}]: ${problem}.`,
    { data: { tensor: name, shape } },
  );
}

/** A copy of little-endian bytes as a tensor; the file itself is never handed out. */
function fromRaw(
  dtype: DType,
  shape: readonly number[],
  size: number,
  raw: Uint8Array,
): HostTensor {
  const data = allocate(dtype, size);
  bytesOf(data).set(raw);
  return { dtype, shape, data };
}

function countStrings(bytes: Uint8Array): number {
  let count = 0;
  const cursor = new FieldCursor(bytes);
  while (cursor.next())
    if (cursor.number === typedField.string[0] && cursor.wireType === WireType.LengthDelimited)
      count++;
  return count;
}

function readStrings(bytes: Uint8Array, shape: readonly number[]): HostTensor {
  const data: string[] = [];
  const cursor = new FieldCursor(bytes);
  while (cursor.next())
    if (cursor.number === typedField.string[0] && cursor.wireType === WireType.LengthDelimited)
      data.push(decodeText(cursor.value()));
  return { dtype: "string", shape, data };
}
