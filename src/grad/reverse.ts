/** @file Reverse-mode differentiation, graph to graph. Asks `ops` for every rule; knows no operator. */
import { EspalierError } from "../errors.ts";
import type { Graph, Node } from "../ir/graph.ts";
import type { Value } from "../ops/gradient.ts";
import { operatorOf } from "../ops/index.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { GraphEmitter } from "./emitter.ts";

/**
 * Emits the gradients of a scalar with respect to the values in `wrt` (inputs, constants or values
 * in between). What the scalar does not depend on gets no entry.
 *
 * Only nodes between `wrt` and `loss` are touched, only wanted gradients are emitted, and a value with
 * several consumers sums what comes back from each.
 *
 * Errors: `MODEL_UNSUPPORTED`, naming every node on the way that cannot be differentiated.
 */
export function emitGradients(
  emit: GraphEmitter,
  graph: Graph,
  loss: Value,
  wrt: readonly string[],
): ReadonlyMap<string, Value> {
  const wanted = dependents(graph, wrt);
  const path = graph.nodes.filter((node) => node.outputs.some((name) => wanted.has(name)));
  const gradients = new Map<string, Value>([[loss.name, emit.filled(1, loss.shape, loss.dtype)]]);
  const reached = reaching(path, loss.name);
  requireRules(path.filter((node) => reached.has(node)));

  for (const node of [...path].reverse()) {
    const dy = node.outputs.map((name) => gradients.get(name));
    if (dy.every((gradient) => gradient === undefined)) continue;
    const bound = operatorOf(node);
    if (bound === undefined || !("rule" in bound.operator.gradient)) continue;
    const inputs = node.inputs.map((name) => (name === "" ? undefined : emit.value(name)));
    const needs = (index: number): boolean => {
      const input = inputs[index];
      return input !== undefined && wanted.has(input.name) && isFloat(input.dtype);
    };
    const given = bound.operator.gradient.rule({
      attrs: bound.attrs,
      node,
      emit,
      inputs,
      outputs: node.outputs.map((name) => (name === "" ? undefined : emit.value(name))),
      dy,
      needs,
      input(index) {
        const input = inputs[index];
        if (input === undefined)
          throw new EspalierError("MODEL_BAD_GRAPH", `"${node.name}" lacks input ${index}`);
        return input;
      },
    });
    for (const [index, gradient] of given.entries()) {
      const input = inputs[index];
      if (gradient === undefined || input === undefined || !needs(index)) continue;
      const other = gradients.get(input.name);
      gradients.set(input.name, other ? emit.add(other, gradient) : gradient);
    }
  }
  return new Map(
    wrt.flatMap((name) => {
      const gradient = gradients.get(name);
      return gradient ? [[name, gradient] as const] : [];
    }),
  );
}

/** `wrt` and everything that is computed from it. */
function dependents(graph: Graph, wrt: readonly string[]): ReadonlySet<string> {
  const names = new Set(wrt);
  for (const node of graph.nodes)
    if ([...node.inputs, ...node.captures].some((name) => names.has(name)))
      for (const name of node.outputs) if (name !== "") names.add(name);
  return names;
}

/** The nodes of `path` from which `target` can be reached through float values. */
function reaching(path: readonly Node[], target: string): ReadonlySet<Node> {
  const names = new Set([target]);
  const nodes = new Set<Node>();
  for (const node of [...path].reverse()) {
    if (!node.outputs.some((name) => names.has(name))) continue;
    nodes.add(node);
    const gradient = operatorOf(node)?.operator.gradient;
    // Where a rule says "not differentiable" nothing flows on; whether that is an error is decided below.
    if (gradient && "notDifferentiable" in gradient) continue;
    for (const name of node.inputs) names.add(name);
  }
  return nodes;
}

/** Integer and index outputs end the flow of gradients silently; a missing rule is an error. */
function requireRules(nodes: Iterable<Node>): void {
  const offenders = [...nodes].flatMap((node) => {
    const gradient = operatorOf(node)?.operator.gradient;
    if (gradient === undefined)
      return [`${node.opType} "${node.name}" (no rule for this operator)`];
    return "notYetDifferentiated" in gradient
      ? [`${node.opType} "${node.name}" (not yet differentiated)`]
      : [];
  });
  if (offenders.length > 0)
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      `the network cannot be differentiated through ${offenders.join(", ")}`,
      { data: { nodes: offenders } },
    );
}
