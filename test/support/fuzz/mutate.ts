/** @file Changes of a model that know what they change: sizes, names, attributes, types, whole fields. */
import { operators } from "../../../src/ops/index.ts";
import { oddNames } from "../hostile-parts.ts";
import * as pb from "../protobuf.ts";
import type { Pick } from "./fuzz.ts";
import { copyOf, type Field, type Message, messagesIn, parse, write } from "./wire.ts";

/** Numbers at which something changes. */
const edges = [
  ...[0n, 1n, -1n, 2n, 3n, 4n, 5n, 7n, 8n, 16n, 22n, 100n, -100n, 255n, 65_536n, 1_000_000n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)],
];
const floats = [0, 1, -1, 0.5, 2, 1e6, 3e38, -3e38, Number.NaN, Number.POSITIVE_INFINITY];
const attributeNames = [
  ...["axis", "axes", "pads", "kernel_shape", "strides", "dilations", "group", "auto_pad"],
  ...["blocksize", "perm", "keepdims", "to", "mode", "output_shape", "output_padding", "epsilon"],
  ...["num_outputs", "split", "alpha", "transA", "transB", "ceil_mode", "allowzero", "end"],
  ...["num_groups", "batch_dims", "block_size", "size", "value", "value_ints", "start"],
];
const attributeTexts = ["SAME_UPPER", "VALID", "NOTSET", "linear", "cubic", "CRD", "edge", "wrap"];
/** Operators that Espalier does not know, or that hold other graphs. */
const strangers = ["Loop", "If", "GRU", "Einsum", "Compress", "NonMaxSuppression", "Attention"];
const opTypes = [...operators.map(({ opType }) => opType), ...strangers];

const encoder = new TextEncoder();

/** The model after one to four changes, sometimes with damaged bytes. */
export function mutated(model: Uint8Array, pick: Pick): Uint8Array {
  const tree = parse(model, "model");
  for (let changes = 1 + pick.below(4); changes > 0; changes--) change(tree, pick);
  const bytes = write(tree);
  return pick.onceIn(20) ? damaged(bytes, pick) : bytes;
}

function change(tree: Message, pick: Pick): void {
  const messages = messagesIn(tree);
  const { below, from } = pick;
  // Tensors have few fields and nodes many: choosing a message first gives all kinds their turn.
  const kinds = [...new Set(messages.map(({ kind }) => kind))];
  const kind = from(kinds);
  const message = from(messages.filter((candidate) => candidate.kind === kind));
  const { fields } = message;
  const place = below(fields.length + 1);
  const field = fields[Math.min(place, fields.length - 1)];
  switch (below(10)) {
    case 0:
      fields.splice(place, 1);
      return;
    case 1:
      if (field) fields.splice(place, 0, copyOf(field));
      return;
    case 2: {
      const others = messages.filter((candidate) => candidate.kind === kind);
      const candidates = from(others).fields.concat(fields);
      if (candidates.length > 0) fields.splice(place, 0, copyOf(from(candidates)));
      return;
    }
    case 3:
      if (field) fields.push(...fields.splice(below(fields.length), 1));
      return;
    case 4:
      addAttribute(messages, pick);
      return;
    case 5:
      addNode(messages, pick);
      return;
    case 6:
      declareValue(messages, pick);
      return;
    default:
      if (field) changeValue(message, field, messages, pick);
  }
}

/** Another number, name or element in the place of a field's own. */
function changeValue(
  { kind }: Message,
  field: Field,
  messages: readonly Message[],
  pick: Pick,
): void {
  const { value, number } = field;
  if (value.kind === "varint") value.number = pick.from(edges);
  else if (value.kind === "fixed" && value.wire === 5)
    value.bytes = pb.raw(Float32Array.of(pick.from(floats)));
  else if (value.kind === "bytes") {
    if (kind === "node" && number === 4) value.bytes = encoder.encode(pick.from(opTypes));
    else if (isText(kind, number)) value.bytes = otherText(messages, pick);
    else if (kind === "attribute" && number === 4)
      value.bytes = encoder.encode(pick.from(attributeTexts));
    else value.bytes = otherElements(value.bytes, pick);
  }
}

/** Names of values, nodes, tensors and sizes. */
function isText(kind: Message["kind"], number: number): boolean {
  const texts: Partial<Record<Message["kind"], readonly number[]>> = {
    node: [1, 2, 3],
    tensor: [8],
    value: [1],
    attribute: [1],
    dim: [2],
  };
  return texts[kind]?.includes(number) === true;
}

