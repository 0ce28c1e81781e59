/** @file ONNX messages byte by byte, independent of the code under test, valid or not. */

/** A message, or part of one. */
export type Bytes = readonly number[] | Uint8Array;

/** Lays parts end to end. */
export function join(...parts: readonly Bytes[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A varint; negative numbers take ten bytes, as protobuf wants it. */
export function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

/** A varint field. */
export function int(field: number, value: number | bigint): Uint8Array {
  return join(varint(field * 8), varint(value));
}

/** A length-delimited field: a message, bytes or text. */
export function len(field: number, value: Bytes | string): Uint8Array {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return join(varint(field * 8 + 2), varint(bytes.length), bytes);
}

/** A 32-bit float field. */
export function float(field: number, value: number): Uint8Array {
  return join(varint(field * 8 + 5), new Uint8Array(new Float32Array([value]).buffer));
}

/** The bytes behind numbers of a typed array. */
export function raw(values: {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A packed field of varints. */
export function packed(field: number, values: Iterable<number | bigint>): Uint8Array {
  return len(field, [...values].flatMap(varint));
}

/** TensorProto. `parts` holds the elements. */
export function tensor(
  name: string,
  dataType: number,
  dims: readonly (number | bigint)[],
  ...parts: readonly Uint8Array[]
): Uint8Array {
  return join(...dims.map((dim) => int(1, dim)), int(2, dataType), len(8, name), ...parts);
}

/** A float tensor with zeros as raw data. */
export function zeros(name: string, dims: readonly number[]): Uint8Array {
  const size = dims.reduce((product, dim) => product * dim, 1);
  return tensor(name, 1, dims, len(9, new Uint8Array(4 * size)));
}

/** NodeProto; attributes are AttributeProtos. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
  more: Bytes = [],
): Uint8Array {
  return join(
    ...inputs.map((name) => len(1, name)),
    ...outputs.map((name) => len(2, name)),
    len(4, opType),
    ...attributes.map((attribute) => len(5, attribute)),
    more,
  );
}

/** AttributeProto: the value's fields and its type. */
export function attribute(name: string, type: number, ...value: readonly Uint8Array[]): Uint8Array {
  return join(len(1, name), ...value, int(20, type));
}

/** ValueInfoProto of a tensor. Sizes below zero are left open; strings are symbols. */
export function valueInfo(
  name: string,
  dims: readonly (number | string)[] | undefined,
  elemType = 1,
): Uint8Array {
  const dim = (d: number | string) =>
    typeof d === "string" ? len(2, d) : d < 0 ? new Uint8Array() : int(1, d);
  const shape = dims === undefined ? [] : len(2, join(...dims.map((d) => len(1, dim(d)))));
  return join(len(1, name), len(2, len(1, join(int(1, elemType), shape))));
}

/** The parts of a graph. */
export interface GraphParts {
  readonly nodes?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
  readonly inputs?: readonly Uint8Array[];
  readonly outputs?: readonly Uint8Array[];
  readonly values?: readonly Uint8Array[];
  /** More fields. */
  readonly more?: Bytes;
}

/** GraphProto. */
export function graph(parts: GraphParts): Uint8Array {
  const list = (field: number, items: readonly Uint8Array[] = []) =>
    items.map((item) => len(field, item));
  return join(
    ...list(1, parts.nodes),
    len(2, "g"),
    ...list(5, parts.initializers),
    ...list(11, parts.inputs),
    ...list(12, parts.outputs),
    ...list(13, parts.values),
    parts.more ?? [],
  );
}

/** ModelProto around a GraphProto. */
export function model(body: Bytes, opset = 13, more: Bytes = [], irVersion = 7): Uint8Array {
  return join(int(1, irVersion), len(8, int(2, opset)), len(7, body), more);
}

/** A valid graph x [1, 2] → Relu → y, with changes. */
export function relu(parts: GraphParts = {}): Uint8Array {
  return graph({
    nodes: [node("Relu", ["x"], ["y"])],
    inputs: [valueInfo("x", [1, 2])],
    outputs: [valueInfo("y", [1, 2])],
    ...parts,
  });
}
