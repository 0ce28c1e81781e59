/** @file Reverse-mode differentiation, graph to graph. Asks `ops` for every rule; knows no operator. */
import { assert, EspalierError } from "../errors.ts";
import type { Node } from "../ir/graph.ts";
import { type BoundOperator, operatorOf } from "../ops/index.ts";
import type { Value } from "../ops/operator/gradient.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { GraphEmitter } from "./emitter.ts";

/**
 * Emits the gradients of `loss`, a scalar of `emit`'s graph, with respect to the values in `wrt`
 * (inputs, constants or values in between). What the loss does not depend on gets no entry.
 *
 * Only nodes between `wrt` and `loss` are touched, only wanted gradients are emitted, and a value with
 * several consumers sums what comes back from each. Gradients end where an operator is not
 * differentiable (rounding, comparisons, indices) and at whole numbers: what depends on `wrt`
 * through those alone is constant.
 *
 * Errors: `MODEL_UNSUPPORTED`, naming every node on the way that cannot be differentiated.
 */
export function emitGradients(
  emit: GraphEmitter,
  loss: Value,
  wrt: readonly string[],
): ReadonlyMap<string, Value> {
  const { varying, path } = pathBetween(emit, wrt, loss.name);
  const gradients = new Map([[loss.name, emit.filled(1, loss.shape, loss.dtype)]]);
  for (const { node, bound } of bindAll(path).reverse()) {
    const dy = node.outputs.map((name) => gradients.get(name));
    if (dy.every((gradient) => gradient === undefined)) continue;
    for (const [index, gradient] of applyRule(emit, node, bound, dy, varying).entries()) {
      const name = node.inputs[index];
      if (gradient === undefined || !varying.has(name)) continue;
      const other = gradients.get(name);
      gradients.set(name, other ? emit.add(other, gradient) : gradient);
    }
  }
  const entries = wrt.flatMap((name) => {
    const gradient = varying.has(name) ? gradients.get(name) : undefined;
    return gradient ? [[name, gradient] as const] : [];
  });
  return new Map(entries);
}

interface Path {
  /** The floats that vary smoothly with `wrt`. */
  readonly varying: ReadonlySet<string>;
  /** The nodes through which they reach the loss, in order. */
  readonly path: readonly Node[];
}

function pathBetween(emit: GraphEmitter, wrt: readonly string[], loss: string): Path {
  const varying = new Set(wrt);
  const forward: Node[] = [];
  for (const node of emit.nodes) {
    const operator = operatorOf(node)?.operator;
    if (operator && "notDifferentiable" in operator.gradient) continue;
    if (![...node.inputs, ...node.captures].some((name) => varying.has(name))) continue;
    forward.push(node);
    for (const name of node.outputs)
      if (name !== "" && isFloat(emit.dtypeOf(name))) varying.add(name);
  }
  const reaching = new Set([loss]);
  const path: Node[] = [];
  for (const node of forward.reverse()) {
    if (!node.outputs.some((name) => reaching.has(name))) continue;
    path.push(node);
    for (const name of node.inputs) if (varying.has(name)) reaching.add(name);
  }
  return { varying, path: path.reverse() };
}

interface BoundNode {
  readonly node: Node;
  readonly bound: BoundOperator;
}

/** The nodes with their rules; nodes that have none are an error. */
function bindAll(nodes: readonly Node[]): BoundNode[] {
  const offenders: string[] = [];
  const all = nodes.flatMap((node) => {
    const bound = operatorOf(node);
    if (bound && "rule" in bound.operator.gradient) return [{ node, bound }];
    offenders.push(`${node.opType} "${node.name}"`);
    return [];
  });
  if (offenders.length > 0)
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      `no gradient rule is known for ${offenders.join(", ")}`,
      { data: { nodes: offenders } },
    );
  return all;
}

function applyRule(
  emit: GraphEmitter,
  node: Node,
  { operator, attrs }: BoundOperator,
  dy: readonly (Value | undefined)[],
  varying: ReadonlySet<string>,
): readonly (Value | undefined)[] {
  if (!("rule" in operator.gradient)) return [];
  const present = (name: string) => (name === "" ? undefined : emit.value(name));
  const inputs = node.inputs.map(present);
  const outputs = node.outputs.map(present);
  return operator.gradient.rule({
    attrs,
    node,
    emit,
    inputs,
    outputs,
    dy,
    needs: (index) => varying.has(node.inputs[index] ?? ""),
    input(index) {
      const input = inputs[index];
      if (input !== undefined) return input;
      throw new EspalierError("MODEL_BAD_GRAPH", `"${node.name}" lacks input ${index}`);
    },
    output() {
      assert(outputs[0] !== undefined, `${operator.opType} names its first output`);
      return outputs[0];
    },
    gradient() {
      assert(dy[0] !== undefined, `${operator.opType} has one output`);
      return dy[0];
    },
  });
}
