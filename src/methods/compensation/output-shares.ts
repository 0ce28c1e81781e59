/**
 * @file The share of a network's outputs that comes from each channel of each value. Damage is to be measured at the
 * output, where a class score counts more than one of five hundred features.
 *
 * Every output has a share of 1, in equal parts for its channels. Backwards, a linear layer's result z_o = Σ w_oc x_c
 * passes its share on in proportion to what each input contributes to its variance, Σ over taps of w_oc² Var x_c; a sum
 * passes it on in proportion to the variances of what it adds; an element-wise function, and whatever only moves
 * channels, passes on all of it. So the shares of one layer add up to those of the layers behind it, however many
 * channels it has.
 *
 * Yu et al., "NISP: Pruning Networks using Neuron Importance Score Propagation" (CVPR 2018), propagate neuron
 * importance from the last layer in this way, by the absolute values of weights. The use of variances instead, and the
 * rules for branches, are ours.
 */
import type { Node } from "../../ir/graph.ts";
import type { Moments } from "../../ops/operator/operator.ts";
import { axisIds } from "../../structure/analysis/cuts.ts";
import { blockOf, type Layout } from "../../structure/analysis/layout.ts";
import type { Structure } from "../../structure/units/units.ts";
import { square } from "../../tensor/elementary.ts";
import type { Reader } from "./readers.ts";

/** Shares of the network's outputs, [C] along axis 1, by value. */
export type OutputShares = ReadonlyMap<string, Float64Array>;

/** The shares of all values from which an output follows. */
export function outputShares(
  structure: Structure,
  readers: readonly Reader[],
  moments: ReadonlyMap<string, Moments>,
): OutputShares {
  const { graph, layouts } = structure.analysis;
  const shares = new Map<string, Float64Array>();
  const give = (name: string, own: Float64Array): void => {
    const before = shares.get(name);
    shares.set(name, before?.length === own.length ? own.map((x, c) => x + before[c]) : own);
  };
  for (const name of graph.outputs) {
    const width = layouts.get(name)?.shape[1] ?? 1;
    give(name, new Float64Array(width).fill(1 / width));
  }
  const readerOf = new Map(readers.map((reader) => [reader.node, reader]));
  for (const node of graph.nodes.toReversed()) {
    const reader = readerOf.get(node);
    const result = shares.get(node.outputs[0]);
    if (reader && result?.length === reader.weight.outputs && reader.axis === 1)
      give(reader.source, throughWeights(reader, result, moments.get(reader.source)));
    else for (const [name, own] of throughOthers(structure, node, shares, moments)) give(name, own);
  }
  return shares;
}

function throughWeights(
  { weight, shares: tapShares, sourceUnits }: Reader,
  result: Float64Array,
  moments: Moments | undefined,
): Float64Array {
  const { outputs, inputs, taps, values, group } = weight;
  const channels = sourceUnits.length;
  const variance = moments?.variance ?? new Float64Array(channels).fill(1);
  const given = new Float64Array(channels);
  const parts = new Float64Array(inputs);
  for (let o = 0, at = 0; o < outputs; o++) {
    const first = Math.floor((o * group) / outputs) * inputs;
    let total = 0;
    for (let i = 0; i < inputs; i++) {
      let part = 0;
      for (let k = 0; k < taps; k++, at++) part += tapShares[k] * square(values[at]);
      part *= variance[first + i];
      parts[i] = part;
      total += part;
    }
    if (total > 0)
      for (let i = 0; i < inputs; i++) given[first + i] += (result[o] * parts[i]) / total;
  }
  return given;
}

/** A node that is no linear layer: channels are matched by their ids, or all get equal shares. */
function throughOthers(
  structure: Structure,
  node: Node,
  shares: OutputShares,
  moments: ReadonlyMap<string, Moments>,
): readonly (readonly [string, Float64Array])[] {
  const own = structure.analysis.operands.get(node);
  const moving = own?.inputs.filter((input) => input && !input.isParameter && !input.value) ?? [];
  const inputs = moving.flatMap((input) => {
    const layout = input && own?.layoutOf(input);
    const width = input?.shape[1];
    if (!input || width === undefined) return [];
    return [
      {
        name: input.name,
        width,
        ids: channelIds(structure, layout),
        given: new Float64Array(width),
      },
    ];
  });
  if (inputs.length === 0) return [];
  for (const output of own?.outputs ?? []) {
    const share = shares.get(output.name);
    if (share === undefined || !own) continue;
    const ids = channelIds(structure, own.layoutOf(output));
    const byId = new Map<number, number>();
    for (const [c, id] of ids?.entries() ?? []) byId.set(id, (byId.get(id) ?? 0) + share[c]);
    const places = new Map<number, { at: number; c: number; weight: number }[]>();
    for (const [at, input] of inputs.entries())
      for (const [c, id] of input.ids?.entries() ?? []) {
        if (!byId.has(id)) continue;
        const variance = inputs.length > 1 ? (moments.get(input.name)?.variance[c] ?? 1) : 1;
        places.set(id, [...(places.get(id) ?? []), { at, c, weight: variance }]);
      }
    if (places.size === 0) {
      const total = share.reduce((sum, part) => sum + part, 0);
      const width = inputs.reduce((sum, input) => sum + input.width, 0);
      for (const input of inputs)
        for (let c = 0; c < input.width; c++) input.given[c] += total / width;
      continue;
    }
    for (const [id, list] of places) {
      const total = list.reduce((sum, { weight }) => sum + weight, 0);
      for (const { at, c, weight } of list)
        inputs[at].given[c] += (byId.get(id) ?? 0) * (total > 0 ? weight / total : 1 / list.length);
    }
  }
  return inputs.map(({ name, given }) => [name, given] as const);
}

/** The classes of element ids along axis 1; `undefined` where it is one of several axes that channels lie along. */
function channelIds(
  { analysis: { pool } }: Structure,
  layout: Layout | undefined,
): Int32Array | undefined {
  if (layout === undefined || layout.shape.length < 2) return undefined;
  const block = blockOf(layout, 1);
  if (block.axes.length > 1 && block.cut !== 1) return undefined;
  return axisIds(pool, layout, 1).map((id) => pool.find(id));
}