/** The names of the values that nodes speak of. */
function valueNames(messages: readonly Message[]): readonly Uint8Array[] {
  return messages
    .filter(({ kind }) => kind === "node")
    .flatMap(({ fields }) => fields.filter(({ number }) => number < 3))
    .flatMap(({ value }) => (value.kind === "bytes" ? [value.bytes] : []));
}

function otherText(messages: readonly Message[], pick: Pick): Uint8Array {
  if (pick.onceIn(6)) return encoder.encode(pick.from(["", ...oddNames]));
  return pick.from([...valueNames(messages), new Uint8Array()]);
}

/** Raw elements, eight bytes at a time (sizes are int64), or packed numbers. */
function otherElements(bytes: Uint8Array, pick: Pick): Uint8Array {
  const copy = bytes.slice();
  if (copy.length >= 8 && copy.length % 8 === 0 && !pick.onceIn(4)) {
    const at = 8 * pick.below(copy.length / 8);
    new DataView(copy.buffer).setBigInt64(at, BigInt.asIntN(64, pick.from(edges)), true);
    return copy;
  }
  if (pick.onceIn(3)) return copy.subarray(0, pick.below(copy.length + 1));
  if (pick.onceIn(2))
    return pb.join(...Array.from({ length: 1 + pick.below(4) }, () => pb.varint(pick.from(edges))));
  if (copy.length > 0) copy[pick.below(copy.length)] = pick.below(256);
  return copy;
}

function addAttribute(messages: readonly Message[], pick: Pick): void {
  const nodes = messages.filter(({ kind }) => kind === "node");
  if (nodes.length > 0) pick.from(nodes).fields.push(bytesField(5, attribute(pick), "attribute"));
}

function attribute(pick: Pick): Uint8Array {
  const name = pick.from(attributeNames);
  const number = () => pick.from(edges);
  switch (pick.below(4)) {
    case 0:
      return pb.attribute(name, 2, pb.int(3, number()));
    case 1:
      return pb.attribute(name, 7, pb.packed(8, Array.from({ length: pick.below(5) }, number)));
    case 2:
      return pb.attribute(name, 1, pb.float(2, pick.from(floats)));
    default:
      return pb.attribute(name, 3, pb.len(4, pick.from(attributeTexts)));
  }
}

/** A new node that reads what is there; its output may take another's place. */
function addNode(messages: readonly Message[], pick: Pick): void {
  const names = valueNames(messages);
  const graphs = messages.filter(({ kind }) => kind === "graph");
  if (names.length === 0 || graphs.length === 0) return;
  const decoder = new TextDecoder();
  const name = () => decoder.decode(pick.from(names));
  const inputs = Array.from({ length: 1 + pick.below(3) }, name);
  const outputs = pick.from([["fuzz"], ["fuzz", "fuzz2"], ["", "fuzz"], [name()], []]);
  const attributes = Array.from({ length: pick.below(3) }, () => attribute(pick));
  const { fields } = pick.from(graphs);
  const node = pb.node(pick.from(opTypes), inputs, outputs, attributes);
  fields.splice(pick.below(fields.length + 1), 0, bytesField(1, node, "node"));
  if (!pick.onceIn(3)) return;
  // What comes after reads the new one's output.
  const others = messages.filter(({ kind }) => kind === "node");
  const [reader] = pick.from(others).fields;
  if (reader?.value.kind === "bytes") reader.value.bytes = encoder.encode("fuzz");
}

/** Declares a type for a value, which may contradict what its node computes. */
function declareValue(messages: readonly Message[], pick: Pick): void {
  const names = valueNames(messages);
  const graphs = messages.filter(({ kind }) => kind === "graph");
  if (names.length === 0 || graphs.length === 0) return;
  const small = () => pick.from([0, 1, 2, 3, 4, 8, 24, 64, 65_536, 2 ** 31, -1]);
  const dims = Array.from({ length: pick.below(6) }, () => (pick.onceIn(5) ? "N" : small()));
  const name = new TextDecoder().decode(pick.from(names));
  const info = pb.valueInfo(name, dims, pick.from([1, 1, 1, 7, 10, 11]));
  pick.from(graphs).fields.push(bytesField(13, info, "value"));
}

function bytesField(number: number, bytes: Uint8Array, kind: Message["kind"]): Field {
  return { number, value: { kind: "message", message: parse(bytes, kind) } };
}

/** Cut off, or a few bytes changed. */
function damaged(bytes: Uint8Array, pick: Pick): Uint8Array {
  if (bytes.length === 0 || pick.onceIn(2)) return bytes.subarray(0, pick.below(bytes.length + 1));
  const copy = bytes.slice();
  for (let i = 1 + pick.below(3); i > 0; i--) copy[pick.below(copy.length)] = pick.below(256);
  return copy;
}
