/**
 * @file Bytes as a list of chunks, so that big tensors are never copied into one buffer, and
 * messages rebuilt field by field from the original.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FieldCursor } from "./wire.ts";

/** A growing list of chunks. Views that lie side by side in one buffer are joined. */
export class Rope {
  byteLength = 0;
  readonly chunks: Uint8Array<ArrayBuffer>[] = [];

  /** Appends bytes, without copying them unless other threads share them. */
  push(given: Uint8Array): this {
    if (given.length === 0) return this;
    const bytes = unshared(given);
    this.byteLength += bytes.length;
    const last = this.chunks.at(-1);
    if (last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset)
      this.chunks[this.chunks.length - 1] = new Uint8Array(
        last.buffer,
        last.byteOffset,
        last.length + bytes.length,
      );
    else this.chunks.push(bytes);
    return this;
  }

  /** Appends all chunks of another rope. */
  append(other: Rope): this {
    for (const chunk of other.chunks) this.push(chunk);
    return this;
  }

  /** Appends what `write` writes: tags and small values. */
  write(write: (writer: BinaryWriter) => void): this {
    const writer = new BinaryWriter();
    write(writer);
    return this.push(writer.finish());
  }

  /** Appends a length-delimited field. */
  field(number: number, content: Rope | Uint8Array): this {
    const { byteLength } = content;
    this.write((writer) => writer.tag(number, WireType.LengthDelimited).uint32(byteLength));
    return content instanceof Rope ? this.append(content) : this.push(content);
  }

  /** Appends a string field. */
  text(number: number, text: string): this {
    return this.field(number, new TextEncoder().encode(text));
  }

  /** Appends a varint field. */
  int(number: number, value: number | bigint): this {
    return this.write((writer) => writer.tag(number, WireType.Varint).int64(value));
  }
}

/** A view of the same memory, or a copy where it is shared, which neither a Blob nor a transfer takes. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = bytes;
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, length) : bytes.slice();
}

/** What becomes of one field: kept as it is, dropped, or replaced. */
export type FieldEdit = "keep" | "drop" | Rope;

/** A message rebuilt field by field, in its own order. A kept field keeps its bytes, tag included. */
export function patchMessage(bytes: Uint8Array, edit: (field: FieldCursor) => FieldEdit): Rope {
  const rope = new Rope();
  const cursor = new FieldCursor(bytes);
  while (cursor.next()) {
    const { start, end } = cursor;
    const change = edit(cursor);
    if (change === "keep") rope.push(bytes.subarray(start, end));
    else if (change !== "drop") rope.append(change);
  }
  return rope;
}

/** One field with its tag and length. */
export function fieldOf(number: number, content: Rope | Uint8Array): Rope {
  return new Rope().field(number, content);
}

/** The bytes of a rope as one array: its only chunk, or a copy. */
export function joined({ chunks, byteLength }: Rope): Uint8Array<ArrayBuffer> {
  if (chunks.length === 1) return chunks[0];
  const out = new Uint8Array(byteLength);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
