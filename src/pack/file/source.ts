/** @file The source of a pack's bytes: an array, a stream, or an iterator of pieces that can be awaited. */
import { word } from "../coding/byte-io.ts";
import { allocated, damage, packFault } from "../coding/pack-faults.ts";
import { crc32 } from "./crc32.ts";

/** What a web stream of bytes offers; declared here so that no library of types is needed. */
export interface ByteStream {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
}

/** The bytes of a pack: whole, or in pieces of any length. */
export type PackSource = Uint8Array | ByteStream | AsyncIterable<Uint8Array>;

/** Hands out bytes in the amounts that are asked for, and keeps their checksum. */
export class PackReader {
  /** Bytes handed out so far. */
  taken = 0;
  /** CRC-32 of the bytes handed out so far. */
  crc = 0;
  #piece: Uint8Array = new Uint8Array(0);
  readonly #pieces: Pieces;

  constructor(source: PackSource) {
    this.#pieces = piecesOf(source);
  }

  /** The next `count` bytes. Memory is taken as they come, never ahead of them. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let missing = count; missing > 0; ) {
      if (!(await this.hasMore()))
        throw packFault("TRUNCATED", `The pack ends after ${this.taken} bytes.`);
      const part = this.#piece.subarray(0, missing);
      this.#piece = this.#piece.subarray(part.length);
      this.taken += part.length;
      missing -= part.length;
      parts.push(part);
    }
    const bytes = parts.length === 1 ? parts[0] : joined(parts);
    this.crc = crc32(bytes, this.crc);
    return bytes;
  }

  /** Four bytes that must be the checksum `expected`. */
  async check(expected: number): Promise<void> {
    if (word(await this.take(4), "getUint32") !== expected) throw damage("a checksum is wrong");
  }

  /** False when nothing comes any more. */
  async hasMore(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done || value === undefined) return false;
      this.#piece = value;
    }
    return true;
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** What both kinds of iterators have in common with the reader of a stream. */
interface Pieces {
  next(): Promise<Piece> | Piece;
  /** Lets go of the source. */
  return?(): unknown;
}

interface Piece {
  readonly done?: boolean | undefined;
  readonly value?: Uint8Array | undefined;
}

function piecesOf(source: PackSource): Pieces {
  if (source instanceof Uint8Array) return [source].values();
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  const reader = source.getReader();
  return { next: () => reader.read(), return: () => reader.cancel() };
}

/** Pieces laid end to end. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const out = allocated(() => new Uint8Array(length));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
