/** @file Names for what a pass adds, and patterns of names. */
import type { Graph } from "./graph.ts";

/** A function that gives names which neither the graph nor an earlier call uses. */
export function freshNames(graph: Graph): (stem: string) => string {
  const taken = new Set([
    ...graph.inputs,
    ...graph.outputs,
    ...graph.constants.keys(),
    ...graph.types.keys(),
  ]);
  for (const node of graph.nodes) {
    taken.add(node.name);
    for (const name of [...node.inputs, ...node.outputs, ...node.captures]) taken.add(name);
  }
  return (stem) => {
    let name = stem;
    for (let i = 1; taken.has(name); i++) name = `${stem}_${i}`;
    taken.add(name);
    return name;
  };
}

/** A test of names against a pattern in which `*` stands for anything. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`, "s");
  return (name) => expression.test(name);
}
