/** @file The range decoder: the reading side of `RangeEncoder`. */
import { type Coder, chanceOf, learnt } from "./coder.ts";
import { damage } from "./pack-faults.ts";

/** The interval is at least this wide before every bit; 8 bits are read when it is not. */
const narrowest = 2 ** 23;

/** Reads bits from one section. Behind its end it reads zeros, which the encoder leaves out. */
export class RangeDecoder implements Coder {
  readonly isReader = true;
  /** Invariant: 0 <= code < range < 2^31, so that all numbers stay whole numbers of 32 bits. */
  #range = 0x7fffffff;
  #code = 0;
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#code = (this.#code << 8) | this.#next();
    if (this.#code < 0 || this.#code >= this.#range) throw damage();
  }

  bit(states: Int32Array, at: number, _bit: number): number {
    const state = states[at];
    const bit = this.chance(chanceOf(state), 0);
    states[at] = learnt(state, bit);
    return bit;
  }

  chance(p: number, _bit: number): number {
    const bound = Math.imul(this.#range >>> 15, p);
    let bit = 1;
    if (this.#code < bound) this.#range = bound;
    else {
      this.#code -= bound;
      this.#range -= bound;
      bit = 0;
    }
    while (this.#range < narrowest) this.#widen();
    return bit;
  }

  raw(_value: number, count: number): number {
    this.#range >>>= count;
    const value = (this.#code / this.#range) | 0;
    // Only what no encoder wrote can lie above the interval.
    if (value >>> count !== 0) throw damage();
    this.#code -= Math.imul(value, this.#range);
    while (this.#range < narrowest) this.#widen();
    return value;
  }

  /** Fails when more was read than there is. */
  finish(): void {
    if (this.#at > this.#bytes.length + 4) throw damage();
  }

  #widen(): void {
    this.#range <<= 8;
    this.#code = (this.#code << 8) | this.#next();
  }

  #next(): number {
    const at = this.#at++;
    return at < this.#bytes.length ? this.#bytes[at] : 0;
  }
}
