/**
 * @file Codes which elements are not zero, in one of three ways: a bitmap, run lengths, or bit by bit
 * under contexts that pay for clusters. The packer measures all three.
 */
import { type Coder, freshStates } from "./coder.ts";
import type { Geometry } from "./geometry.ts";
import { Mixer } from "./mixer.ts";

/** How a support is coded; the index is its number in the file. `dense`: not at all. */
export const supportForms = ["dense", "bitmap", "runs", "contexts"] as const;
export type SupportForm = (typeof supportForms)[number];

const inputs = 6;
const contexts = 2048;
const runNodes = 32 + 32 * 4;

/** What coding by contexts learns. */
export function freshSupportMixer(): Mixer {
  return new Mixer(inputs, inputs * contexts, 64, 6);
}

/** States of run lengths. */
export function freshRunStates(): Int32Array<ArrayBuffer> {
  return freshStates(4 * runNodes);
}

/** Codes `mask` (1: not zero), one byte per element, unless it is dense; a decoder fills it. */
export function codeSupport(
  coder: Coder,
  form: SupportForm,
  { support, runs }: { readonly support: Mixer; readonly runs: Int32Array },
  geometry: Geometry,
  mask: Uint8Array,
): void {
  if (form === "bitmap") for (let i = 0; i < mask.length; i++) mask[i] = coder.raw(mask[i], 1);
  else if (form === "runs") codeRuns(coder, runs, mask);
  else codeByContexts(coder, support, geometry, mask);
}

/** Lengths of runs of zeros and of others in turn, zeros first; only the first may be empty. */
function codeRuns(coder: Coder, states: Int32Array, mask: Uint8Array): void {
  let bit = 0;
  let least = 0;
  let before = 0;
  for (let i = 0; i < mask.length; bit = 1 - bit) {
    const first = (2 * bit + (before > 3 ? 1 : 0)) * runNodes;
    const known = coder.isReader ? least : runFrom(mask, i, bit);
    const length = codeLength(coder, states, first, known - least) + least;
    // A reader is not to be led beyond the end.
    mask.fill(bit, i, Math.min(mask.length, i + length));
    i += length;
    before = length;
    least = 1;
  }
}

/** How many elements from `i` on equal `bit`. */
function runFrom(mask: Uint8Array, i: number, bit: number): number {
  let end = i;
  while (end < mask.length && mask[end] === bit) end++;
  return end - i;
}

/** Exp-Golomb: the number of bits of `value` + 1 in unary, two bits below the top, the rest as it is. */
function codeLength(coder: Coder, states: Int32Array, first: number, value: number): number {
  const bits = 31 - Math.clz32(value + 1);
  let size = 0;
  while (size < 30 && coder.bit(states, first + size, size < bits ? 1 : 0) === 1) size++;
  let number = 1;
  for (let left = size - 1; left >= 0; left--) {
    const bit = ((value + 1) >>> left) & 1;
    const depth = size - 1 - left;
    const at = first + 32 + size * 4 + (depth === 0 ? 0 : 1 + (number & 1));
    number = 2 * number + (depth < 2 ? coder.bit(states, at, bit) : coder.raw(bit, 1));
  }
  return number - 1;
}

/**
 * Bit by bit. What predicts an element: those before it in the row, those around the same place in the
 * row above, the same place in the kernels before, how full the column, row and kernel are so far.
 */
function codeByContexts(
  coder: Coder,
  mixer: Mixer,
  { row, kernel }: Geometry,
  mask: Uint8Array,
): void {
  const { at } = mixer;
  /** How full each column was in the rows above: a moving share of 8 bits. */
  const columns = new Uint8Array(row).fill(128);
  let fill = 128;
  let before = 0;
  let column = 0;
  let place = 0;
  let inKernel = 0;
  for (let i = 0; i < mask.length; i++) {
    const above = bitAt(mask, i - row);
    const around =
      bitAt(mask, i - row - 1) |
      (bitAt(mask, i - row + 1, i) << 1) |
      (above << 2) |
      (bitAt(mask, i - 2 * row) << 3);
    const kernels =
      bitAt(mask, i - kernel) |
      (bitAt(mask, i - 2 * kernel) << 1) |
      (bitAt(mask, i - kernel + 1, i) << 2);
    const tap = Math.min(place, 25);
    at[0] = before & 1023;
    at[1] = contexts + (around | ((before & 15) << 4) | (bitAt(mask, i - row + 2, i) << 8));
    at[2] = 2 * contexts + (kernels | (around << 3) | ((before & 1) << 7));
    at[3] = 3 * contexts + ((columns[column] >> 3) | ((fill >> 3) << 5));
    at[4] = 4 * contexts + (tap * 32 + (Math.min(inKernel, 7) << 2) + (kernels & 1) * 2 + above);
    at[5] = 5 * contexts + ((columns[column] >> 4) | ((before & 7) << 4) | (above << 7));
    const set = (fill >> 5) | ((columns[column] >> 5) << 3);
    const bit = mixer.code(coder, set, mask[i]);
    mask[i] = bit;
    before = (before << 1) | bit;
    const target = bit === 1 ? 255 : 0;
    columns[column] += ((target - columns[column]) * 3) >> 4;
    fill += (target - fill) >> 4;
    inKernel += bit;
    if (++place === kernel) {
      place = 0;
      inKernel = 0;
    }
    if (++column === row) column = 0;
  }
}

/** The element at `i`, if it is known already: 0 before the beginning, and from `end` on. */
function bitAt(mask: Uint8Array, i: number, end = i + 1): number {
  return i >= 0 && i < end ? mask[i] : 0;
}
