/**
 * @file Edits: new values for single parameter uses, in the original's widths.
 *
 * Compensation (the mean that a removed channel leaves behind) and refitting change parameters of the
 * consumers. They are kept apart from the removal, so that verification can apply the same edits to
 * the original and check the removal alone.
 */
import { type Constant, constantOf, type Graph, type Node } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** A new value for one input of one node. An input that was absent (a bias) is added. */
export interface Edit {
  /** Node name. */
  readonly node: string;
  readonly input: number;
  /** Full-width contents. */
  readonly tensor: HostTensor;
}

/** The graph with the edits in place. A constant that other uses still need is cloned. */
export function applyEdits(graph: Graph, edits: readonly Edit[]): Graph {
  if (edits.length === 0) return graph;
  const fresh = freshNames(graph);
  const uses = new Map<string, number>();
  for (const name of graph.nodes.flatMap((node) => [...node.inputs, ...node.captures]))
    uses.set(name, (uses.get(name) ?? 0) + 1);
  const constants = new Map<string, Constant>(graph.constants);
  const byNode = new Map<string, Edit[]>();
  for (const edit of edits) byNode.set(edit.node, [...(byNode.get(edit.node) ?? []), edit]);
  const nodes = graph.nodes.map((node): Node => {
    const own = byNode.get(node.name);
    if (own === undefined) return node;
    const inputs = [...node.inputs];
    for (const { input, tensor } of own) {
      const old = graph.constants.get(inputs[input] ?? "");
      const isOnlyUse =
        old !== undefined && uses.get(old.name) === 1 && !graph.outputs.includes(old.name);
      if (isOnlyUse) {
        constants.set(old.name, constantOf(old.name, tensor, old.origin));
        continue;
      }
      const name = fresh(old?.name ?? `${node.name}_${node.opType}_input${input}`);
      while (inputs.length < input) inputs.push("");
      inputs[input] = name;
      constants.set(name, constantOf(name, tensor));
    }
    const isSame =
      inputs.length === node.inputs.length && inputs.every((n, i) => n === node.inputs[i]);
    return isSame ? node : { ...node, inputs };
  });
  return { ...graph, nodes, constants };
}
