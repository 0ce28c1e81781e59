/** @file Numbers of varying length (LEB128: 7 bits per byte, least significant first) in byte arrays. */
import { damage } from "./pack-faults.ts";

/** Appends `value`, a whole number in 0 .. 2^49 - 1. */
export function pushVarint(out: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
}

/** Appends a float32, least significant byte first. */
export function pushFloat32(out: number[], value: number): void {
  out.push(...new Uint8Array(Float32Array.of(value).buffer));
}

/** The 32-bit number in the first four bytes, least significant first, as `get` reads it. */
export function word(bytes: Uint8Array, get: "getUint32" | "getFloat32"): number {
  return new DataView(bytes.buffer, bytes.byteOffset)[get](0, true);
}

/** Reads numbers one after the other; what is not there or no number ends in `DAMAGED`. */
export class ByteReader {
  /** What has not been read yet. */
  rest: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.rest = bytes;
  }

  /** The next `count` bytes. */
  take(count: number): Uint8Array {
    if (this.rest.length < count) throw damage();
    const bytes = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(count);
    return bytes;
  }

  /** The next number. */
  varint(): number {
    let value = 0;
    // Numbers are below 2^49: no file is longer, and a double holds them exactly.
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const [byte] = this.take(1);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw damage();
  }
}
