/**
 * @file Moment rules that operators share: how mean and variance per channel pass through.
 *
 * Linear operators are propagated as if all elements that are summed were independent and every
 * position saw the same statistics (borders are ignored).
 */

import { square } from "../../tensor/elementary.ts";
import type { MomentContext, Moments } from "./operator.ts";

/** Moments by channel index: channel k of the result has those of channel `source[k]`. */
export function pickMoments(
  moments: Moments | undefined,
  source: readonly number[],
): Moments | undefined {
  if (moments === undefined) return undefined;
  const { mean, variance } = moments;
  return {
    mean: Float64Array.from(source, (k) => mean[k]),
    variance: Float64Array.from(source, (k) => variance[k]),
  };
}

/** The `moments` facet of operators that leave every element as it is, in its place. */
export function sameElements<A>(context: MomentContext<A>): readonly (Moments | undefined)[] {
  return [context.elements(0)];
}

/** The `moments` facet of operators that leave the distribution within each channel as it is. */
export function sameMoments<A>(context: MomentContext<A>): readonly (Moments | undefined)[] {
  return [context.moments(0)];
}

/** The `moments` facet of normalizations of channels, of inputs X, scale and B: N(B, scale²) per channel. */
export function normalizedMoments<A>(context: MomentContext<A>): readonly (Moments | undefined)[] {
  const scale = context.numbers(1);
  const mean = context.numbers(2);
  return [scale && mean && { mean, variance: scale.map((s) => s * s) }];
}

/** The same mean, and the variance divided by the number of averaged elements. */
export function averagedMoments(moments: Moments | undefined, count: number): Moments | undefined {
  if (moments === undefined) return undefined;
  return { mean: moments.mean, variance: moments.variance.map((v) => v / count) };
}

/** Moments of a channel in which each of the parts fills an equal share of the positions. */
export function mixedMoments(parts: readonly (Moments | undefined)[]): Moments | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length < parts.length || known.length === 0) return undefined;
  const average = (f: (part: Moments) => number) =>
    known.reduce((sum, part) => sum + f(part), 0) / known.length;
  const mean = known[0].mean.map((_, c) => average((part) => part.mean[c]));
  const variance = mean.map((m, c) =>
    average((part) => part.variance[c] + square(part.mean[c] - m)),
  );
  return { mean, variance };
}

/**
 * Moments of bias_o + Σ w x_c over the taps that `taps` lists for output o: b + Σ w E[x_c] and
 * Σ w² Var[x_c]. Several taps of a channel may be given at once, by their sum and the sum of their squares.
 */
export function linearMoments(
  moments: Moments | undefined,
  bias: Float64Array | undefined,
  outputs: number,
  taps: (
    output: number,
    add: (channel: number, weight: number, squaredWeight?: number) => void,
  ) => void,
): Moments | undefined {
  if (moments === undefined) return undefined;
  const mean = new Float64Array(outputs);
  const variance = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    mean[o] = bias?.[o] ?? 0;
    taps(o, (channel, weight, squaredWeight = weight * weight) => {
      mean[o] += weight * moments.mean[channel];
      variance[o] += squaredWeight * moments.variance[channel];
    });
  }
  return { mean, variance };
}

/**
 * Moments through a row-major reshape: each channel of Y lies within one channel of X, or nothing
 * is known.
 */
export function reshapedMoments<A>(context: MomentContext<A>): readonly (Moments | undefined)[] {
  const x = context.inputs[0]?.shape;
  const [y] = context.outputs;
  if (x === undefined || x.length < 2 || y.shape.length < 2 || x[0] !== y.shape[0])
    return [undefined];
  const repeats = y.shape[1] / x[1];
  if (!Number.isInteger(repeats)) return [undefined];
  const source = Array.from({ length: y.shape[1] }, (_, k) => Math.floor(k / repeats));
  return [pickMoments(context.moments(0), source)];
}
