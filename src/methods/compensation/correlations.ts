/**
 * @file Correlations between the channels of each value, from weights alone.
 *
 * Batch normalization gives the variance of each channel; the correlations follow from the weights that compute the
 * channels. Correlations are carried through the network under one assumption, that neighbouring positions are
 * uncorrelated, and two approximations: the effect of an elementwise function on a pair of Gaussian channels is taken
 * as three terms of its Hermite series, and branches that meet in a sum are taken as uncorrelated.
 */
import type { Node } from "../../ir/graph.ts";
import { momentsFrom } from "../../ops/elementwise/applied.ts";
import type { Moments } from "../../ops/operator/operator.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Structure } from "../../structure/units/units.ts";
import { square } from "../../tensor/elementary.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import {
  addGram,
  cholesky,
  diagonalOf,
  fillUpper,
  identity,
  multiplyByLower,
} from "../../tensor/linear-algebra.ts";
import { atOnce, type Steps } from "../../tensor/steps.ts";
import { normalizedWeights } from "./normalized-weights.ts";
import type { Reader } from "./readers.ts";
import { momentRule } from "./statistics.ts";

/** What the weights tell of the values of a network. */
export interface Correlations {
  /** Correlation matrices [C, C] of values, by name; where one is absent, channels are uncorrelated. */
  readonly between: ReadonlyMap<string, Float64Array>;
  /** Variance of each result of a linear layer under the correlations of what it reads, where that is known. [O] */
  readonly variances: ReadonlyMap<Node, Float64Array>;
}

/** Channels that nothing correlates. */
export const uncorrelated: Correlations = { between: new Map(), variances: new Map() };

/** Values with more channels than this are taken as uncorrelated: the work grows with the cube. */
const widestCorrelated = 512;

/** The moments of each value by itself. */
interface Statistics {
  readonly moments: ReadonlyMap<string, Moments>;
  /** The names of values, by their moments. */
  readonly names: ReadonlyMap<Moments, string>;
}

/** A value that a node is a function of. */
interface Term {
  readonly name: string;
  readonly own: Moments;
  /** The means of the node's result if the value had these moments. */
  readonly meansOf: (shifted: Moments) => Float64Array | undefined;
}

/** The correlations between the channels of every value whose moments are known. */
export function correlationsOf(
  structure: Structure,
  readers: readonly Reader[],
  moments: ReadonlyMap<string, Moments>,
): Correlations {
  return atOnce(correlationSteps(structure, readers, moments));
}

/** {@link correlationsOf} step by step: one for each layer. */
export function* correlationSteps(
  structure: Structure,
  readers: readonly Reader[],
  moments: ReadonlyMap<string, Moments>,
): Steps<Correlations> {
  const known = new Map<string, Float64Array>();
  const variances = new Map<Node, Float64Array>();
  let layer = 0;
  const readerOf = new Map(readers.map((reader) => [reader.node, reader]));
  // Where values have the same moments, the first in the order of the graph counts.
  const names = new Map([...moments].reverse().map(([name, own]) => [own, name]));
  for (const node of structure.analysis.graph.nodes) {
    const reader = readerOf.get(node);
    if (reader) {
      const total = readers.length;
      yield { step: `layer ${layer + 1} of ${total}`, done: layer++, total };
    }
    const covariance = reader && throughWeights(reader, moments, known.get(reader.source));
    if (covariance) variances.set(node, diagonalOf(covariance, reader.weight.outputs));
    const correlations = reader
      ? covariance && toCorrelations(covariance, reader.weight.outputs)
      : (throughBatchNorm(structure, node, known) ??
        throughFunction(structure, node, known, { moments, names }));
    if (correlations) known.set(node.outputs[0], correlations);
  }
  return { between: known, variances };
}

/**
 * z = W x: Cov(z) = Σ over taps k of share_k W_k Cov(x) W_kᵀ, where Cov(x) = D L Lᵀ D for deviations D. Inputs of unknown moments count as
 * independent and of one variance.
 */
