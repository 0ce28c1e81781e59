/** @file ONNX messages as trees of fields that can be changed at will and written again, valid or not. */
import { int, join, len, varint } from "../protobuf.ts";

/** The messages that are taken apart; the content of all others stays bytes. */
export type MessageKind =
  | "model"
  | "opset"
  | "graph"
  | "node"
  | "attribute"
  | "tensor"
  | "value"
  | "type"
  | "tensor type"
  | "shape"
  | "dim";

/** One field. */
export interface Field {
  number: number;
  value:
    | { readonly kind: "varint"; number: bigint }
    | { readonly kind: "fixed"; bytes: Uint8Array; readonly wire: 1 | 5 }
    | { readonly kind: "bytes"; bytes: Uint8Array }
    | { readonly kind: "message"; readonly message: Message };
}

/** A message whose fields may be changed in place. */
export interface Message {
  readonly kind: MessageKind;
  readonly fields: Field[];
}

const inner: Readonly<Record<MessageKind, Readonly<Record<number, MessageKind>>>> = {
  model: { 7: "graph", 8: "opset" },
  opset: {},
  graph: { 1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 11: "graph" },
  tensor: {},
  value: { 2: "type" },
  type: { 1: "tensor type" },
  "tensor type": { 2: "shape" },
  shape: { 1: "dim" },
  dim: {},
};

/** Takes the bytes of a valid message apart. */
export function parse(bytes: Uint8Array, kind: MessageKind): Message {
  const fields: Field[] = [];
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(readVarint());
    const [number, wire] = [tag >> 3, tag & 7];
    if (wire === 0) fields.push({ number, value: { kind: "varint", number: readVarint() } });
    else if (wire === 1 || wire === 5) {
      const content = bytes.slice(at, at + (wire === 1 ? 8 : 4));
      at += content.length;
      fields.push({ number, value: { kind: "fixed", bytes: content, wire } });
    } else {
      const length = Number(readVarint());
      const content = bytes.slice(at, at + length);
      at += length;
      const below = inner[kind][number];
      const value: Field["value"] = below
        ? { kind: "message", message: parse(content, below) }
        : { kind: "bytes", bytes: content };
      fields.push({ number, value });
    }
  }
  return { kind, fields };
}

/** The bytes of a message. */
export function write({ fields }: Message): Uint8Array {
  return join(...fields.map(writeField));
}

function writeField({ number, value }: Field): Uint8Array {
  if (value.kind === "varint") return int(number, value.number);
  if (value.kind === "fixed") return join(varint(number * 8 + value.wire), value.bytes);
  return len(number, value.kind === "bytes" ? value.bytes : write(value.message));
}

/** A copy that shares nothing. */
export function copyOf(field: Field): Field {
  const { number, value } = field;
  if (value.kind === "message")
    return {
      number,
      value: {
        kind: "message",
        message: { kind: value.message.kind, fields: value.message.fields.map(copyOf) },
      },
    };
  return { number, value: { ...value } };
}

/** A message and all that lie in it. */
export function messagesIn(message: Message): readonly Message[] {
  const below = message.fields.flatMap(({ value }) =>
    value.kind === "message" ? messagesIn(value.message) : [],
  );
  return [message, ...below];
}
