/** @file Numbers of varying length (LEB128: 7 bits per byte, least significant first) in byte arrays. */
import { UnpackError } from "./unpack-error.ts";

/** Numbers are below 2^49: no file is longer, and a double holds them exactly. */
const longestVarint = 7;

/** Appends `value`, a whole number in 0 .. 2^49 - 1. */
export function pushVarint(out: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
}

/** Reads numbers one after the other; what is not there or no number ends in `DAMAGED`. */
export class ByteReader {
  private at = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw new UnpackError("DAMAGED", "The directory ends early.");
    return this.bytes[this.at++];
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let k = 0; k < longestVarint; k++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new UnpackError("DAMAGED", "A number of the directory is too long.");
  }

  float32(): number {
    const view = new DataView(new ArrayBuffer(4));
    for (let k = 0; k < 4; k++) view.setUint8(k, this.byte());
    return view.getFloat32(0, true);
  }
}

/** Appends a float32, least significant byte first. */
export function pushFloat32(out: number[], value: number): void {
  out.push(...new Uint8Array(Float32Array.of(value).buffer));
}
