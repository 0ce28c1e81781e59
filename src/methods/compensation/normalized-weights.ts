/** @file The weights of a layer as they act on channels of one variance. */
import { square } from "../../tensor/elementary.ts";
import type { Reader } from "./readers.ts";

/** A layer's weights times the deviations of its inputs and the root of the tap's share: [O, K, I]. */
export function normalizedWeights(
  { weight, shares }: Reader,
  deviation: Float64Array,
): Float64Array {
  const { outputs, inputs, taps, group, values } = weight;
  const perGroup = outputs / group;
  const out = new Float64Array(outputs * taps * inputs);
  for (let o = 0, to = 0; o < outputs; o++) {
    const first = Math.floor(o / perGroup) * inputs;
    for (let k = 0; k < taps; k++) {
      const root = Math.sqrt(shares[k]);
      let from = o * inputs * taps + k;
      for (let i = 0; i < inputs; i++, to++, from += taps)
        out[to] = values[from] * deviation[first + i] * root;
    }
  }
  return out;
}

/** The same of some inputs of a layer without groups, for weights `values` [O, I, K]: [O, K, kept]. */
export function normalizedWeightsOfKept(
  { weight, shares }: Reader,
  deviation: Float64Array,
  values: Float64Array,
  kept: Int32Array,
): Float64Array {
  const { outputs, inputs, taps } = weight;
  const out = new Float64Array(outputs * taps * kept.length);
  for (let o = 0, to = 0; o < outputs; o++)
    for (let k = 0; k < taps; k++) {
      const root = Math.sqrt(shares[k]);
      const from = o * inputs * taps + k;
      for (let i = 0; i < kept.length; i++, to++)
        out[to] = values[from + kept[i] * taps] * deviation[kept[i]] * root;
    }
  return out;
}

/** The sum of the squares of what {@link normalizedWeights} gives of each output, for weights `values` [O, I, K]. [O] */
export function weightPowers(
  { weight, shares }: Reader,
  deviation: Float64Array,
  values: Float64Array,
): Float64Array {
  const { outputs, inputs, taps, group } = weight;
  const perGroup = outputs / group;
  const powers = new Float64Array(outputs);
  for (let o = 0, at = 0; o < outputs; o++) {
    const first = Math.floor(o / perGroup) * inputs;
    let sum = 0;
    for (let i = 0; i < inputs; i++) {
      let own = 0;
      for (let k = 0; k < taps; k++, at++) own += square(values[at]) * shares[k];
      sum += own * square(deviation[first + i]);
    }
    powers[o] = sum;
  }
  return powers;
}

/** The sum of the squares of each row of a matrix of `count` rows. */
export function rowPowers(matrix: Float64Array, count: number): Float64Array {
  const width = matrix.length / count;
  const powers = new Float64Array(count);
  for (let row = 0, i = 0; row < count; row++) {
    let sum = 0;
    for (const end = i + width; i < end; i++) sum += square(matrix[i]);
    powers[row] = sum;
  }
  return powers;
}
