/**
 * @file Logistic mixing of predictions (Mahoney, "Adaptive Weighing of Context Models for Lossless Data
 * Compression", 2005), in whole numbers only, so that every machine decodes the same bits.
 */
import { type Coder, freshStates, learnt, steady } from "./coder.ts";

/** 4096 / (1 + e^-x) for x = -8, -7.5 .. 8. */
const curve = [
  1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048, 2550, 2994, 3349, 3608,
  3785, 3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095,
];

/** ln(p / (1 - p)) · 256 to p · 4096, for arguments clamped to ±2047. */
function squash(x: number): number {
  const clamped = Math.max(-2047, Math.min(2047, x));
  const at = (clamped + 2048) >> 7;
  const part = clamped & 127;
  return (curve[at] * (128 - part) + curve[at + 1] * part + 64) >> 7;
}

/** The inverse of `squash`: the least x whose chance is not below p, for p in 0 .. 4095. */
const stretched = (() => {
  const table = new Int16Array(4096);
  let p = 0;
  for (let x = -2047; x <= 2047; x++)
    for (const v = squash(x); p <= v && p < 4096; p++) table[p] = x;
  for (; p < 4096; p++) table[p] = 2047;
  return table;
})();

/** Fixed point of weights: 2^16 is one. */
const largestWeight = 2 ** 19;

/** Codes bits under several adaptive states at once, with weights that learn which to trust. */
export class Mixer {
  /** Where each prediction's state lies; the caller fills it before every bit. */
  readonly at: Int32Array;
  readonly states: Int32Array;
  readonly weights: Int32Array;
  readonly #inputs: Int32Array;
  readonly #rate: number;
  readonly #pace: Int32Array;

  /** `inputs` predictions over `states` states; one of `sets` sets of weights is chosen per bit. */
  constructor(inputs: number, states: number, sets: number, rate: number, pace = steady) {
    this.at = new Int32Array(inputs);
    this.states = freshStates(states);
    this.weights = new Int32Array(inputs * sets).fill(Math.floor((2 ** 16 * 1.4) / inputs));
    this.#inputs = new Int32Array(inputs);
    this.#rate = rate;
    this.#pace = pace;
  }

  /** Codes a bit under the states that `at` names and the weights of set `set`. */
  code(coder: Pick<Coder, "chance">, set: number, bit: number): number {
    const { at, states, weights } = this;
    const inputs = this.#inputs;
    const pace = this.#pace;
    const count = at.length;
    const first = set * count;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const state = states[at[i]];
      // A state that was never used has no opinion.
      const input = (state & 1023) === 0 ? 0 : stretched[Math.max(0, state >> 19)];
      inputs[i] = input;
      sum += Math.imul(input, weights[first + i]) >> 8;
    }
    const p = squash(sum >> 8);
    const coded = coder.chance((p << 3) | 4, bit);
    const error = Math.imul((coded << 12) - p, this.#rate);
    for (let i = 0; i < count; i++) {
      const weight = weights[first + i] + ((Math.imul(inputs[i], error) + 0x8000) >> 16);
      weights[first + i] = Math.max(-largestWeight, Math.min(largestWeight, weight));
      states[at[i]] = learnt(states[at[i]], coded, pace);
    }
    return coded;
  }
}
