/** @file Which nodes of a graph matter to some of its values. */
import type { Graph, Node } from "./graph.ts";

/** The nodes on which `names` depend, in order. */
export function nodesBehind(nodes: readonly Node[], names: Iterable<string>): readonly Node[] {
  const wanted = new Set(names);
  const live: Node[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    live.push(node);
    for (const name of [...node.inputs, ...node.captures]) wanted.add(name);
  }
  return live.reverse();
}

/** The graph without nodes and constants on which its outputs do not depend. Its inputs all stay. */
export function withoutDead(graph: Graph): Graph {
  const nodes = nodesBehind(graph.nodes, graph.outputs);
  const read = new Set([
    ...graph.outputs,
    ...nodes.flatMap((node) => [...node.inputs, ...node.captures]),
  ]);
  const constants = new Map([...graph.constants].filter(([name]) => read.has(name)));
  return { ...graph, nodes, constants };
}
