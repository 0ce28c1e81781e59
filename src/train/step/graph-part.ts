/** @file Parts of a graph: what lies between values that are given and values that are wanted. */
import { assert } from "../../errors.ts";
import { type Graph, type Node, newNode } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { freshNames } from "../../ir/names.ts";
import type { Value } from "../../ops/operator/gradient.ts";

/** A graph, and values of it that its parts are given. */
export interface Cut {
  readonly graph: Graph;
  readonly given: readonly Value[];
}

/** A value of a part: under its own name, or another where it is given itself. */
export interface Wanted {
  readonly name: string;
  readonly value: Value;
}

/** The part that computes what is wanted. Its inputs are those that it reads. */
export function partOf({ graph, given }: Cut, wanted: readonly Wanted[]): Graph {
  const passed = wanted
    .filter(({ name, value }) => name !== value.name)
    .map(({ name, value }) => newNode(name, "Identity", [value.name], name));
  const part = withoutDead({
    ...graph,
    nodes: [...withoutProducers(graph.nodes, given), ...passed],
    outputs: wanted.map(({ name }) => name),
  });
  const types = new Map(graph.types);
  for (const { name, dtype, shape } of given) types.set(name, { dtype, shape });
  for (const { name, value } of wanted) types.set(name, { dtype: value.dtype, shape: value.shape });
  const read = new Set(part.nodes.flatMap(({ inputs }) => inputs));
  const all = [...graph.inputs, ...given.map(({ name }) => name)];
  const inputs = all.filter((name) => read.has(name));
  const ports = new Set([...inputs, ...part.outputs]);
  return { ...part, inputs, types: new Map([...types].filter(([name]) => ports.has(name))) };
}

/** The given values on which a value depends. */
export function givenBehind({ graph, given }: Cut, name: string): readonly string[] {
  const nodes = nodesBehind(withoutProducers(graph.nodes, given), [name]);
  const read = new Set([name, ...nodes.flatMap(({ inputs }) => inputs)]);
  return given.flatMap((value) => (read.has(value.name) ? [value.name] : []));
}

function withoutProducers(nodes: readonly Node[], given: readonly Value[]): readonly Node[] {
  const names = new Set(given.map(({ name }) => name));
  return nodes.filter(({ outputs }) => !outputs.some((name) => names.has(name)));
}

/** The graph with other names of values; what had such a name gets one of its own. */
export function renamed(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const fresh = freshNames(graph);
  const next = new Map([...names].filter(([from, to]) => from !== to));
  if (next.size === 0) return graph;
  for (const to of [...next.values()]) {
    const isTaken = graph.nodes.some(({ outputs }) => outputs.includes(to));
    assert(isTaken || !(graph.constants.has(to) || graph.inputs.includes(to)), `"${to}" is free`);
    if (isTaken && !next.has(to)) next.set(to, fresh(to));
  }
  const nameOf = (name: string) => next.get(name) ?? name;
  return {
    ...graph,
    outputs: graph.outputs.map(nameOf),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(nameOf),
      outputs: node.outputs.map(nameOf),
    })),
  };
}
