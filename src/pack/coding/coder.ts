/**
 * @file The interface of an entropy coder, and the adaptive probabilities that it codes under.
 *
 * Every routine of the packed form is written once, over a {@link Coder}: an encoder writes the bit that
 * it is given and gives it back, a decoder ignores it and gives back the one that it read. So the two
 * sides cannot drift apart.
 */

/** Writes or reads bits. */
export interface Coder {
  /** Whether bits come from it; an encoder may look at what it has not coded yet. */
  readonly isReader: boolean;
  /** A bit under the adaptive state `states[at]`, which then learns it. */
  bit(states: Int32Array, at: number, bit: number): number;
  /** A bit that is 1 with the chance `p` / 2^15; `p` is in 1 .. 2^15 - 1. */
  chance(p: number, bit: number): number;
  /** A number of `count` bits, 0 to 16, all equally likely. */
  raw(value: number, count: number): number;
}

/** How often a state may be seen before it stops slowing down: it then forgets the oldest. */
const slowest = 255;

/**
 * A state is p · 2^10 + n: p of 21 bits, the chance of a 1, and n, how often the state was used.
 * States start at one half, never used.
 */
const freshState = 1 << 30;

/** `count` states that know nothing. */
export function freshStates(count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(count).fill(freshState);
}

/** The share of the way to the bit that a state goes at its n-th use: 1 / (n + start), times 2^13. */
function paceFrom(start: number): Int32Array {
  return Int32Array.from({ length: slowest + 1 }, (_, n) => Math.round(8192 / (n + start)));
}

/** The pace of weights, whose bits are chance: a mean that believes in one half at first. */
export const steady = paceFrom(1.5);
/** The pace of structure, where what happened once happens again. */
export const eager = paceFrom(1.1);

/** The state after a bit: a mean over all bits at first, over about the last 256 later. */
export function learnt(state: number, bit: number, pace: Int32Array = steady): number {
  const n = state & 1023;
  const error = (bit === 1 ? 0x1fffff : 0) - (state >> 10);
  return state + ((Math.imul(error >> 3, pace[n]) >> 10) << 10) + (n < slowest ? 1 : 0);
}

/** The chance that a state gives to a 1, in 15 bits, never certain. */
export function chanceOf(state: number): number {
  return Math.max(12, Math.min(32756, state >> 16));
}
