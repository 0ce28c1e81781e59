/**
 * @file Weights that a network computes from its parameters alone: weight normalisation left in the graph
 * (g v / ‖v‖), spectral normalisation with its norm, weight standardisation.
 */
import { constantOf, type Graph, isDefault, type Node, type TensorType } from "../../ir/graph.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import { multiplies } from "../index.ts";
import { inferNode } from "./infer.ts";
import { trainedInputs } from "./training.ts";

/**
 * The graph with such weights as constants, without what computed them; the graph itself where it has none.
 * Elements are rounded to the type of the weight after each operation, as the network does.
 */
export function withComputedWeights(graph: Graph): Graph {
  const weights = computedWeights(graph);
  if (weights.size === 0) return graph;
  const readBefore = new Set(
    graph.nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]),
  );
  const read = new Set(graph.outputs);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    const isNeeded = node.outputs.some((name) => read.has(name) && !weights.has(name));
    const wasRead = node.outputs.some((name) => readBefore.has(name) || weights.has(name));
    if (!isNeeded && wasRead) continue;
    // A node whose input became a constant is copied, because writing takes the same object for an unchanged node.
    nodes.push(node.inputs.some((name) => weights.has(name)) ? { ...node } : node);
    for (const name of [...node.inputs, ...node.captures]) read.add(name);
  }
  const constants = new Map(
    [...graph.constants].filter(([name]) => read.has(name) || !readBefore.has(name)),
  );
  for (const [name, tensor] of weights) constants.set(name, constantOf(name, tensor));
  return { ...graph, nodes: nodes.reverse(), constants };
}

/** Weights of more elements, or that more nodes compute, are left to the network. */
const largestWeight = 2 ** 24;
const mostNodes = 64;
/** The number of elements that are computed at most, those of intermediate results included. */
const mostElements = 2 ** 26;

/** The weights that nodes compute, with their elements, by name. */
function computedWeights(graph: Graph): ReadonlyMap<string, HostTensor> {
  const makers = constantNodes(graph);
  const kept = new Set([...graph.outputs, ...graph.nodes.flatMap(({ captures }) => captures)]);
  const found = new Map<string, HostTensor>();
  const budget = { elements: mostElements };
  for (const name of new Set(graph.nodes.flatMap(weightsRead))) {
    if (kept.has(name) || !makers.has(name)) continue;
    const value = evaluate(graph, makers, name, budget);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** The names of the values that a layer reads as its weights. */
function weightsRead(node: Node): readonly string[] {
  if (!multiplies(node)) return [];
  return trainedInputs(node).weights.map((index) => node.inputs[index] ?? "");
}

/** The nodes of one output that read nothing but constants, by what they compute. */
function constantNodes(graph: Graph): ReadonlyMap<string, Node> {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) {
    if (node.captures.length > 0 || node.outputs.length !== 1) continue;
    const named = node.inputs.filter((name) => name !== "");
    const isConstant = named.every((name) => {
      const constant = graph.constants.get(name);
      return constant === undefined ? makers.has(name) : !isDefault(constant);
    });
    if (named.length > 0 && isConstant) makers.set(node.outputs[0], node);
  }
  return makers;
}

/** The elements of a value, if sums over weights are among what computes it. */
function evaluate(
  graph: Graph,
  makers: ReadonlyMap<string, Node>,
  name: string,
  budget: { elements: number },
): HostTensor | undefined {
  const values = new Map<string, HostTensor>();
  const types = new Map<string, TensorType>();
  const nodes = new Set<Node>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const constant = graph.constants.get(next);
    const maker = makers.get(next);
    if (constant !== undefined) {
      if (sizeOf(constant.shape) > largestWeight) return undefined;
      if (!values.has(next)) values.set(next, constant.read());
      types.set(next, constant);
    } else if (maker !== undefined && !nodes.has(maker)) {
      nodes.add(maker);
      if (nodes.size > mostNodes) return undefined;
      open.push(...maker.inputs.filter((input) => input !== ""));
    }
  }
  let hasSum = false;
  for (const node of graph.nodes) {
    if (!nodes.has(node)) continue;
    const most = Math.min(largestWeight, budget.elements);
    const [result] = inferNode(node, types, values, () => "?", most)?.values ?? [];
    if (result === undefined) return undefined;
    budget.elements -= sizeOf(result.shape);
    const floats = node.inputs.flatMap((input) => {
      const tensor = values.get(input);
      return tensor !== undefined && isFloat(tensor.dtype) ? [tensor] : [];
    });
    // A float type that differs from the result's is a form of storage (half precision, say), not arithmetic.
    if (floats.some(({ dtype }) => dtype !== result.dtype)) return undefined;
    if (floats.some(({ shape }) => sizeOf(shape) > sizeOf(result.shape))) hasSum = true;
    values.set(node.outputs[0], result);
    types.set(node.outputs[0], result);
  }
  return hasSum ? values.get(name) : undefined;
}
