/**
 * @file What is known of the values that readers read: spread and correlation of their channels.
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

/** How far computed correlations are trusted: the rest is taken as noise of each channel's own. */
const trust = 0.9;
/**
 * A channel whose deviation is less than this share of the layer's stands in for no other: it would
 * have to be amplified, and so would all that the model does not know of it.
 */
const deadShare = 0.01;

/** The channels of one value, and the linear layers that read them. */
export interface Source {
  readonly name: string;
  /** The unit (or -1) of each channel. */
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

/** A reader with what the model says about its results. */
export interface ModelledReader extends Reader {
  /** Variance of each result under the model: neighbouring positions uncorrelated. [O] */
  readonly resultVariance: Float64Array;
}

/** The values that are read along axis 1 and whose moments are known, in graph order. */
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

/** Correlations as far as they are trusted: positive definite, and none of all but dead channels. */
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

/** The source with other deviations of its channels. */
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
