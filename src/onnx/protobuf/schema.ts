/**
 * @file The part of the ONNX schema that we read, and a decoder driven by it.
 *
 * Fields that are not listed stay in the file untouched. Field numbers are those of `onnx-ml.proto`.
 */
import { EspalierError } from "../../errors.ts";
import { clampedNumber, decodeName, decodeText, FieldCursor, WireType } from "./wire.ts";

/**
 * How a field is decoded. `name`: strict UTF-8; `text`: lossy; `message` may occur once;
 * `numbers` are counted as present only, since they are decoded straight into typed arrays.
 */
type Kind =
  | "name"
  | "names"
  | "text"
  | "int"
  | "optionalInt"
  | "ints"
  | "float"
  | "bytes"
  | "bytesList"
  | "message"
  | "messages"
  | "numbers";

interface Decoded {
  name: string;
  names: readonly string[];
  text: string;
  int: number;
  optionalInt: number | undefined;
  ints: readonly number[];
  float: number;
  bytes: Uint8Array | undefined;
  bytesList: readonly Uint8Array[];
  message: Uint8Array | undefined;
  messages: readonly Uint8Array[];
  numbers: boolean;
}

type Fields = Readonly<Record<string, readonly [number: number, kind: Kind]>>;

/** A message type: its fields by name, and by number. */
export interface MessageType<F extends Fields> {
  readonly name: string;
  readonly fields: F;
  readonly byNumber: ReadonlyMap<number, { readonly key: string; readonly kind: Kind }>;
}

/** What decoding a message gives. */
export type MessageOf<F extends Fields> = { readonly [K in keyof F]: Decoded[F[K][1]] };

function message<const F extends Fields>(name: string, fields: F): MessageType<F> {
  const byNumber = new Map(
    Object.entries(fields).map(([key, [number, kind]]) => [number, { key, kind }]),
  );
  return { name, fields, byNumber };
}

export const modelProto = message("ModelProto", {
  irVersion: [1, "int"],
  producerName: [2, "text"],
  producerVersion: [3, "text"],
  graph: [7, "message"],
  opsetImport: [8, "messages"],
  metadata: [14, "messages"],
  trainingInfo: [20, "messages"],
  functions: [25, "messages"],
});
export const opsetId = message("OperatorSetIdProto", { domain: [1, "name"], version: [2, "int"] });
export const stringEntry = message("StringStringEntryProto", {
  key: [1, "text"],
  value: [2, "text"],
});
export const graphProto = message("GraphProto", {
  node: [1, "messages"],
  name: [2, "text"],
  initializer: [5, "messages"],
  input: [11, "messages"],
  output: [12, "messages"],
  valueInfo: [13, "messages"],
  sparseInitializer: [15, "messages"],
});
export const functionProto = message("FunctionProto", {
  name: [1, "name"],
  input: [4, "names"],
  output: [5, "names"],
  node: [7, "messages"],
  opsetImport: [9, "messages"],
  domain: [10, "name"],
  defaults: [11, "messages"],
  overload: [13, "name"],
});
export const trainingInfo = message("TrainingInfoProto", {
  initialization: [1, "message"],
  algorithm: [2, "message"],
});
export const nodeProto = message("NodeProto", {
  input: [1, "names"],
  output: [2, "names"],
  name: [3, "text"],
  opType: [4, "name"],
  attribute: [5, "messages"],
  domain: [7, "name"],
  overload: [8, "name"],
});
export const attributeProto = message("AttributeProto", {
  name: [1, "name"],
  f: [2, "float"],
  i: [3, "int"],
  s: [4, "bytes"],
  t: [5, "message"],
  g: [6, "message"],
  floats: [7, "numbers"],
  ints: [8, "numbers"],
  strings: [9, "bytesList"],
  tensors: [10, "messages"],
  graphs: [11, "messages"],
  typeProto: [14, "message"],
  typeProtos: [15, "messages"],
  type: [20, "int"],
  refName: [21, "name"],
  sparse: [22, "message"],
  sparses: [23, "messages"],
});
export const tensorProto = message("TensorProto", {
  dims: [1, "ints"],
  dataType: [2, "int"],
  segment: [3, "message"],
  floatData: [4, "numbers"],
  int32Data: [5, "numbers"],
  stringData: [6, "numbers"],
  int64Data: [7, "numbers"],
  name: [8, "name"],
  rawData: [9, "bytes"],
  doubleData: [10, "numbers"],
  uint64Data: [11, "numbers"],
  externalData: [13, "messages"],
  dataLocation: [14, "int"],
});
export const sparseTensorProto = message("SparseTensorProto", {
  values: [1, "message"],
  indices: [2, "message"],
  dims: [3, "ints"],
});
export const valueInfoProto = message("ValueInfoProto", {
  name: [1, "name"],
  type: [2, "message"],
});
/** How a tensor is quantised: names of tensors, or plain values (QONNX), by key. */
export const tensorAnnotation = message("TensorAnnotation", {
  tensorName: [1, "name"],
  parameters: [2, "messages"],
});
export const typeProto = message("TypeProto", {
  tensor: [1, "message"],
  sequence: [4, "message"],
  map: [5, "message"],
  sparse: [8, "message"],
  optional: [9, "message"],
});
export const tensorTypeProto = message("TypeProto.Tensor", {
  elemType: [1, "int"],
  shape: [2, "message"],
});
/** Sequence and Optional hold their element's type in field 1, Map its value's in field 2. */
export const containerTypeProto = message("TypeProto.Sequence", { element: [1, "message"] });
export const mapTypeProto = message("TypeProto.Map", { value: [2, "message"] });
export const shapeProto = message("TensorShapeProto", { dim: [1, "messages"] });
export const dimensionProto = message("Dimension", {
  value: [1, "optionalInt"],
  param: [2, "name"],
});

