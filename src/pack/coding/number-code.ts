/**
 * @file Codes whole numbers of up to 15 bits and a sign: quantised weights, and places in a table.
 *
 * After the idea of DeepCABAC (Wiedemann et al., 2019): a binarisation whose leading bits are adaptive
 * and whose context is how large the neighbours are. Binarisation, contexts and their sizes are ours.
 */
import { type Coder, freshStates } from "./coder.ts";

/** Magnitudes are below 2^15: they have 0 to 15 bits. */
export const largestNumber = 2 ** 15 - 1;

const levels = 32;
/** States of one level: a tree over the number of bits, and the two bits below the top. */
const perLevel = 16 + 16 * 3;
/** States of one model of numbers. */
const perModel = levels * perLevel;

/** Where the states of each kind of numbers begin: they learn apart. */
const numberKinds = { dense: 0, sparse: perModel, shifts: 2 * perModel } as const;
export type NumberKind = keyof typeof numberKinds;

/** States for all kinds of numbers. */
export function freshNumberStates(): Int32Array<ArrayBuffer> {
  return freshStates(3 * perModel);
}

/** How neighbours are seen while numbers pass by in order. */
export class Neighbours {
  readonly #columns: Int32Array;
  #recent = 0;
  #column = 0;
  readonly #first: number;

  constructor(kind: NumberKind, row: number) {
    this.#columns = new Int32Array(row);
    this.#first = numberKinds[kind];
  }

  /** Where the states of the next number lie: by the size of those just before and of those above. */
  level(): number {
    return this.#first + perLevel * levelOf(this.#recent + this.#columns[this.#column]);
  }

  /** Takes in a number. */
  pass(magnitude: number): void {
    const columns = this.#columns;
    const column = this.#column;
    const scaled = magnitude << 8;
    this.#recent += (scaled - this.#recent) >> 3;
    columns[column] += (scaled - columns[column]) >> 2;
    this.skip();
  }

  /** An element that is known to be zero: it says nothing of how large the others are. */
  skip(): void {
    this.#column = this.#column + 1 === this.#columns.length ? 0 : this.#column + 1;
  }
}

/** Half octaves of a sum of two averages, each scaled by 2^8. */
function levelOf(sum: number): number {
  const bits = 32 - Math.clz32(sum);
  if (bits < 7) return 0;
  const level = 2 * (bits - 7) + ((sum >> (bits - 2)) & 1) + 1;
  return level < levels ? level : levels - 1;
}

/** Codes one number under the states at `level`. */
export function codeNumber(coder: Coder, states: Int32Array, level: number, value: number): number {
  const magnitude = value < 0 ? -value : value;
  const bits = 32 - Math.clz32(magnitude);
  let node = 1;
  for (let shift = 3; shift >= 0; shift--)
    node = 2 * node + coder.bit(states, level + node, (bits >> shift) & 1);
  const size = node & 15;
  if (size === 0) return 0;
  let number = 1;
  let left = size - 1;
  let at = level + 16 + size * 3;
  if (left > 0) {
    left--;
    number = 2 + coder.bit(states, at, (magnitude >> left) & 1);
    if (left > 0) {
      left--;
      at += number - 1;
      number = 2 * number + coder.bit(states, at, (magnitude >> left) & 1);
    }
  }
  // What is left below, and the sign.
  const rest = ((magnitude & ((1 << left) - 1)) << 1) | (value < 0 ? 1 : 0);
  const read = coder.raw(rest, left + 1);
  number = (number << left) | (read >> 1);
  return read & 1 ? -number : number;
}

/** Codes `values` in rows of `row`, those that `mask` (if any) does not leave out; a decoder fills them. */
export function codeNumbers(
  coder: Coder,
  states: Int32Array,
  kind: NumberKind,
  row: number,
  values: Int16Array,
  mask: Uint8Array | undefined,
): void {
  const neighbours = new Neighbours(kind, row);
  for (let i = 0; i < values.length; i++) {
    if (mask?.[i] === 0) {
      neighbours.skip();
      continue;
    }
    const value = codeNumber(coder, states, neighbours.level(), values[i]);
    values[i] = value;
    neighbours.pass(value < 0 ? -value : value);
  }
}
