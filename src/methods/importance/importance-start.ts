/** @file The initial factors of the method `importance`. */
import type { Graph } from "../../ir/graph.ts";
import { type LinearWeight, weightOf } from "../../ops/operator/linear-layer.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type Random, randomOf } from "../../tensor/random.ts";
import { scaleFilters } from "../gates/filter-gates.ts";
import type { Gate, GateSite } from "../gates/filter-gates-sites.ts";

/** The initial values of factors, by name. */
export const starts = ["ones", "uniform", "normal", "l1", "l2", "entropy", "std"] as const;
/** One of {@link starts}. */
export type StartName = (typeof starts)[number];

/** The network in which training begins, and the factors, one for each unit of a gate. */
export interface Started {
  readonly graph: Graph;
  readonly factors: ReadonlyMap<Gate, Float64Array>;
}

/** The least factor by which a filter is divided, as a share of its layer's mean. */
const leastFactor = 0.05;
/** Bins of the histogram whose entropy is taken. */
const bins = 10;

/**
 * The factors with which training begins. `ones` leaves the network as it is, and so do those that
 * are measured on the filters, relative to the layer's mean: filters are divided by them. The random
 * ones change what the network computes until training has made up for it.
 */
export function startOf(
  graph: Graph,
  gates: readonly Gate[],
  start: StartName,
  seed: number,
): Started {
  const drawn = (draw: (random: Random) => number) => {
    const each = gates.map((gate, i): [Gate, Float64Array] => {
      const random = randomOf(seed, "importance", i);
      return [gate, Float64Array.from(gate.units, () => draw(random))];
    });
    return { graph, factors: new Map(each) };
  };
  switch (start) {
    case "ones":
      return drawn(() => 1);
    case "uniform":
      return drawn((random) => random.uniform());
    case "normal":
      return drawn((random) => 1 + 0.1 * random.normal());
    default: {
      const factors = measured(graph, gates, measures[start]);
      const scaled = scaleFilters(graph, gates, (gate) =>
        (factors.get(gate) ?? new Float64Array()).map((factor) => 1 / factor),
      );
      return { graph: scaled, factors };
    }
  }
}

/** A measure of a layer: one number for each filter. [O] */
type Measure = (weight: LinearWeight) => Float64Array;

const measures: Readonly<Record<Exclude<StartName, "ones" | "uniform" | "normal">, Measure>> = {
  l1: (weight) => perFilter(weight, (filter) => sum(filter.map(Math.abs))),
  l2: (weight) => perFilter(weight, norm),
  // Shannon's, of a histogram over the range of the layer's weights.
  entropy(weight) {
    const low = weight.values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const high = weight.values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return perFilter(weight, (filter) => {
      const counts = new Float64Array(bins);
      for (const value of filter)
        counts[Math.min(bins - 1, Math.floor((bins * (value - low)) / (high - low || 1)))]++;
      const shares = counts.map((count) => count / filter.length);
      return -sum(shares.map((share) => (share > 0 ? share * Math.log(share) : 0)));
    });
  },
  std: (weight) =>
    perFilter(weight, (filter) => {
      const mean = sum(filter) / filter.length;
      return norm(filter.map((value) => value - mean)) / Math.sqrt(filter.length);
    }),
};

function perFilter(
  { values, outputs }: LinearWeight,
  measure: (filter: Float64Array) => number,
): Float64Array {
  const size = values.length / outputs;
  return Float64Array.from({ length: outputs }, (_, o) =>
    measure(values.subarray(o * size, (o + 1) * size)),
  );
}

/** The euclidean norm of each filter. [O] */
export const filterNorms: Measure = measures.l2;

/** A measure of the filters of each unit, relative to their layer's mean; the mean over its layers. */
function measured(
  graph: Graph,
  gates: readonly Gate[],
  measure: Measure,
): ReadonlyMap<Gate, Float64Array> {
  return new Map(
    gates.map((gate) => {
      const factors = overSites(gate, (site) => {
        const weight = weightAt(graph, site);
        return weight && relative(measure(weight));
      });
      return [gate, factors.map((f) => (Number.isNaN(f) ? 1 : Math.max(f, leastFactor)))];
    }),
  );
}

/** The values divided by their mean. */
export function relative(values: Float64Array): Float64Array {
  const mean = sum(values) / values.length;
  return mean > 0 ? values.map((value) => value / mean) : values.map(() => 1);
}

/**
 * One value for each unit of a gate from one for each channel of its sites: the mean over all channels
 * of the unit; NaN where no site tells any.
 */
export function overSites(
  gate: Gate,
  valuesAt: (site: GateSite) => Float64Array | undefined,
): Float64Array {
  const sums = new Float64Array(gate.units.length);
  const counts = new Float64Array(gate.units.length);
  for (const site of gate.sites) {
    const values = valuesAt(site);
    for (const [channel, entry] of site.entries.entries()) {
      if (values === undefined) continue;
      sums[entry] += values[channel];
      counts[entry]++;
    }
  }
  return sums.map((total, i) => total / counts[i]);
}

/**
 * The weight of a site's layer, where it is a constant matrix or kernel; its transpose where the layer
 * selects what it reads, so that a channel of the site is an output.
 */
export function weightAt(
  graph: Graph,
  { layer, role, selects }: GateSite,
): LinearWeight | undefined {
  const node = graph.nodes.find(({ name }) => name === layer);
  const constant = graph.constants.get(node?.inputs[role.weightInput] ?? "");
  const isMatrix = role.window !== undefined || constant?.shape.length === 2;
  if (constant === undefined || !isFloat(constant.dtype) || !isMatrix) return undefined;
  const weight = weightOf(role, constant.read());
  if (selects === undefined) return weight;
  const { outputs, inputs, values } = weight;
  const turned = values.map((_, i) => values[(i % outputs) * inputs + Math.floor(i / outputs)]);
  return { ...weight, outputs: inputs, inputs: outputs, values: turned };
}

function norm(values: Float64Array): number {
  return Math.sqrt(sum(values.map((value) => value * value)));
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
