/** @file Noise in the graphs of replicas: of samples each draws its own, of weights all draw the same. */
import type { Graph } from "../../ir/graph.ts";
import type { Random } from "../../tensor/random.ts";

/**
 * The graph with other seeds for the noise that depends on `inputs`, be it on their shapes alone. Other noise keeps
 * its stream, so that every replica draws the same weights at the same step.
 */
export function withOwnNoise(graph: Graph, inputs: Iterable<string>, random: Random): Graph {
  const reached = new Set(inputs);
  const taken = new Set(graph.nodes.map(({ attributes }) => seedOf(attributes.get("seed"))));
  const nodes = graph.nodes.map((node) => {
    if (!node.inputs.some((name) => reached.has(name))) return node;
    for (const name of node.outputs) if (name !== "") reached.add(name);
    const seed = node.attributes.get("seed");
    if (seed?.kind !== "int" && seed?.kind !== "float") return node;
    // onnxruntime keeps seeds as float32: above 2^24 two of them may be one.
    let value = random.integer(2 ** 24);
    while (taken.has(value)) value = random.integer(2 ** 24);
    taken.add(value);
    return { ...node, attributes: new Map(node.attributes).set("seed", { ...seed, value }) };
  });
  return { ...graph, nodes };
}

function seedOf(seed: { readonly kind: string; readonly value?: unknown } | undefined) {
  return seed?.kind === "int" || seed?.kind === "float" ? seed.value : undefined;
}
