/**
 * @file Quantisation: the step of each tensor from a rate-distortion argument that needs no data, rounding
 * that weighs errors against bits, and what happens to tensors that are too small to matter.
 */

import { log2, pow, square } from "../../tensor/elementary.ts";
import { roundHalfToEven } from "../../tensor/half.ts";
import { type Coder, learnt } from "../coding/coder.ts";
import { codeNumber, freshNumberStates, largestNumber, Neighbours } from "../coding/number-code.ts";
import { costOfBit } from "../coding/range-encoder.ts";

/** What the choice of steps knows of a weight. */
export interface WeightStatistics {
  /** Elements that are not zero. */
  readonly count: number;
  /** Root of the mean square of these. */
  readonly rms: number;
  /** Largest magnitude. */
  readonly largest: number;
}

/** Count, root mean square and largest magnitude of what is not zero. */
export function statisticsOfWeight(values: Float32Array): WeightStatistics {
  let count = 0;
  let sum = 0;
  let largest = 0;
  for (const value of values) {
    if (value === 0) continue;
    count++;
    sum += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return { count, rms: count === 0 ? 0 : Math.sqrt(sum / count), largest };
}

/** Steps differ from equal relative noise by at most these factors. */
const leastFactor = 1 / 4;
const mostFactor = 2;

/**
 * The steps of all weights at `bits` bits: 2^bits steps span ±4 root mean squares of an average weight.
 *
 * Which steps? Noise of variance step²/12 in tensor t disturbs its layer's output by the share
 * step² / (12 rms²) of its power, and n weights of it cost n log2(rms / step) + const bits. Minimising
 * Σ shares + λ Σ bits gives step ∝ rms √n, with λ set by the mean of the bits: large tensors get coarser
 * steps, small ones, whose bits are cheap, finer ones (high-rate theory, Gish and Pierce, 1968). That the
 * shares of all layers count alike is an assumption; half of the exponent, rms n^¼, hedges against it
 * (docs/decisions/0011-packed-format.md).
 */
export function stepsAt(
  weights: readonly WeightStatistics[],
  bits: readonly number[],
): readonly number[] {
  const total = weights.reduce((sum, { count }) => sum + count, 0);
  const meanLog =
    weights.reduce((sum, { count }) => sum + count * log2(Math.max(1, count)), 0) /
    Math.max(1, total);
  return weights.map(({ count, rms }, i) => {
    const factor = pow(2, (log2(Math.max(1, count)) - meanLog) / 4);
    const clamped = Math.min(mostFactor, Math.max(leastFactor, factor));
    return shortFloat(((8 * rms) / pow(2, bits[i])) * clamped);
  });
}

/**
 * Steps in proportion to what the weights tolerate, for those of which that is known; over the elements
 * of these, the mean of log2 step stays as it was, and with it about the number of bits.
 */
export function stepsTolerating(
  weights: readonly WeightStatistics[],
  steps: readonly number[],
  tolerances: readonly (number | undefined)[],
): readonly number[] {
  let [sum, total] = [0, 0];
  for (const [i, tolerance] of tolerances.entries()) {
    const { count } = weights[i];
    if (tolerance === undefined || count === 0) continue;
    sum += count * log2(steps[i] / tolerance);
    total += count;
  }
  const factor = pow(2, sum / Math.max(1, total));
  return steps.map((step, i) => {
    const tolerance = tolerances[i];
    return tolerance === undefined ? step : shortFloat(factor * tolerance);
  });
}

/** The nearest float32 with 8 significant bits, so that steps take two bytes. */
function shortFloat(value: number): number {
  return keepBits(Float32Array.of(value), 7)[0];
}

/**
 * Codes of `values`, in rows of `row`, for `step` (one, or one per row): nearest, or the best of near ones
 * under `lambda`. Nearest codes are those of ONNX's Round(x / step) in float32, bit for bit, so that a
 * network can be trained under them.
 */
export function quantise(
  values: Float32Array,
  row: number,
  stepOf: (row: number) => number,
  lambda: number,
): Int16Array<ArrayBuffer> {
  const codes = new Int16Array(values.length);
  const states = freshNumberStates();
  const neighbours = new Neighbours("dense", row);
  const cost = new CostOfNumber();
  for (let i = 0, r = 0, left = 0, step = 1; i < values.length; i++, left--) {
    if (left === 0) {
      step = stepOf(r++);
      left = row;
    }
    const exact = Math.fround(values[i] / step);
    const nearest = clampCode(roundHalfToEven(exact));
    if (lambda === 0) {
      codes[i] = nearest;
      continue;
    }
    const level = neighbours.level();
    codes[i] = nearest === 0 ? 0 : cheapest(exact, nearest, lambda, cost, states, level);
    codeNumber(cost, states, level, codes[i]);
    neighbours.pass(Math.abs(codes[i]));
  }
  return codes;
}

/** The best of the nearest code, its neighbour towards zero, and zero: least error² + λ · bits. */
function cheapest(
  exact: number,
  nearest: number,
  lambda: number,
  cost: CostOfNumber,
  states: Int32Array,
  level: number,
): number {
  let best = nearest;
  let least = Number.POSITIVE_INFINITY;
  for (const code of [nearest, nearest - Math.sign(nearest), 0]) {
    const loss = square(exact - code) + lambda * cost.of(states, level, code);
    if (loss < least) {
      least = loss;
      best = code;
    }
  }
  return best;
}

/** What a number would cost; it learns only when it is used as a coder directly. */
class CostOfNumber implements Coder {
  readonly isReader = false;
  private bits = 0;
  private isTrial = false;

  of(states: Int32Array, level: number, value: number): number {
    this.bits = 0;
    this.isTrial = true;
    codeNumber(this, states, level, value);
    this.isTrial = false;
    return this.bits;
  }

  bit(states: Int32Array, at: number, bit: number): number {
    if (this.isTrial) this.bits += costOfBit(states[at], bit);
    else states[at] = learnt(states[at], bit);
    return bit;
  }

  chance(_p: number, bit: number): number {
    return bit;
  }

  raw(value: number, count: number): number {
    this.bits += count;
    return value;
  }
}

function clampCode(code: number): number {
  return Math.max(-largestNumber, Math.min(largestNumber, code));
}

/** The bits of the exponent, which are all set in what is not finite. */
const exponentBits = 0x7f800000;

/**
 * Floats rounded to `mantissa` bits behind the leading one, to nearest, ties to even. The exponent stays, so
 * that the relative error is at most 2^-(mantissa + 1) for every normal number, and no variance
 * becomes zero; what is not finite, or would not be, stays as it is.
 */
export function keepBits(values: Float32Array, mantissa: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values);
  const words = new Int32Array(out.buffer);
  const drop = 23 - mantissa;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if ((word & exponentBits) === exponentBits) continue;
    const odd = (word >>> drop) & 1;
    const rounded = ((word + (1 << (drop - 1)) - 1 + odd) >> drop) << drop;
    if ((rounded & exponentBits) !== exponentBits) words[i] = rounded;
  }
  return out;
}
