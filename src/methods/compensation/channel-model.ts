/**
 * @file A model of the values that layers read: the standard deviations and correlations of their channels.
 *
 * All matrices are over *normalized* channels, u = (x - mean) / deviation, so that dead and loud
 * channels go together without loss of precision.
 */
import type { Moments } from "../../ops/operator/operator.ts";
import {
  cholesky,
  choleskySolve,
  multiplyByLower,
  subMatrix,
} from "../../tensor/linear-algebra.ts";
import type { Correlations } from "./correlations.ts";
import {
  normalizedWeights,
  normalizedWeightsOfKept,
  rowPowers,
  weightPowers,
} from "./normalized-weights.ts";
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
  { between: correlations, variances }: Correlations,
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
    const isDead = deadChannels(deviation);
    const between = trusted(correlations.get(name), isDead);
    const channels = {
      name,
      units: own[0].sourceUnits,
      mean: known.mean,
      deviation,
      correlations: between,
      factor: between && cholesky(between, deviation.length),
    };
    const modelledReaders = own.map((reader) => {
      const isExact = between !== undefined && reader.weight.group === 1 && !isDead.includes(1);
      const variance = isExact ? variances.get(reader.node) : undefined;
      return variance
        ? { ...reader, resultVariance: trustedVariance(reader, deviation, variance) }
        : modelled(reader, channels);
    });
    return [{ ...channels, readers: modelledReaders }];
  });
}

/**
 * `resultVariance` from the variance that results have if all of the correlations count: the trusted ones are `trust` C +
 * (1 - trust) I where no channel is dead, which makes it a mean of both.
 */
function trustedVariance(
  reader: Reader,
  deviation: Float64Array,
  variance: Float64Array,
): Float64Array {
  const alone = weightPowers(reader, deviation, reader.weight.values);
  return variance.map((all, o) => trust * all + (1 - trust) * alone[o]);
}

/** One flag per channel: whether it is all but dead. */
function deadChannels(deviation: Float64Array): Uint8Array {
  const power = deviation.reduce((sum, s) => sum + s * s, 0) / deviation.length;
  return Uint8Array.from(deviation, (s) => Number(s < deadShare * Math.sqrt(power)));
}

/** Correlations, reduced to the share that is trusted: positive definite, and 0 for channels that are all but dead. */
function trusted(
  correlations: Float64Array | undefined,
  isDead: Uint8Array,
): Float64Array | undefined {
  if (correlations === undefined) return undefined;
  const width = isDead.length;
  const out = new Float64Array(width * width);
  for (let a = 0; a < width; a++) {
    out[a * width + a] = 1;
    if (isDead[a]) continue;
    for (let b = 0; b < a; b++)
      if (!isDead[b]) {
        out[a * width + b] = trust * correlations[a * width + b];
        out[b * width + a] = out[a * width + b];
      }
  }
  return out;
}

/** The same source with other deviations of its channels. */
export function withDeviations(source: Source, deviation: Float64Array): Source {
  const channels = { ...source, deviation };
  return { ...channels, readers: source.readers.map((reader) => modelled(reader, channels)) };
}

function modelled(reader: Reader, channels: Pick<Source, "deviation" | "factor">): ModelledReader {
  return { ...reader, resultVariance: resultVariance(reader, channels) };
}

/** Variance of each result, positions uncorrelated: Σ |w L|² over taps. [O] */
export function resultVariance(
  reader: Reader,
  { deviation, factor }: Pick<Source, "deviation" | "factor">,
): Float64Array {
  const { outputs, inputs, taps, group, values } = reader.weight;
  if (factor === undefined || group > 1) return weightPowers(reader, deviation, values);
  const weights = normalizedWeights(reader, deviation);
  multiplyByLower(weights, factor, outputs * taps, inputs);
  return rowPowers(weights, outputs);
}

/**
 * The same for weights `values` [O, I, K] where only some of the channels are left, of whose correlations `factor` is the
 * factor; not for grouped layers.
 */
export function resultVarianceOfKept(
  reader: Reader,
  { deviation }: Pick<Source, "deviation">,
  values: Float64Array,
  { kept, factor }: { readonly kept: Int32Array; readonly factor: Float64Array },
): Float64Array {
  const { outputs, taps } = reader.weight;
  const weights = normalizedWeightsOfKept(reader, deviation, values, kept);
  multiplyByLower(weights, factor, outputs * taps, kept.length);
  return rowPowers(weights, outputs);
}

/** How kept channels stand in for removed ones. */
export interface Substitutes {
  /** X with u_r ≈ Σ over k of X[k, r] u_k, the least-squares solution of C_KK X = C_KR. [kept, removed] */
  readonly shares: Float64Array;
  /** L with L Lᵀ = C_KK, the correlations of the kept channels. [kept, kept] */
  readonly factor: Float64Array;
}

/** How kept channels stand in for removed ones; `undefined` where channels are uncorrelated. */
export function substitutes(
  { correlations, units }: Pick<Source, "correlations" | "units">,
  kept: Int32Array,
  removed: Int32Array,
): Substitutes | undefined {
  if (correlations === undefined || kept.length === 0) return undefined;
  const width = units.length;
  const among = subMatrix(correlations, width, kept, kept);
  const across = subMatrix(correlations, width, kept, removed);
  const factor = cholesky(among, kept.length);
  return { factor, shares: choleskySolve(factor, across, kept.length, removed.length) };
}