function throughWeights(
  reader: Reader,
  moments: ReadonlyMap<string, Moments>,
  correlations: Float64Array | undefined,
): Float64Array | undefined {
  const { weight, sourceUnits, source } = reader;
  const { outputs, inputs, taps, group } = weight;
  const channels = sourceUnits.length;
  if (outputs > widestCorrelated || channels > widestCorrelated) return undefined;
  const own = moments.get(source);
  const deviations = own?.variance.map(Math.sqrt) ?? new Float64Array(channels).fill(1);
  const weights = normalizedWeights(reader, deviations);
  const covariance = new Float64Array(outputs * outputs);
  if (group > 1) addGrouped(covariance, weight, weights, correlations, channels);
  else {
    const factor = correlations && cholesky(correlations, channels);
    if (factor) multiplyByLower(weights, factor, outputs * taps, inputs);
    addGram(covariance, weights, outputs, taps * inputs);
  }
  fillUpper(covariance, outputs);
  return covariance;
}

/**
 * Adds the covariances of a grouped convolution with weights [O, K, I] to a lower half: every pair of outputs, over the
 * inputs of both groups.
 */
function addGrouped(
  covariance: Float64Array,
  { outputs, inputs, taps, group }: Reader["weight"],
  weights: Float64Array,
  correlations: Float64Array | undefined,
  channels: number,
): void {
  const perGroup = outputs / group;
  for (let o = 0; o < outputs; o++) {
    const own = Math.floor(o / perGroup);
    for (let p = 0; p <= o; p++) {
      const other = Math.floor(p / perGroup);
      if (correlations === undefined && own !== other) continue;
      let sum = 0;
      for (let i = 0; i < inputs; i++)
        for (let j = 0; j < inputs; j++) {
          const place = (own * inputs + i) * channels + other * inputs + j;
          const between = correlations ? correlations[place] : Number(i === j);
          if (between === 0) continue;
          let product = 0;
          for (let k = 0; k < taps; k++)
            product += weights[(o * taps + k) * inputs + i] * weights[(p * taps + k) * inputs + j];
          sum += product * between;
        }
      covariance[o * outputs + p] += sum;
    }
  }
}

/** Normalization scales each channel by itself: only the sign of its scale matters. */
function throughBatchNorm(
  { analysis: { graph } }: Structure,
  node: Node,
  known: ReadonlyMap<string, Float64Array>,
): Float64Array | undefined {
  const role = roleOf(node);
  if (role.kind !== "batch-norm") return undefined;
  const correlations = known.get(node.inputs[role.dataInput]);
  const scale = graph.constants.get(node.inputs[role.scaleInput]);
  if (!correlations || !scale) return undefined;
  const signs = toNumbers(scale.read()).map((x) => (x < 0 ? -1 : 1));
  if (!signs.includes(-1)) return correlations;
  const width = signs.length;
  const out = new Float64Array(width * width);
  for (let a = 0, at = 0; a < width; a++)
    for (let b = 0; b < width; b++, at++) out[at] = correlations[at] * signs[a] * signs[b];
  return out;
}

/**
 * y = f(x) channel by channel: with xₐ = mₐ + sₐ uₐ for standard normal uₐ of correlation r, Cov(yₐ, y_b) = Σ cₙₐ cₙ_b
 * rⁿ / n! over Hermite coefficients c₁ = s E f', c₂ = s² E f'', .... By Stein's identity these are derivatives of E
 * f(x) with respect to the mean, which the operator's moment rule gives; the remaining variance is taken as the third
 * term. A sum of several inputs adds the first two; a node whose inputs are functions of one value (x · sigmoid(x)) is
 * a function of that value. Channels are matched by their units, so moves (Slice, Concat, Pad, a shuffle) need no rule.
 */
