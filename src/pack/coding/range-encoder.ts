/**
 * @file The range encoder: Martin's range coding (1979) with the carry handling of LZMA, 31 bits wide.
 * Also the counter, which tells what something would cost without writing it.
 */

import { log2 } from "../../tensor/elementary.ts";
import { type Coder, chanceOf, learnt } from "./coder.ts";

const narrowest = 2 ** 23;

/** Writes bits into one section. */
export class RangeEncoder implements Coder {
  readonly isReader = false;
  private low = 0;
  private range = 0x7fffffff;
  /** The last byte that a carry may still change, and how many 255s wait behind it; -1: none yet. */
  private held = -1;
  private waiting = 0;
  private out = new Uint8Array(1024);
  private length = 0;

  bit(states: Int32Array, at: number, bit: number): number {
    const state = states[at];
    this.chance(chanceOf(state), bit);
    states[at] = learnt(state, bit);
    return bit;
  }

  chance(p: number, bit: number): number {
    const bound = Math.imul(this.range >>> 15, p);
    if (bit === 1) this.range = bound;
    else {
      this.low += bound;
      this.range -= bound;
    }
    this.settle();
    return bit;
  }

  raw(value: number, count: number): number {
    this.range >>>= count;
    this.low += value * this.range;
    this.settle();
    return value;
  }

  /**
   * The section: the number in the last interval with the fewest bytes, without zeros at the end. Only four
   * may go: a decoder takes it for damage when it has to make up more.
   */
  finish(): Uint8Array {
    const high = this.low + this.range - 1;
    let size = 2 ** 31;
    while (Math.floor(high / size) * size < this.low) size /= 2;
    this.low = Math.floor(high / size) * size;
    for (let i = 0; i < 5; i++) this.shift();
    let { length } = this;
    while (length > this.length - 4 && this.out[length - 1] === 0) length--;
    return this.out.slice(0, length);
  }

  private settle(): void {
    while (this.range < narrowest) {
      this.range <<= 8;
      this.shift();
    }
  }

  /** Moves the top byte of `low` (32 bits, and a carry above) out. */
  private shift(): void {
    const carry = this.low >= 2 ** 32 ? 1 : 0;
    if (carry === 1 || this.low < 0xff000000) {
      if (this.held >= 0) this.put(this.held + carry);
      for (; this.waiting > 0; this.waiting--) this.put(255 + carry);
      this.held = Math.floor(this.low / 2 ** 24) & 255;
    } else this.waiting++;
    this.low = (this.low % 2 ** 24) * 256;
  }

  private put(byte: number): void {
    if (this.length === this.out.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.out);
      this.out = larger;
    }
    this.out[this.length++] = byte & 255;
  }
}

/** -log2 of a chance p / 2^15, by the top 12 of the 15 bits. */
const bitsOfChance = Float64Array.from({ length: 4096 }, (_, p) => -log2((p + 0.5) / 4096));

/** Adds up what bits cost, and writes nothing. Costs guide choices only: no byte depends on them alone. */
export class BitCounter implements Coder {
  readonly isReader = false;
  bits = 0;

  bit(states: Int32Array, at: number, bit: number): number {
    const state = states[at];
    this.bits += costOfBit(state, bit);
    states[at] = learnt(state, bit);
    return bit;
  }

  chance(p: number, bit: number): number {
    this.bits += bitsOfChance[(bit === 1 ? p : 32768 - p) >> 3];
    return bit;
  }

  raw(value: number, count: number): number {
    this.bits += count;
    return value;
  }
}

/** What a bit would cost under a state. */
export function costOfBit(state: number, bit: number): number {
  const p = chanceOf(state);
  return bitsOfChance[(bit === 1 ? p : 32768 - p) >> 3];
}
