/** @file Puts a network into a graph under construction. */
import { EspalierError } from "../../errors.ts";
import type { GraphEmitter } from "../../grad/emitter.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { operatorOf } from "../../ops/index.ts";
import type { Value } from "../../ops/operator/gradient.ts";

/**
 * Emits `nodes` of `graph`. `values` holds what its inputs stand for, and afterwards every value that
 * was computed; constants that it does not hold are emitted as they are.
 *
 * Errors: `MODEL_UNSUPPORTED`, naming every node that is not understood.
 */
export function embedNodes(
  emit: GraphEmitter,
  graph: Graph,
  nodes: readonly Node[],
  values: Map<string, Value>,
): void {
  requireUnderstood(nodes);
  const lookUp = (name: string): Value | undefined => {
    const known = values.get(name);
    const constant = graph.constants.get(name);
    if (known !== undefined || constant === undefined) return known;
    const emitted = emit.constant(constant.read());
    values.set(name, emitted);
    return emitted;
  };
  for (const node of nodes) {
    const outputs = emit.ops(
      node.opType,
      node.inputs.map(lookUp),
      Object.fromEntries(node.attributes),
      node.outputs.map((name) => name !== ""),
    );
    for (const [i, output] of outputs.entries())
      if (output !== undefined) values.set(node.outputs[i], output);
  }
}

/** Fails with `MODEL_UNSUPPORTED`, naming every node that is not understood. */
export function requireUnderstood(nodes: readonly Node[]): void {
  const offenders = nodes
    .filter((node) => operatorOf(node) === undefined || node.captures.length > 0)
    .map(({ domain, opType, name }) => `${domain === "" ? "" : `${domain}.`}${opType} "${name}"`);
  if (offenders.length === 0) return;
  throw new EspalierError(
    "MODEL_UNSUPPORTED",
    `The network cannot be trained, because it has operators that are not understood: ` +
      `${offenders.join(", ")}.`,
    { data: { nodes: offenders } },
  );
}

/** A graph to emit into. */
export function emptyGraph(name: string): Graph {
  return { name, inputs: [], outputs: [], nodes: [], constants: new Map(), types: new Map() };
}
