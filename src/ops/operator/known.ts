/** @file What operators ask of their shape-like inputs, and sizes as products. */
import type { Dim, Shape } from "../../ir/graph.ts";
import { type HostTensor, isStrings, toNumbers } from "../../tensor/host-tensor.ts";
import type { Ids, InferContext, TiedTensor, Ties } from "./operator.ts";

/** The elements as numbers, where the tensor is known. */
export function knownNumbers(
  operand: { readonly value: HostTensor | undefined } | undefined,
): readonly number[] | undefined {
  const value = operand?.value;
  return value === undefined || isStrings(value.data) ? undefined : [...toNumbers(value)];
}

/** The elements of an input that is a constant of the model; `undefined` for a computed one. */
export function parameterNumbers(tensor: TiedTensor | undefined): readonly number[] | undefined {
  return tensor?.isParameter ? knownNumbers(tensor) : undefined;
}

/** The product of sizes; symbolic where at most one symbol and otherwise ones are multiplied. */
export function productOf(context: Pick<InferContext<unknown>, "unknownDim">, dims: Shape): Dim {
  const { size, symbols } = factored(dims);
  if (symbols.length === 0) return size;
  if (size === 0) return 0;
  return symbols.length === 1 && size === 1 ? symbols[0] : context.unknownDim();
}

/** What -1 stands for in a reshape from `from` to the sizes `to`, symbols cancelling. */
export function quotientOf(context: InferContext<unknown>, from: Shape, to: Shape): Dim {
  const numerator = factored(from);
  const denominator = factored(to);
  const rest = [...numerator.symbols];
  for (const symbol of denominator.symbols) {
    const at = rest.indexOf(symbol);
    if (at < 0) return context.unknownDim();
    rest.splice(at, 1);
  }
  const ratio = denominator.size === 0 ? 0 : numerator.size / denominator.size;
  if (rest.length > 1) return context.unknownDim();
  if (rest.length === 1) return ratio === 1 ? rest[0] : context.unknownDim();
  if (!Number.isInteger(ratio))
    context.fail(`[${from.join(", ")}] does not reshape to [${to.join(", ")}] and -1`);
  return ratio;
}

function factored(dims: Shape): { readonly size: number; readonly symbols: readonly string[] } {
  let size = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    if (typeof dim === "number") size *= dim;
    else symbols.push(dim);
  }
  return { size, symbols };
}

/** The sizes as numbers, or `undefined` where one is symbolic. */
export function numericShape(shape: Shape | undefined): readonly number[] | undefined {
  if (shape === undefined) return undefined;
  const sizes = shape.filter((dim) => typeof dim === "number");
  return sizes.length === shape.length ? sizes : undefined;
}

/** Fixes all indices along these axes (along all axes when none are named), for the reason given. */
export function fixAxes<A>(
  t: Ties<A>,
  tensor: TiedTensor | undefined,
  reason: string,
  axes: Iterable<number> = tensor?.shape.keys() ?? [],
): void {
  if (tensor) for (const axis of axes) t.fix(t.ids(tensor, axis), reason);
}

/** Fixes all indices of all inputs and outputs of this node, for the reason given. */
export function fixEverything<A>(t: Ties<A>, reason: string): void {
  for (const tensor of [...t.inputs, ...t.outputs]) fixAxes(t, tensor, reason);
}

/** The batch and channel axes of X and Y line up; the others are positions. */
export function tieWindowed<A>(t: Ties<A>, x: TiedTensor, y: TiedTensor, what: string): void {
  for (let axis = 0; axis < Math.min(2, x.shape.length); axis++) t.define(y, axis, t.ids(x, axis));
  for (let axis = 2; axis < x.shape.length; axis++) {
    t.fix(t.ids(x, axis), `a spatial position under ${what}`);
    t.fix(t.ids(y, axis), `a spatial position of ${what}`);
  }
}

/** Ids laid end to end. */
export function joinedIds(parts: readonly Ids[]): Ids {
  const joined = new Int32Array(parts.reduce((sum, ids) => sum + ids.length, 0));
  let at = 0;
  for (const ids of parts) {
    joined.set(ids, at);
    at += ids.length;
  }
  return joined;
}

/** 0, 1, ..., length - 1. */
export function range(length: number, from = 0): number[] {
  return Array.from({ length }, (_, i) => from + i);
}
