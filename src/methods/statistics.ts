/** @file What a network's parameters alone tell about its activations: mean and variance per channel. */
import { operatorOf } from "../ops/index.ts";
import type { Moments } from "../ops/operator.ts";
import type { Analysis } from "../structure/analysis.ts";
import { isStrings, toNumbers } from "../tensor/host-tensor.ts";

/**
 * Mean and variance of every value along axis 1 (axis 0 is the batch), as batch normalization tells
 * them and the operators' `moments` rules carry them on. Values of which nothing is known are absent:
 * the inputs of the network, and what follows them up to the first batch normalization.
 */
export function momentsOf({ graph, operands, inference }: Analysis): ReadonlyMap<string, Moments> {
  const known = new Map<string, Moments>();
  for (const node of graph.nodes) {
    const bound = operatorOf(node);
    const own = operands.get(node);
    if (bound === undefined || own === undefined) continue;
    const { moments } = bound.operator;
    if (typeof moments !== "function") continue;
    const results = moments({
      attrs: bound.attrs,
      node,
      inputs: own.inputs,
      outputs: own.outputs,
      moments: (index) => known.get(node.inputs[index] ?? ""),
      numbers(index) {
        const name = node.inputs[index] ?? "";
        const tensor = graph.constants.get(name)?.read() ?? inference.values.get(name);
        return tensor && !isStrings(tensor.data) ? toNumbers(tensor) : undefined;
      },
    });
    for (const [i, name] of node.outputs.entries()) {
      const result = results[i];
      // Activations that nothing bounds may overflow; such numbers tell nothing.
      if (name !== "" && result && isFinite(result)) known.set(name, result);
    }
  }
  return known;
}

function isFinite({ mean, variance }: Moments): boolean {
  return mean.every(Number.isFinite) && variance.every(Number.isFinite);
}