/** How many more fields may become objects; shared by everything that is read from one file. */
export interface Budget {
  fields: number;
}

/** What a message costs in fields: its object when it is decoded, its view when it is found. */
const messageCost = 5;
const viewCost = 3;

function spend(budget: Budget, cost: number): void {
  budget.fields -= cost;
  if (budget.fields < 0)
    throw new EspalierError(
      "MODEL_TOO_LARGE",
      "The file holds more nodes, names and attributes than any real network.",
    );
}

/** Decodes the listed fields of a message. Fields with an unexpected wire type are ignored, as protobuf does. */
export function decode<F extends Fields>(
  type: MessageType<F>,
  bytes: Uint8Array,
  budget: Budget,
): MessageOf<F> {
  spend(budget, messageCost);
  const out: Record<string, unknown> = {};
  for (const [key, [, kind]] of Object.entries(type.fields)) out[key] = emptyOf(kind);
  const cursor = new FieldCursor(bytes);
  while (cursor.next()) {
    const field = type.byNumber.get(cursor.number);
    if (field === undefined) continue;
    if (field.kind === "numbers") {
      out[field.key] = true;
      continue;
    }
    spend(budget, field.kind === "messages" || field.kind === "bytesList" ? viewCost : 1);
    decodeField(type.name, field.key, field.kind, cursor, out, budget);
  }
  return out as MessageOf<F>; // filled key by key from the same table that the type comes from
}

function decodeField(
  message: string,
  key: string,
  kind: Exclude<Kind, "numbers">,
  cursor: FieldCursor,
  out: Record<string, unknown>,
  budget: Budget,
): void {
  const delimited = cursor.wireType === WireType.LengthDelimited;
  switch (kind) {
    case "int":
    case "optionalInt":
      if (cursor.wireType === WireType.Varint) out[key] = clampedNumber(cursor.int64());
      break;
    case "float":
      if (cursor.wireType === WireType.Bit32) out[key] = cursor.float();
      break;
    case "ints":
      if (cursor.wireType === WireType.Varint)
        (out[key] as number[]).push(clampedNumber(cursor.int64()));
      else if (delimited) unpackInts(cursor.value(), out[key] as number[], budget);
      break;
    case "name":
      if (delimited) out[key] = decodeName(cursor.value());
      break;
    case "names":
      if (delimited) (out[key] as string[]).push(decodeName(cursor.value()));
      break;
    case "text":
      if (delimited) out[key] = decodeText(cursor.value());
      break;
    case "bytes":
      if (delimited) out[key] = cursor.value();
      break;
    case "message":
      // protobuf would merge the two; no writer does this, and readers would disagree.
      if (delimited && out[key] !== undefined)
        throw new EspalierError("MODEL_BAD_GRAPH", `${message} holds "${key}" twice.`);
      if (delimited) out[key] = cursor.value();
      break;
    case "bytesList":
    case "messages":
      if (delimited) (out[key] as Uint8Array[]).push(cursor.value());
      break;
    default:
      kind satisfies never;
  }
}

function emptyOf(kind: Kind): unknown {
  switch (kind) {
    case "name":
    case "text":
      return "";
    case "int":
    case "float":
      return 0;
    case "numbers":
      return false;
    case "bytes":
    case "message":
    case "optionalInt":
      return undefined;
    default:
      return [];
  }
}

/** Packed varints, few of them (dims): numbers clamped to ±2^53. */
function unpackInts(packed: Uint8Array, into: number[], budget: Budget): void {
  let value = 0n;
  let shift = 0n;
  for (const byte of packed) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80 && shift < 70n) continue;
    spend(budget, 1);
    into.push(clampedNumber(BigInt.asIntN(64, value)));
    value = 0n;
    shift = 0n;
  }
  if (shift !== 0n)
    throw new EspalierError("MODEL_TRUNCATED", "A packed list of numbers ends in the middle.");
}

/** A decoded AttributeProto. */
export type AttributeMessage = MessageOf<typeof attributeProto.fields>;
