/**
 * @file The supports of weights: which are not 0, and how they stand in clusters along what comes into
 * each neuron. A cluster is a run of weights that are not 0 among the incoming weights of a neuron (or filter),
 * input by input, and within an input tap by tap.
 */
import type { Graph } from "../../ir/graph.ts";
import { weightOf } from "../../ops/operator/linear-layer.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { countNonZeros, type LayerWeight, layerWeights } from "./layer-weights.ts";

/** The support of one layer's weight, in figures. */
export interface SupportFigures {
  readonly weights: number;
  readonly nonZero: number;
  /** Neurons or filters, and those without incoming weights. */
  readonly neurons: number;
  readonly empty: number;
  /** Clusters of all neurons together. */
  readonly clusters: number;
}

/** A support: rows are neurons, columns what comes into each; 1 where a weight is not 0. */
export interface Support {
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns] */
  readonly flags: Uint8Array;
}

/** Layers with a smaller share of zeros than this have them by chance. */
const byChance = 1e-3;

/** Whether a layer of this density has zeros beyond chance. */
export function isSparse(density: number): boolean {
  return density < 1 - byChance;
}

/** The support of a layer's weight. */
export function supportOf({ role, constant }: LayerWeight): Support {
  const { outputs, inputs, taps, values } = weightOf(role, constant.read());
  const flags = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) flags[i] = 1;
  return { rows: outputs, columns: inputs * taps, flags };
}

/** The support of the `count` elements of largest magnitude; of equal ones the first. */
export function magnitudeSupportOf({ role, constant }: LayerWeight, count: number): Support {
  const { outputs, inputs, taps, values } = weightOf(role, constant.read());
  const places = Uint32Array.from(values, (_, i) => i);
  const sizes = values.map(Math.abs);
  places.sort((a, b) => sizes[b] - sizes[a] || a - b);
  const flags = new Uint8Array(values.length);
  for (const place of places.subarray(0, count)) flags[place] = 1;
  return { rows: outputs, columns: inputs * taps, flags };
}

/** Density and clusters of a support. */
export function figuresOf({ rows, columns, flags }: Support): SupportFigures {
  let [nonZero, clusters, empty] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    let [own, before] = [0, 0];
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      own += flags[i];
      if (flags[i] > before) clusters++;
      before = flags[i];
    }
    nonZero += own;
    if (own === 0) empty++;
  }
  return { weights: flags.length, nonZero, neurons: rows, empty, clusters };
}

/** The weights that have a support, matrices and kernels, by the layer's name, in graph order. */
export function supportedWeights(graph: Graph): ReadonlyMap<string, LayerWeight> {
  return new Map(
    layerWeights(graph).flatMap((weight) => {
      const isMatrix = weight.role.window !== undefined || weight.constant.shape.length === 2;
      return isMatrix ? [[weight.node.name, weight] as const] : [];
    }),
  );
}

/** The supports of all linear layers in figures, by the layer's name, in graph order. */
export function layerSupports(graph: Graph): ReadonlyMap<string, SupportFigures> {
  return new Map(
    [...supportedWeights(graph)].map(([name, weight]) => [name, figuresOf(supportOf(weight))]),
  );
}

/** The share of weights that are not 0, by the name of the layer; layers that share a weight have one each. */
export function layerDensities(graph: Graph): ReadonlyMap<string, number> {
  return new Map(
    layerWeights(graph).map(({ node, constant }) => [
      node.name,
      countNonZeros(constant) / Math.max(1, sizeOf(constant.shape)),
    ]),
  );
}
