/** @file Tensors, attributes, nodes and types as protobuf, from nothing or over their originals. */
import { WireType } from "@bufbuild/protobuf/wire";
import { assert } from "../../errors.ts";
import type { Attribute, Dim, Node, TensorType } from "../../ir/graph.ts";
import { bytesOf, type HostTensor, isStrings } from "../../tensor/host-tensor.ts";
import { patchMessage, Rope } from "../protobuf/rope.ts";
import { attributeTypes } from "./attributes.ts";
import { dataTypeOf } from "./data-types.ts";

/** Collects the tensors that go to a second file. */
export interface ExternalSink {
  readonly location: string;
  readonly bytes: Rope;
}

/** Smaller tensors stay in the model, so that shape arithmetic needs no second file. */
const externalFromBytes = 1024;
/** Where tensors start in the second file, so that they can be mapped into memory. */
const externalAlignment = 4096;

/** The fields of a TensorProto that say what it holds; all others are kept. */
const tensorContents: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14]);

/** A TensorProto with these elements; names and unknown fields of `original` stay. */
export function encodeTensor(
  tensor: HostTensor,
  name: string,
  original?: Uint8Array,
  external?: ExternalSink,
): Rope {
  const { data } = tensor;
  const rope = new Rope();
  for (const dim of tensor.shape) rope.int(1, dim);
  rope.int(2, dataTypeOf(tensor.dtype));
  if (isStrings(data)) for (const text of data) rope.text(6, text);
  if (original === undefined) rope.text(8, name);
  else rope.append(patchMessage(original, (f) => (tensorContents.has(f.number) ? "drop" : "keep")));
  if (isStrings(data)) return rope;
  const raw = bytesOf(data);
  if (external === undefined || raw.length < externalFromBytes) return rope.field(9, raw);
  const { location, bytes } = external;
  const padding = -bytes.byteLength & (externalAlignment - 1);
  bytes.push(new Uint8Array(padding));
  const entry = (key: string, value: string) =>
    rope.field(13, new Rope().text(1, key).text(2, value));
  entry("location", location);
  entry("offset", String(bytes.byteLength));
  entry("length", String(raw.length));
  bytes.push(raw);
  return rope.int(14, 1);
}

/** The fields of an AttributeProto that hold its value. */
const attributeContents: ReadonlySet<number> = new Set([
  2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 20, 22, 23,
]);

/** An AttributeProto with this value; documentation and unknown fields of `original` stay. */
export function encodeAttribute(name: string, value: Attribute, original?: Uint8Array): Rope {
  const rope =
    original === undefined
      ? new Rope().text(1, name)
      : patchMessage(original, (f) => (attributeContents.has(f.number) ? "drop" : "keep"));
  switch (value.kind) {
    case "float":
      rope.write((w) => w.tag(2, WireType.Bit32).raw(float32Bytes([value.value])));
      break;
    case "int":
      rope.int(3, value.value);
      break;
    case "string":
      rope.text(4, value.value);
      break;
    case "tensor":
      rope.field(5, encodeTensor(value.value, ""));
      break;
    case "floats":
      for (const x of value.value)
        rope.write((w) => w.tag(7, WireType.Bit32).raw(float32Bytes([x])));
      break;
    case "ints":
      rope.write((w) => {
        for (const x of value.value) w.tag(8, WireType.Varint).int64(x);
      });
      break;
    case "strings":
      for (const x of value.value) rope.text(9, x);
      break;
    case "opaque":
      assert(false, `attribute "${name}" (${value.what}) is only ever copied`);
      break;
    default:
      value satisfies never;
  }
  return rope.int(20, attributeTypes.indexOf(value.kind));
}

/** The bytes of float32 values, infinities and NaN included, some of which the wire writer refuses. */
function float32Bytes(values: readonly number[]): Uint8Array {
  return bytesOf(new Float32Array(values));
}

/** A NodeProto from nothing. */
export function encodeNode(node: Node): Rope {
  const rope = new Rope();
  for (const name of node.inputs) rope.text(1, name);
  for (const name of node.outputs) rope.text(2, name);
  rope.text(3, node.name).text(4, node.opType);
  for (const [name, value] of node.attributes) rope.field(5, encodeAttribute(name, value));
  if (node.domain !== "") rope.text(7, node.domain);
  return rope;
}

/** A ValueInfoProto from nothing. */
export function encodeValueInfo(name: string, type: TensorType | undefined): Rope {
  const rope = new Rope().text(1, name);
  if (type === undefined) return rope;
  const tensor = new Rope().int(1, dataTypeOf(type.dtype));
  if (type.shape !== undefined) tensor.field(2, encodeShape(type.shape));
  return rope.field(2, new Rope().field(1, tensor));
}

/** A TensorShapeProto. */
function encodeShape(shape: readonly Dim[]): Rope {
  const rope = new Rope();
  for (const dim of shape) rope.field(1, encodeDim(dim));
  return rope;
}

/** A Dimension: a size, a name, or nothing for a size that is not known. */
function encodeDim(dim: Dim): Rope {
  if (typeof dim === "number") return new Rope().int(1, dim);
  return dim.startsWith("?") ? new Rope() : new Rope().text(2, dim);
}

/** A ValueInfoProto whose type changed from `before` to `after`; only what differs is rewritten. */
export function patchValueInfo(bytes: Uint8Array, before: TensorType, after: TensorType): Rope {
  const retype = (type: Uint8Array) =>
    patchMessage(type, (f) =>
      f.holds(1) ? new Rope().field(1, patchTensorType(f.value(), before, after)) : "keep",
    );
  return patchMessage(bytes, (f) => (f.holds(2) ? new Rope().field(2, retype(f.value())) : "keep"));
}

function patchTensorType(bytes: Uint8Array, before: TensorType, after: TensorType): Rope {
  let hasShape = false;
  const rope = patchMessage(bytes, (f) => {
    if (f.number === 1 && before.dtype !== after.dtype)
      return new Rope().int(1, dataTypeOf(after.dtype));
    if (!f.holds(2)) return "keep";
    hasShape = true;
    if (after.shape === undefined) return "drop";
    return new Rope().field(2, patchShape(f.value(), before.shape, after.shape));
  });
  if (!hasShape && after.shape !== undefined && before.shape === undefined)
    rope.field(2, encodeShape(after.shape));
  return rope;
}

function patchShape(
  bytes: Uint8Array,
  before: readonly Dim[] | undefined,
  after: readonly Dim[],
): Rope {
  if (before?.length !== after.length) return encodeShape(after);
  let axis = 0;
  return patchMessage(bytes, (f) => {
    if (!f.holds(1)) return "keep";
    const dim = after[axis];
    if (dim === before[axis++] || dim === undefined) return "keep";
    const kept = patchMessage(f.value(), (inner) => (inner.number <= 2 ? "drop" : "keep"));
    return new Rope().field(1, encodeDim(dim).append(kept));
  });
}
