/**
 * @file Normalisations that a file writes out as single operators, as exporters did before there was
 * LayerNormalization: what is normalised there, and the scales and shifts that belong to it.
 *
 * A *statistic* is the result of a reduction of activations, and whatever roots, sums with ε and similar steps
 * make of it. A value is *normalised* if it is divided by a statistic of which a root was taken (division by a
 * plain sum may be a softmax), or multiplied by the inverse of such a statistic, as tf2onnx writes it:
 * `x · (γ / √(variance + ε)) + (β - mean · (γ / √(variance + ε)))`.
 */
import type { Node } from "../../ir/graph.ts";
import { rearrangementOf, roleOf } from "./roles.ts";

/** What belongs to normalisations that are written out. */
export interface WrittenNorms {
  /** Normalised values, also reshaped or transposed ones: a scale and a shift may follow directly behind them. */
  readonly normalised: ReadonlySet<string>;
  /** Values that scale or shift within the formula; constants among them are parameters. */
  readonly affine: ReadonlySet<string>;
}

/** Operators that compute a statistic. These names, as those below, are the vocabulary of the formula. */
const reductions = new Set(["ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare"]);
/** Operators through which a statistic stays one. */
const steps = new Set([
  ...[
    "Abs",
    "Add",
    "Cast",
    "Clip",
    "Expand",
    "Identity",
    "Max",
    "Mul",
    "Pow",
    "Reciprocal",
    "Reshape",
  ],
  ...["Sqrt", "Sub", "Div", "Unsqueeze", "Squeeze"],
]);

/** Finds written normalisations among nodes in topological order. `isConstant` tells values that depend on no input. */
export function writtenNorms(
  nodes: readonly Node[],
  isConstant: (name: string) => boolean,
): WrittenNorms {
  const statistics = new Set<string>();
  /** Statistics of which a root was taken. */
  const rooted = new Set<string>();
  /** Inverses of statistics, also scaled ones: a product with one is a division. */
  const inverses = new Set<string>();
  const normalised = new Set<string>();
  const affine = new Set<string>();
  for (const node of nodes) {
    const { domain, opType, inputs, outputs } = node;
    if (domain !== "") continue;
    const [y] = outputs;
    const [a = "", b = ""] = inputs;
    const moving = inputs.filter((name) => name !== "" && !isConstant(name));
    if (moving.length === 0) continue;
    if (reductions.has(opType)) {
      statistics.add(y);
      if (opType === "ReduceL2") rooted.add(y);
    } else if (roleOf(node).kind === "sample-norm") normalised.add(y);
    else if (normalised.has(a) && movesElements(node)) normalised.add(y);
    else if (steps.has(opType) && moving.every((name) => statistics.has(name))) {
      statistics.add(y);
      const takesRoot = opType === "Sqrt" || opType === "Pow";
      if (takesRoot || moving.some((name) => rooted.has(name))) rooted.add(y);
      const inverts =
        opType === "Pow" ||
        (opType === "Reciprocal" && rooted.has(a)) ||
        (opType === "Div" && rooted.has(b));
      if (inverts || moving.some((name) => inverses.has(name))) inverses.add(y);
      // The scale is γ · 1/√(variance + ε), the shift β - mean · γ · 1/√(variance + ε).
      const isScale = opType === "Mul" && moving.length === 1 && inverses.has(moving[0]);
      const isShift = opType === "Sub" && isConstant(a) && inverses.has(b);
      if (isScale || isShift) for (const name of [a, b]) if (isConstant(name)) affine.add(name);
    } else if (opType === "Div" && !statistics.has(a) && rooted.has(b)) normalised.add(y);
    else if (opType === "Mul" && [a, b].filter((name) => inverses.has(name)).length === 1)
      normalised.add(y);
  }
  return { normalised, affine };
}

/** Whether every element of the output is an element of the first input, in another place or type. */
function movesElements(node: Node): boolean {
  const how = rearrangementOf(node);
  return how === "in-order" || how === "transposed" || node.opType === "Cast";
}
