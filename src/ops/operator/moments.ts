/** @file What the moment rules share: statistics of constants, and rules that work channel by channel. */

import { square as squareOf } from "../../tensor/elementary.ts";
import type { MeanVariance } from "../../tensor/gaussian.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { MomentContext, Moments } from "./operator.ts";

/** Moments of every channel, computed from the channel's own. */
export function perChannel(
  { mean, variance }: Moments,
  f: (x: MeanVariance, channel: number) => MeanVariance,
): Moments {
  const out = { mean: new Float64Array(mean.length), variance: new Float64Array(mean.length) };
  for (let c = 0; c < mean.length; c++) {
    const y = f({ mean: mean[c], variance: variance[c] }, c);
    out.mean[c] = y.mean;
    out.variance[c] = y.variance;
  }
  return out;
}

/** Number of channels of an output: its axis 1, or 0 where it has none. */
export function channelsOf<A>({ outputs }: MomentContext<A>): number {
  return outputs[0].shape[1] ?? 0;
}

/** The moments of an input that is not constant, for an output of `channels` channels. */
export function movingMoments<A>(context: MomentContext<A>, index: number): Moments | undefined {
  const moments = context.elements(index);
  const channels = channelsOf(context);
  if (
    moments === undefined ||
    context.inputs[index]?.shape.length !== context.outputs[0].shape.length
  )
    return undefined;
  if (moments.mean.length === channels) return moments;
  if (moments.mean.length !== 1) return undefined;
  return {
    mean: new Float64Array(channels).fill(moments.mean[0]),
    variance: new Float64Array(channels).fill(moments.variance[0]),
  };
}

/**
 * A constant input as it broadcasts against the output, channel by channel: mean and variance of
 * `f` of its elements over all other axes (the variance is 0 for the usual [1, C, 1, 1]).
 */
export function constantMoments<A>(
  context: MomentContext<A>,
  index: number,
  f: (element: number) => number = (element) => element,
): Moments | undefined {
  const elements = context.numbers(index)?.map(f);
  const shape = context.inputs[index]?.shape;
  const channels = channelsOf(context);
  if (elements === undefined || shape === undefined || elements.length === 0) return undefined;
  const axis = shape.length - (context.outputs[0].shape.length - 1);
  const width = axis < 0 ? 1 : shape[axis];
  const inner = axis < 0 ? 1 : sizeOf(shape.slice(axis + 1));
  if (width !== 1 && width !== channels) return undefined;
  const sum = new Float64Array(width);
  const square = new Float64Array(width);
  const share = width / elements.length;
  const channelOf = (i: number) => (width === 1 ? 0 : Math.floor(i / inner) % width);
  for (const [i, element] of elements.entries()) sum[channelOf(i)] += element * share;
  for (const [i, element] of elements.entries())
    square[channelOf(i)] += squareOf(element - sum[channelOf(i)]) * share;
  const spread = (values: Float64Array) =>
    width === channels ? values : new Float64Array(channels).fill(values[0]);
  return { mean: spread(sum), variance: spread(square) };
}

/** The only element of a constant input, or `undefined` if it is unknown or has more than one. */
export function constantScalar<A>(context: MomentContext<A>, index: number): number | undefined {
  const elements = context.numbers(index);
  return elements?.length === 1 ? elements[0] : undefined;
}

/** Moments of a sum of independent terms, each times its factor. */
export function sumOfMoments(terms: readonly Moments[], factors: readonly number[]): Moments {
  const total = terms[0].mean.length;
  const out = { mean: new Float64Array(total), variance: new Float64Array(total) };
  for (const [k, { mean, variance }] of terms.entries()) {
    for (let c = 0; c < total; c++) {
      out.mean[c] += factors[k] * mean[c];
      out.variance[c] += squareOf(factors[k]) * variance[c];
    }
  }
  return out;
}

/** Moments of a product of two independent factors. */
export function productOfMoments(a: Moments, b: Moments): Moments {
  return perChannel(a, (x, c) => ({
    mean: x.mean * b.mean[c],
    variance:
      x.variance * b.variance[c] +
      x.variance * squareOf(b.mean[c]) +
      squareOf(x.mean) * b.variance[c],
  }));
}
