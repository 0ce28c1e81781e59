/** @file The filters of random weights, by the units that they belong to. */
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../ir/graph.ts";
import type { Structure } from "../structure/units.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import { type Channelled, inputPowers, type PowerOptions } from "./input-power.ts";
import { filterSums, type WeightPosterior } from "./posterior.ts";
import type { ScoredAxis } from "./snr-scores.ts";
import type { VariationalWeight } from "./variational-layers.ts";

/** Where E[x²] of inputs is measured; without it, it counts as 1 everywhere. */
export interface AxesOptions {
  readonly measured: (PowerOptions & { readonly dataset: Dataset }) | undefined;
}

/** The filter axes of random weights with what their posteriors say, in graph order. */
export async function scoredAxes(
  structure: Structure,
  graph: Graph,
  weights: readonly VariationalWeight[],
  posteriors: readonly WeightPosterior[],
  { measured }: AxesOptions,
): Promise<readonly ScoredAxis[]> {
  const inputs = weights.map((own) => inputOf(graph, own));
  const powers =
    measured === undefined
      ? new Map<string, Float64Array>()
      : await inputPowers(graph, inputs, measured.dataset, measured);
  return structure.filterAxes.flatMap(({ node, input, tensor, axis, units }): ScoredAxis[] => {
    const position = weights.findIndex(({ weight, filterAxis, layers }) => {
      const layer = layers.find((candidate) => candidate.node === node.name);
      return weight === tensor && filterAxis === axis && layer?.role.weightInput === input;
    });
    if (position < 0) return [];
    const own = powers.get(inputs[position].value);
    const channel = channelAt(weights[position]);
    const power = own && ((place: number) => own[channel(place)]);
    return [{ units, filters: filterSums(posteriors[position], power) }];
  });
}

/** What the first layer with this weight is given. */
function inputOf(graph: Graph, { layers: [layer] }: VariationalWeight): Channelled {
  const node = graph.nodes.find(({ name }) => name === layer.node);
  return { value: node?.inputs[layer.role.dataInput] ?? "", axis: layer.role.dataAxis };
}

/** The channel of the input that the element at a place of the weight is multiplied with. */
function channelAt({ shape, layers: [{ role }] }: VariationalWeight): (place: number) => number {
  const taps = sizeOf(shape.slice(2));
  const [first, second] = shape;
  if (role.layout === "inOut") return (place) => Math.floor(place / (second * taps));
  return (place) => {
    const group = Math.floor((Math.floor(place / (second * taps)) * role.group) / first);
    return group * second + (Math.floor(place / taps) % second);
  };
}
