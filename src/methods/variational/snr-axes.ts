/**
 * @file The filters of random weights, by the units that they belong to; and the columns of those whose
 * layers select what they read.
 */

import { assert } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Structure } from "../../structure/units/units.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import {
  type Channelled,
  type MeasureOptions,
  measureMoments,
} from "../compensation/measured-moments.ts";
import { filterSums, type WeightPosterior, withScales } from "../posterior/posterior.ts";
import type { ScoredAxis } from "./snr-scores.ts";
import type { VariationalScale, VariationalWeight } from "./variational-layers.ts";

/** What is known of the weights of a network, and of the scales behind them. */
export interface Posteriors {
  readonly weights: readonly VariationalWeight[];
  readonly scales: readonly VariationalScale[];
  /** By the name of the constant. */
  readonly posteriors: ReadonlyMap<string, WeightPosterior>;
}

/**
 * The filter axes of random weights with what their posteriors say, in graph order.
 *
 * @param measured Where E[x²] of inputs is measured; without it, it counts as 1 everywhere.
 */
export async function scoredAxes(
  structure: Structure,
  graph: Graph,
  { weights, scales, posteriors }: Posteriors,
  measured: MeasureOptions | undefined,
): Promise<readonly ScoredAxis[]> {
  const inputs = weights.map((own) => inputOf(graph, own));
  const moments = measured && (await measureMoments(graph, inputs, measured));
  return structure.filterAxes.flatMap((scored): ScoredAxis[] => {
    const { node, input, tensor, axis, units, isSelection } = scored;
    const position = weights.findIndex(({ weight, filterAxis, layers }) => {
      const layer = layers.find((candidate) => candidate.node === node.name);
      const isOurs = isSelection || filterAxis === axis;
      return weight === tensor && isOurs && layer?.input === input;
    });
    const posterior = posteriors.get(tensor);
    if (position < 0 || posterior === undefined) return [];
    const power = moments?.get(inputs[position].value)?.power;
    const channel = channelAt(weights[position]);
    const along = { ...posterior, filterAxis: axis };
    const filters = filterSums(along, power && ((place) => power[channel(place)]));
    if (isSelection) return [{ units, filters }];
    const scale = posteriors.get(scales.find(({ behind }) => behind === tensor)?.weight ?? "");
    return [{ units, filters: scale ? withScales(filters, scale) : filters }];
  });
}

/** What the first layer with this weight is given. */
function inputOf(graph: Graph, { layers: [{ node: name, role }] }: VariationalWeight): Channelled {
  const node = graph.nodes.find((candidate) => candidate.name === name);
  const axis = role.kind === "linear" ? role.dataAxis : 1;
  return { value: node?.inputs[role.dataInput] ?? "", axis };
}

/** The channel of the input that the element at a place of the weight is multiplied with. */
function channelAt({ shape, layers: [{ role }] }: VariationalWeight): (place: number) => number {
  assert(role.kind === "linear", "what has filters is a linear layer");
  const taps = sizeOf(shape.slice(2));
  const [first, second] = shape;
  if (role.layout === "inOut") return (place) => Math.floor(place / (second * taps));
  return (place) => {
    const group = Math.floor((Math.floor(place / (second * taps)) * role.group) / first);
    return group * second + (Math.floor(place / taps) % second);
  };
}
