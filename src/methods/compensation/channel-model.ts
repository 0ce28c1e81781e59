/**
 * @file A model of the values that layers read: the standard deviations and correlations of their channels.
 *
 * All matrices are over *normalized* channels, u = (x - mean) / deviation, so that dead and loud
 * channels go together without loss of precision.
 */
import type { Moments } from "../../ops/operator/operator.ts";
import { square } from "../../tensor/elementary.ts";
import {
  cholesky,
  choleskySolve,
  productWithLower,
  subMatrix,
} from "../../tensor/linear-algebra.ts";
import type { Correlations } from "./correlations.ts";
import type { Reader } from "./readers.ts";

/** The share of computed correlations that is trusted: the rest counts as independent noise of each channel. */
const trust = 0.9;
/**
 * A channel whose deviation is less than this share of the layer's is not used to replace others: it would have to be
 * amplified, and so would the errors of the model about it.
 */
const deadShare = 0.01;

/** The channels of one value, and the linear layers that read them. */
export interface Source {
  readonly name: string;
  /** The unit of each channel, or -1. */
  readonly units: Int32Array;
  readonly mean: Float64Array;
  /** Standard deviation of each channel. */
  readonly deviation: Float64Array;
  /** Correlations [C, C], positive definite; `undefined` where channels count as uncorrelated. */
  readonly correlations: Float64Array | undefined;
  /** L with L Lᵀ = `correlations` [C, C], lower triangular. */
  readonly factor: Float64Array | undefined;
  readonly readers: readonly ModelledReader[];
}

/** A reader with the variances that the model predicts for its results. */
export interface ModelledReader extends Reader {
  /** Variance of each result under the model, in which neighbouring positions are uncorrelated. [O] */
  readonly resultVariance: Float64Array;
}

/** The values that are read along axis 1 and have known moments, in graph order. */
export function sourcesOf(
  readers: readonly Reader[],
  moments: ReadonlyMap<string, Moments>,
  correlations: Correlations,
): readonly Source[] {
  const byName = new Map<string, Reader[]>();
  for (const reader of readers) {
    const known = moments.get(reader.source);
    if (reader.axis !== 1 || known?.mean.length !== reader.sourceUnits.length) continue;
    byName.set(reader.source, [...(byName.get(reader.source) ?? []), reader]);
  }
  return [...byName].flatMap(([name, own]): Source[] => {
    const known = moments.get(name);
    if (known === undefined) return [];
    const deviation = known.variance.map(Math.sqrt);
    const between = trusted(correlations.get(name), deviation);
    const channels = {
      name,
      units: own[0].sourceUnits,
      mean: known.mean,
      deviation,
      correlations: between,
      factor: between && cholesky(between, deviation.length),
    };
    return [{ ...channels, readers: own.map((reader) => modelled(reader, channels)) }];
  });
}

/** Correlations, reduced to the share that is trusted: positive definite, and 0 for channels that are all but dead. */
function trusted(
  correlations: Float64Array | undefined,
  deviation: Float64Array,
): Float64Array | undefined {
  const width = deviation.length;
  const power = deviation.reduce((sum, s) => sum + s * s, 0) / width;
  const isDead = deviation.map((s) => Number(s < deadShare * Math.sqrt(power)));
  return correlations?.map((r, i) => {
    const [a, b] = [Math.floor(i / width), i % width];
    if (a === b) return 1;
    return isDead[a] || isDead[b] ? 0 : trust * r;
  });
}

/** The same source with other deviations of its channels. */
export function withDeviations(source: Source, deviation: Float64Array): Source {
  const channels = { ...source, deviation };
  return { ...channels, readers: source.readers.map((reader) => modelled(reader, channels)) };
}

function modelled(reader: Reader, channels: Pick<Source, "deviation" | "factor">): ModelledReader {
  return { ...reader, resultVariance: resultVariance(reader, channels, reader.weight.values) };
}

/** Variance of each result for weights `values` [O, I, K], positions uncorrelated: Σ |w L|² over taps. [O] */
export function resultVariance(
  reader: Reader,
  { deviation, factor }: Pick<Source, "deviation" | "factor">,
  values: Float64Array,
): Float64Array {
  const { outputs, inputs, group } = reader.weight;
  const variance = new Float64Array(outputs);
  for (const tap of normalizedWeights(reader, deviation, values)) {
    const spread = factor && group === 1 ? productWithLower(tap, factor, outputs, inputs) : tap;
    for (let o = 0, i = 0; o < outputs; o++)
      for (const end = i + inputs; i < end; i++) variance[o] += square(spread[i]);
  }
  return variance;
}

/**
 * How kept channels stand in for removed ones: u_r ≈ Σ over k of X[k, r] u_k, the least-squares
 * solution C_KK X = C_KR. [kept, removed]; `undefined` where channels are uncorrelated.
 */
export function substitutes(
  { correlations, units }: Pick<Source, "correlations" | "units">,
  kept: readonly number[],
  removed: readonly number[],
): Float64Array | undefined {
  if (correlations === undefined || kept.length === 0) return undefined;
  const width = units.length;
  const among = subMatrix(correlations, width, kept, kept);
  const across = subMatrix(correlations, width, kept, removed);
  return choleskySolve(cholesky(among, kept.length), across, kept.length, removed.length);
}

/** A layer's weights times the deviations of its inputs and the root of the tap's share: [K, O, C]. */
export function normalizedWeights(
  { weight, shares }: Reader,
  deviation: Float64Array,
  values: Float64Array = weight.values,
): readonly Float64Array[] {
  const { outputs, inputs, taps, group } = weight;
  const perGroup = outputs / group;
  const roots = shares.map(Math.sqrt);
  const matrices = Array.from({ length: taps }, () => new Float64Array(outputs * inputs));
  for (const [k, matrix] of matrices.entries())
    for (let o = 0, at = 0; o < outputs; o++) {
      const first = Math.floor(o / perGroup) * inputs;
      for (let i = 0; i < inputs; i++, at++)
        matrix[at] = values[at * taps + k] * deviation[first + i] * roots[k];
    }
  return matrices;
}
