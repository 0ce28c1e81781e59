/**
 * @file Layers that select their inputs: where the features that a fully connected layer reads cannot be removed one by
 * one (pixels of an input, or the positions of a flattened map, which belong to channels), the layer may leave some of
 * them out. Its columns for them are removed, and a Gather before it picks the other features.
 *
 * For the analysis such a layer reads a tensor with ids of its own. A feature that is selected needs the
 * channel that it is a position of; a channel of which no feature is selected is of no use.
 */
import type { Graph, Node } from "../../ir/graph.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { axisIds, cutLayout } from "./cuts.ts";
import type { IdPool } from "./id-pool.ts";
import type { Layout } from "./layout.ts";
import { ownLayout } from "./layout.ts";

/** A place where a layer may select what it reads. */
export interface Selection {
  /** The input of the node, and the value that it names. */
  readonly input: number;
  readonly value: string;
  /** Axis of the features, from the front. */
  readonly axis: number;
  /** What the layer reads, all features selected: a tensor with ids of its own along `axis`. */
  readonly layout: Layout;
  /** The weight, and its axis with one slice for each feature. */
  readonly weight: { readonly input: number; readonly axis: number };
}

/**
 * The selection that a node may make; `undefined` for what is no fully connected layer with a constant
 * weight, reads more than one row per example, or reads features that can all go one by one.
 *
 * @param maker The node that computes the layer's data.
 */
export function selectionAt({
  graph,
  node,
  pool,
  layouts,
  maker,
}: {
  readonly graph: Graph;
  readonly node: Node;
  readonly pool: IdPool;
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly maker: Node | undefined;
}): Selection | undefined {
  const role = roleOf(node);
  if (role.kind !== "linear" || role.window !== undefined) return undefined;
  const { dataInput: input, weightInput, layout: order } = role;
  const value = node.inputs[input];
  const weight = graph.constants.get(node.inputs[weightInput]);
  const read = layouts.get(value);
  if (read?.shape.length !== 2 || weight?.shape.length !== 2 || !isFloat(weight.dtype))
    return undefined;
  const axis = 1;
  cutLayout(pool, read);
  const [examples, features] = [axisIds(pool, read, 0), axisIds(pool, read, axis)];
  const isOfChannels =
    new Set(features.map((id) => pool.find(id))).size === features.length &&
    features.every((id) => pool.reasonFor(id) === undefined);
  // What was selected once may be selected from again, even if one feature is left of each channel.
  if (isOfChannels && (maker === undefined || roleOf(maker).kind !== "gather")) return undefined;
  const name = `${value}\u0000${node.name}\u0000${input}`;
  const ids = [examples, pool.fresh(features.length)];
  const layout = ownLayout({ name, shape: read.shape, ids });
  return {
    input,
    value,
    axis,
    layout,
    weight: { input: weightInput, axis: order === "outIn" ? 1 : 0 },
  };
}
