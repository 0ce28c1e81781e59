/**
 * @file The weights of a network that can be random, and the ways to draw their noise.
 *
 * A weight w ~ N(μ, σ²) makes the result of its layer random. Three forms of drawing it have the right
 * mean and variance at every place of the result; they differ in how places and examples are tied:
 *
 * - `local` (Kingma et al., "Variational Dropout and the Local Reparameterization Trick", 2015): a
 *   normal for each element of the result, whose variance a second layer computes. Independent between
 *   examples, and wrongly between the positions of one example: what pools or sums positions later sees too
 *   little noise (at a global pool over 16 x 16 positions 117 times too little).
 * - `flipout` (Wen et al., "Flipout", 2018): one draw for the batch, with random signs for every channel
 *   of every example. Exact within an example, uncorrelated between examples. Twice the layer.
 * - `weight`: one draw for the batch. Exact within an example, the same for all. Costs almost nothing,
 *   but gradients are noisier, because examples do not average it out.
 */
import { consumersOf, type Graph, type Node } from "../../ir/graph.ts";
import type { BatchNormRole, LinearRole } from "../../ops/operator/role.ts";
import { roleOf, squashingOf } from "../../ops/passes/roles.ts";
import type { Structure } from "../../structure/units/units.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";

/** The ways to draw the noise of a layer. */
export const noiseForms = ["local", "weight", "flipout"] as const;
/** One of {@link noiseForms}. */
export type NoiseForm = (typeof noiseForms)[number];

/** A weight that several layers may share, as a random variable. */
export interface VariationalWeight {
  /** The constant that holds its means. */
  readonly weight: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Axis of the filters in the constant. */
  readonly filterAxis: number;
  /** The layers that read it, by node name; at least one. */
  readonly layers: readonly VariationalLayer[];
  readonly noise: NoiseForm;
}

/** A node with a random weight. */
export interface VariationalLayer {
  readonly node: string;
  /** Which of its inputs the weight is. */
  readonly input: number;
  readonly role: LinearRole | BatchNormRole;
  /** Number of axes of its data and of what it computes. */
  readonly rank: number;
}

/**
 * Every weight that linear layers alone read, in graph order. With `auto` a weight's noise is
 *
 * 1. `weight` where several layers share it: they must see the same draw;
 * 2. `local` where that is exact: in layers with one position per example, and behind which
 *    positions never meet again;
 * 3. `flipout` elsewhere.
 *
 * Any other choice holds for all layers but those of the first rule.
 */
export function variationalWeights(
  structure: Structure,
  noise: NoiseForm | "auto",
): readonly VariationalWeight[] {
  const { graph, operands } = structure.analysis;
  const consumers = consumersOf(graph);
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    const role = roleOf(node);
    if (role.kind !== "linear") continue;
    const name = node.inputs[role.weightInput];
    readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  return [...readers].flatMap(([weight, nodes]): VariationalWeight[] => {
    const constant = graph.constants.get(weight);
    const users = consumers.get(weight) ?? [];
    const isOurs = users.every((node) => nodes.includes(node)) && !graph.outputs.includes(weight);
    if (constant === undefined || !isFloat(constant.dtype) || !isOurs) return [];
    // A row of a stack of matrices is not a filter.
    if (constant.shape.length < 2) return [];
    const layers = nodes.flatMap((node): LinearLayer[] => {
      const role = roleOf(node);
      const result = operands.get(node)?.outputs[0];
      const data = operands.get(node)?.inputs[0];
      if (role.kind !== "linear" || result === undefined || data?.isParameter !== false) return [];
      if (role.window === undefined && constant.shape.length !== 2) return [];
      const isOnce = node.inputs.filter((name) => name === weight).length === 1;
      const own = { node: node.name, input: role.weightInput, role, rank: result.shape.length };
      return isOnce ? [own] : [];
    });
    if (layers.length < nodes.length) return [];
    const { dtype, shape } = constant;
    const [filterAxis, ...others] = layers.map(({ role }) => (role.layout === "outIn" ? 0 : 1));
    if (others.some((axis) => axis !== filterAxis)) return [];
    const own = { weight, dtype, shape, filterAxis, layers };
    if (layers.length > 1) return [{ ...own, noise: "weight" }];
    if (noise !== "auto") return [{ ...own, noise }];
    const isExact = isLocalExact(structure, consumers, nodes[0], layers[0]);
    return [{ ...own, noise: isExact ? "local" : "flipout" }];
  });
}

/** The scale of a batch normalization right behind a layer with a random weight. */
export interface VariationalScale extends VariationalWeight {
  /** The weight of that layer: each of its filters is multiplied by one element of the scale. */
  readonly behind: string;
}

/**
 * The scales γ behind layers with random weights, as random variables of their own: where the
 * normalization takes the statistics of batches, the noise of a filter's weights says nothing of the
 * filter's size, which γ alone decides. Those that several nodes share are left out.
 */
export function variationalScales(
  { analysis: { graph } }: Structure,
  weights: readonly VariationalWeight[],
): readonly VariationalScale[] {
  const consumers = consumersOf(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  return weights.flatMap(({ weight, shape, filterAxis, layers }): VariationalScale[] => {
    const [{ node: name, rank }] = layers;
    const [result] = nodes.get(name)?.outputs ?? [];
    const [node, ...others] = consumers.get(result) ?? [];
    if (layers.length > 1 || node === undefined || others.length > 0) return [];
    const role = roleOf(node);
    if (role.kind !== "batch-norm" || node.inputs[role.dataInput] !== result) return [];
    const scale = graph.constants.get(node.inputs[role.scaleInput]);
    const isOwn = scale && consumers.get(scale.name)?.length === 1;
    if (!isOwn || !isFloat(scale.dtype) || scale.shape[0] !== shape[filterAxis]) return [];
    const own = { node: node.name, input: role.scaleInput, role, rank };
    const { dtype, name: constant } = scale;
    const form = { weight: constant, dtype, shape: scale.shape, filterAxis: 0, layers: [own] };
    return [{ ...form, noise: "weight", behind: weight }];
  });
}

/** A layer that multiplies by its weight. */
interface LinearLayer extends VariationalLayer {
  readonly role: LinearRole;
}

/** Whether the loss does not depend on how the noise of two positions is correlated. */
function isLocalExact(
  { analysis: { graph, operands } }: Structure,
  consumers: ReadonlyMap<string, readonly Node[]>,
  node: Node,
  { role }: LinearLayer,
): boolean {
  const shape = operands.get(node)?.outputs[0].shape ?? [];
  const channels = shape.at(role.resultAxis) ?? 1;
  if (sizeOf(shape) === (shape[0] ?? 1) * channels) return true;
  return neverMeet(graph, consumers, node);
}

/** Whether a value reaches outputs through sums, products and squashing alone, position by position. */
function neverMeet(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  start: Node,
): boolean {
  const values = new Set(start.outputs);
  for (const value of values) {
    for (const node of consumers.get(value) ?? []) {
      const { kind } = roleOf(node);
      const squashing = squashingOf(node);
      const isPointwise = kind === "add" || kind === "product" || kind === "batch-norm";
      if (!isPointwise && (squashing === undefined || squashing.toEnd)) return false;
      for (const name of node.outputs) values.add(name);
    }
  }
  return graph.outputs.some((name) => values.has(name));
}
