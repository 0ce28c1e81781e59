/** @file Mean and variance of activations per channel, from a network's parameters alone. */
import { consumersOf, type Node } from "../../ir/graph.ts";
import { operatorOf } from "../../ops/index.ts";
import type { Moments } from "../../ops/operator/operator.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Analysis } from "../../structure/analysis/analysis.ts";
import { isStrings, toNumbers } from "../../tensor/host-tensor.ts";

/**
 * Mean and variance of every value along axis 1 (axis 0 is the batch), as batch normalization gives them and the
 * operators' `moments` rules propagate them. Values with unknown statistics are absent: the inputs of the network, and
 * all values from there to the first batch normalization. So are results of linear layers that batch normalization alone
 * reads, because its result does not depend on theirs.
 */
export function momentsOf(analysis: Analysis): ReadonlyMap<string, Moments> {
  const { graph } = analysis;
  const known = new Map<string, Moments>();
  const consumers = consumersOf(graph);
  const isNormalized = (name: string): boolean =>
    !graph.outputs.includes(name) &&
    consumers.has(name) &&
    (consumers.get(name) ?? []).every((node) => roleOf(node).kind === "batch-norm");
  for (const node of graph.nodes) {
    if (roleOf(node).kind === "linear" && isNormalized(node.outputs[0])) continue;
    const rule = momentRule(analysis, node);
    const results = rule?.((index) => known.get(node.inputs[index] ?? ""));
    for (const [i, name] of node.outputs.entries()) {
      const result = results?.[i];
      // Unbounded activations may overflow; such moments are dropped.
      if (name !== "" && result && isUsable(result)) known.set(name, result);
    }
  }
  return known;
}

/** The moments of a node's outputs as a function of those of its inputs. */
export type MomentRule = (
  momentsOf: (index: number) => Moments | undefined,
) => readonly (Moments | undefined)[];

/** The moment rule of a node with its constants read once; `undefined` where it has none. */
export function momentRule(
  { graph, operands, inference }: Analysis,
  node: Node,
): MomentRule | undefined {
  const bound = operatorOf(node);
  const own = operands.get(node);
  if (bound === undefined || own === undefined) return undefined;
  const { moments } = bound.operator;
  if (typeof moments !== "function") return undefined;
  const read = new Map<string, Float64Array | undefined>();
  const numbers = (index: number): Float64Array | undefined => {
    const name = node.inputs[index] ?? "";
    if (!read.has(name)) {
      const tensor = graph.constants.get(name)?.read() ?? inference.values.get(name);
      read.set(name, tensor && !isStrings(tensor.data) ? toNumbers(tensor) : undefined);
    }
    return read.get(name);
  };
  const { inputs, outputs } = own;
  return (elements) =>
    moments({
      attrs: bound.attrs,
      node,
      inputs,
      outputs,
      numbers,
      elements,
      moments(index) {
        const own = elements(index);
        return own && { mean: own.mean, variance: own.variance };
      },
    });
}

function isUsable({ mean, variance }: Moments): boolean {
  return mean.every(Number.isFinite) && variance.every(Number.isFinite);
}
