/** @file The shape arithmetic that operators share. Sizes may be symbolic. */
import type { Dim, Shape } from "../../ir/graph.ts";
import { maxRank } from "../../ir/sizes.ts";
import type { InferContext } from "./operator.ts";

type Failing = Pick<InferContext<unknown>, "fail" | "unknownDim">;

/** `axis` counted from the front; fails when it is outside [-rank, rank). */
export function normalizeAxis(context: Failing, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    context.fail(`axis ${axis} is outside a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** A shape of `rank` sizes that nobody knows. */
export function openShape(context: Failing, rank: number): Shape {
  if (rank > maxRank) context.fail(`its output would have ${rank} axes, more than ${maxRank}`);
  return Array.from({ length: rank }, () => context.unknownDim());
}

/** A function of sizes, unknown as soon as one of them is symbolic. */
export function mapDims(
  context: Failing,
  dims: readonly Dim[],
  f: (...sizes: number[]) => number,
): Dim {
  const sizes: number[] = [];
  for (const dim of dims) {
    if (typeof dim === "string") return context.unknownDim();
    sizes.push(dim);
  }
  return f(...sizes);
}

/** Whether two sizes may be equal: known and different is the only no. */
export function mayEqual(a: Dim, b: Dim): boolean {
  return typeof a === "string" || typeof b === "string" || a === b;
}

/** ONNX's multidirectional broadcasting. */
export function broadcastShapes(context: Failing, shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let result: Dim = 1;
    for (const shape of shapes) {
      const at = axis - (rank - shape.length);
      if (at < 0) continue;
      const dim = shape[at];
      if (dim === 1 || dim === result) continue;
      if (result === 1) result = dim;
      else if (typeof dim === "number" && typeof result === "number")
        context.fail(`sizes ${result} and ${dim} of axis ${axis} do not broadcast`);
      else if (typeof dim === "number") result = dim;
      else if (typeof result === "string") result = context.unknownDim();
    }
    out.push(result);
  }
  return out;
}
