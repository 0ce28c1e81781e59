/** @file Where the bytes of a pack come from: an array, a stream, or anything that can be awaited. */
import { crc32 } from "./crc32.ts";
import { UnpackError } from "./unpack-error.ts";

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
  /** CRC-32 of them. */
  crc = 0;
  private piece: Uint8Array = new Uint8Array(0);
  private readonly pieces: AsyncIterator<Uint8Array>;

  constructor(source: PackSource) {
    this.pieces = piecesOf(source);
  }

  /** The next `count` bytes. Memory is taken as they come, never ahead of them. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let missing = count; missing > 0; ) {
      if (this.piece.length === 0 && !(await this.refill()))
        throw new UnpackError("TRUNCATED", `The pack ends after ${this.taken} bytes.`);
      const part = this.piece.subarray(0, missing);
      this.piece = this.piece.subarray(part.length);
      this.taken += part.length;
      missing -= part.length;
      parts.push(part);
    }
    const bytes = parts.length === 1 ? parts[0] : joined(parts, count);
    this.crc = crc32(bytes, this.crc);
    return bytes;
  }

  /** The next number, in LEB128. */
  async varint(): Promise<number> {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const [byte] = await this.take(1);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new UnpackError("DAMAGED", "A number of the pack is too long.");
  }

  /** Four bytes that must be the checksum `expected`. */
  async check(expected: number, what: string): Promise<void> {
    const bytes = await this.take(4);
    const found = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (found !== expected) throw new UnpackError("DAMAGED", `The checksum of ${what} is wrong.`);
  }

  /** True when nothing comes any more. */
  async isAtEnd(): Promise<boolean> {
    return this.piece.length === 0 && !(await this.refill());
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.pieces.return?.();
  }

  private async refill(): Promise<boolean> {
    while (this.piece.length === 0) {
      const next = await this.pieces.next();
      if (next.done) return false;
      this.piece = next.value;
    }
    return true;
  }
}

async function* piecesOf(source: PackSource): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) yield source;
  else if (Symbol.asyncIterator in source) yield* source;
  else {
    const reader = source.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        if (value !== undefined) yield value;
      }
    } finally {
      await reader.cancel();
    }
  }
}

/** Pieces laid end to end. */
export function joined(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
