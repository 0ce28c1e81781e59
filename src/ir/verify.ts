/** @file What a graph must be, as code: passes run it on what they return. */
import { assert } from "../errors.ts";
import type { Graph } from "./graph.ts";

/**
 * Asserts that `graph` is well formed: every value is defined once and before it is read, node
 * names are unique, outputs exist, and constants and inputs lie under their own names.
 */
export function verifyGraph(graph: Graph): void {
  const defined = new Set<string>();
  const define = (name: string, by: string) => {
    assert(name !== "", `${by} has a name`);
    assert(!defined.has(name), `"${name}" is defined once, not again by ${by}`);
    defined.add(name);
  };
  for (const name of graph.inputs) define(name, "a graph input");
  for (const [name, constant] of graph.constants) {
    assert(
      constant.name === name,
      `constant "${constant.name}" lies under its name, not "${name}"`,
    );
    define(name, "a constant");
  }
  const nodeNames = new Set<string>();
  for (const node of graph.nodes) {
    assert(!nodeNames.has(node.name), `the node name "${node.name}" is unique`);
    nodeNames.add(node.name);
    for (const name of [...node.inputs, ...node.captures])
      assert(
        name === "" || defined.has(name),
        `"${name}" is defined before "${node.name}" reads it`,
      );
    for (const name of node.outputs) if (name !== "") define(name, `node "${node.name}"`);
  }
  for (const name of graph.outputs) assert(defined.has(name), `the output "${name}" is defined`);
  assert(new Set(graph.outputs).size === graph.outputs.length, "graph outputs are distinct");
}