function throughFunction(
  structure: Structure,
  node: Node,
  known: ReadonlyMap<string, Float64Array>,
  { moments, names }: Statistics,
): Float64Array | undefined {
  const [output] = node.outputs;
  const result = moments.get(output);
  const units = unitsOf(structure, output);
  const rule = momentRule(structure.analysis, node);
  const inputs = node.inputs.flatMap((name, index): Term[] => {
    const own = moments.get(name);
    const meansOf: Term["meansOf"] = (shifted) =>
      rule?.((i) => (i === index ? shifted : moments.get(node.inputs[i] ?? "")))[0]?.mean;
    return own ? [{ name, own, meansOf }] : [];
  });
  const origin = inputs.length > 1 ? result?.origin : undefined;
  const moving = origin
    ? [
        {
          name: names.get(origin.source) ?? "",
          own: origin.source,
          meansOf: (shifted: Moments) => momentsFrom(origin, shifted).mean,
        },
      ]
    : inputs;
  if (!result || !units || units.length !== result.mean.length) return undefined;
  if (units.length > widestCorrelated || !moving.some(({ name }) => known.has(name)))
    return undefined;
  const width = units.length;
  const covariance = new Float64Array(width * width);
  for (const term of moving) {
    const { name, own } = term;
    const source = channelsByUnit(units, unitsOf(structure, name));
    const slopes = slopesOf(term);
    if (!source || !slopes) return undefined;
    const { first, second } = slopes;
    const rest = first.map((slope, c) =>
      moving.length > 1
        ? 0
        : Math.sqrt(Math.max(0, result.variance[c] - square(slope) - square(second[c]) / 2)),
    );
    const between = known.get(name) ?? identity(own.mean.length);
    for (let a = 0; a < width; a++) {
      if (source[a] < 0) continue;
      const row = source[a] * own.mean.length;
      for (let b = 0; b <= a; b++) {
        if (source[b] < 0) continue;
        const r = between[row + source[b]];
        covariance[a * width + b] +=
          first[a] * first[b] * r +
          (second[a] * second[b] * r * r) / 2 +
          rest[a] * rest[b] * r * r * r;
      }
    }
  }
  fillUpper(covariance, width);
  return toCorrelations(covariance, width);
}

/** Step of the finite difference, in standard deviations. */
const step = 0.05;

/** The first two Hermite coefficients of each channel: derivatives of E f(x) by the mean, in deviations. */
function slopesOf({
  own,
  meansOf,
}: Term): { readonly first: Float64Array; readonly second: Float64Array } | undefined {
  const meansAt = (shift: number): Float64Array | undefined => {
    const mean = own.mean.map((x, c) => x + shift * Math.sqrt(own.variance[c]));
    return meansOf({ mean, variance: own.variance });
  };
  const [below, here, above] = [-step, 0, step].map(meansAt);
  if (!below || !here || !above) return undefined;
  return {
    first: here.map((_, c) => (above[c] - below[c]) / (2 * step)),
    second: here.map((x, c) => (above[c] + below[c] - 2 * x) / (step * step)),
  };
}

function unitsOf({ analysis, unitsAlong }: Structure, name: string): Int32Array | undefined {
  const layout = analysis.layouts.get(name);
  return layout && layout.shape.length > 1 ? unitsAlong(layout, 1) : undefined;
}

/** For each unit of `to`, its place in `from`, or -1; `undefined` where a unit has several places. */
function channelsByUnit(to: Int32Array, from: Int32Array | undefined): Int32Array | undefined {
  if (from === undefined) return undefined;
  const places = new Map<number, number>();
  for (const [channel, unit] of from.entries()) {
    if (unit < 0) continue;
    if (places.has(unit)) return undefined;
    places.set(unit, channel);
  }
  const named = to.filter((unit) => unit >= 0);
  return new Set(named).size < named.length ? undefined : to.map((unit) => places.get(unit) ?? -1);
}

function toCorrelations(covariance: Float64Array, width: number): Float64Array {
  const deviations = diagonalOf(covariance, width).map(Math.sqrt);
  const out = new Float64Array(width * width);
  for (let a = 0, at = 0; a < width; a++)
    for (let b = 0; b < width; b++, at++) {
      const power = deviations[a] * deviations[b];
      if (a === b) out[at] = 1;
      else if (power > 0) out[at] = covariance[at] / power;
    }
  return out;
}
