/** @file The constants of a network that a lossy pack may change, and the way in which it changes them. */
import { consumersOf, type Graph } from "../../ir/graph.ts";
import { runningStatistics, trainedInputs } from "../../ops/passes/training.ts";

/**
 * `weight`: a matrix or kernels, quantised. `vector`: biases, scales, shifts and statistics, rounded to
 * a shorter mantissa. All other constants are part of the computation and stay as they are.
 */
export type ParameterKind = "weight" | "vector";

/** The float32 constants that every reader takes as parameters, by name. */
export function parameterKinds(graph: Graph): ReadonlyMap<string, ParameterKind> {
  const consumers = consumersOf(graph);
  const kinds = new Map<string, ParameterKind>();
  for (const { name, dtype, shape } of graph.constants.values()) {
    const readers = consumers.get(name) ?? [];
    const isParameter = readers.every((node) => {
      const statistics = runningStatistics(node);
      const own = new Set([
        ...trainedInputs(node).weights,
        ...(statistics ? [statistics.meanInput, statistics.varianceInput] : []),
      ]);
      const isRead = node.inputs.every((input, i) => input !== name || own.has(i));
      return isRead && !node.captures.includes(name);
    });
    if (dtype !== "float32" || readers.length === 0 || !isParameter) continue;
    if (graph.outputs.includes(name)) continue;
    kinds.set(name, shape.length >= 2 ? "weight" : "vector");
  }
  return kinds;
}
