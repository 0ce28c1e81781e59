/** @file AttributeProto to the attributes of the IR. */

import { EspalierError } from "../../errors.ts";
import type { Attribute } from "../../ir/graph.ts";
import { maxAttributeBytes } from "../protobuf/limits.ts";
import { countNumbers, decodeNumbers, type NumberWire } from "../protobuf/numbers.ts";
import { type AttributeMessage, attributeProto, decode } from "../protobuf/schema.ts";
import { clampedNumber, decodeText } from "../protobuf/wire.ts";
import { contentsOf } from "./bodies.ts";
import { readTensor, type TensorContext } from "./tensor-proto.ts";

/** `AttributeProto.AttributeType`. */
export const attributeTypes = [
  "undefined",
  "float",
  "int",
  "string",
  "tensor",
  "graph",
  "floats",
  "ints",
  "strings",
  "tensors",
  "graphs",
  "sparse_tensor",
  "sparse_tensors",
  "type_proto",
  "type_protos",
] as const;

type AttributeType = (typeof attributeTypes)[number];

/** An attribute of the file: its message, and what the IR sees of it. */
export interface ReadAttribute {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: AttributeMessage;
  readonly attribute: Attribute;
}

/** Field numbers of the numeric lists. */
const floatsField = 7;
const intsField = 8;

/** Reads one attribute of `node` (named for messages). */
export function readAttribute(
  bytes: Uint8Array,
  node: string,
  context: TensorContext,
): ReadAttribute {
  const message = decode(attributeProto, bytes, context.budget);
  const { name } = message;
  if (name === "") badAttribute(node, name, "an attribute has no name");
  return { name, bytes, message, attribute: attributeOf(message, bytes, node, context) };
}

function attributeOf(
  message: AttributeMessage,
  bytes: Uint8Array,
  node: string,
  context: TensorContext,
): Attribute {
  if (message.refName !== "")
    return badAttribute(node, message.name, "refers to a function's attribute outside a function");
  const type = typeOf(message);
  switch (type) {
    case "int":
      return { kind: "int", value: message.i };
    case "float":
      return { kind: "float", value: message.f };
    case "string":
      return { kind: "string", value: decodeText(message.s ?? new Uint8Array()) };
    case "ints": {
      const values = listOf(bytes, intsField, "varint", (n) => new BigInt64Array(n));
      if (values === undefined) return { kind: "opaque", what: "a long list of ints" };
      return { kind: "ints", value: Array.from(values, clampedNumber) };
    }
    case "floats": {
      const values = listOf(bytes, floatsField, "fixed32", (n) => new Float32Array(n));
      if (values === undefined) return { kind: "opaque", what: "a long list of floats" };
      return { kind: "floats", value: Array.from(values) };
    }
    case "strings":
      return { kind: "strings", value: message.strings.map(decodeText) };
    case "tensor": {
      if (message.t === undefined)
        return badAttribute(node, message.name, "is a tensor attribute without a tensor");
      const tensor = readTensor(message.t, context, `${node}.${message.name}`);
      if (message.t.length > maxAttributeBytes || tensor.external)
        return { kind: "opaque", what: "a large tensor" };
      return { kind: "tensor", value: tensor.read() };
    }
    case undefined:
      return badAttribute(node, message.name, `has the unknown type ${message.type}`);
    default:
      return { kind: "opaque", what: type, contents: contentsOf(message) };
  }
}

/** The declared type; files of IR version 1 declare none, and it follows from the field in use. */
function typeOf(message: AttributeMessage): AttributeType | undefined {
  if (message.type !== 0) return attributeTypes[message.type];
  if (message.s !== undefined) return "string";
  if (message.t !== undefined) return "tensor";
  if (message.g !== undefined) return "graph";
  if (message.floats) return "floats";
  if (message.ints) return "ints";
  if (message.strings.length > 0) return "strings";
  if (message.graphs.length > 0) return "graphs";
  return message.f !== 0 ? "float" : "int";
}

function listOf<T extends BigInt64Array | Float32Array>(
  bytes: Uint8Array,
  field: number,
  wire: NumberWire,
  make: (length: number) => T,
): T | undefined {
  const count = countNumbers(bytes, field, wire);
  if (count * 8 > maxAttributeBytes) return undefined;
  const values = make(count);
  decodeNumbers(bytes, field, wire, values);
  return values;
}

function badAttribute(node: string, attribute: string, problem: string): never {
  throw new EspalierError(
    "MODEL_BAD_ATTRIBUTE",
    `Node "${node}": attribute "${attribute}" ${problem}.`,
    { data: { node, attribute } },
  );
}
