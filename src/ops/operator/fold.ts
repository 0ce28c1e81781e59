/** @file Computing small known tensors: the arithmetic behind shapes. */
import { assert } from "../../errors.ts";
import type { TensorType } from "../../ir/graph.ts";
import { bitsOf, type DType, isFloat, isInteger } from "../../tensor/dtype.ts";
import {
  allocate,
  bytesOf,
  type HostTensor,
  isStrings,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import { numericShape } from "./known.ts";

/** Concat of known tensors, or `undefined` when one is not known. */
export function concatTensors(
  inputs: readonly (HostTensor | undefined)[],
  axis: number,
): readonly HostTensor[] | undefined {
  const known = inputs.filter((input) => input !== undefined);
  if (known.length < inputs.length || known.some((input) => !isPlain(input.dtype)))
    return undefined;
  const [first] = known;
  const at = axis < 0 ? axis + first.shape.length : axis;
  const shape = first.shape.map((dim, i) =>
    i === at ? known.reduce((sum, input) => sum + input.shape[at], 0) : dim,
  );
  const out = allocate(first.dtype, sizeOf(shape));
  const target = bytesOf(out);
  const outer = sizeOf(shape.slice(0, at));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data } of known) {
      assert(!isStrings(data), "strings are not plain");
      const run = data.byteLength / outer;
      target.set(bytesOf(data).subarray(o * run, (o + 1) * run), to);
      to += run;
    }
  }
  return [{ dtype: first.dtype, shape, data: out }];
}

/** What an elementwise rule may return: a truth value becomes 0 or 1. */
export type Scalar = number | bigint | boolean;

/** A rule on elements: `whole` for inputs that are all integers, exact; `float` for all others. */
export interface ElementRule {
  readonly float?: ((...elements: number[]) => Scalar) | undefined;
  readonly whole?: ((...elements: bigint[]) => Scalar | undefined) | undefined;
}

/** True for types whose elements are plain numbers in a typed array of their own. */
export function isPlain(dtype: DType): boolean {
  return isFloat(dtype) || dtype === "bool" || (isInteger(dtype) && bitsOf[dtype] >= 8);
}

/** The inputs if all of them are known plain numbers. */
function allKnown(inputs: readonly (HostTensor | undefined)[]): readonly HostTensor[] | undefined {
  const known = inputs.filter((input) => input !== undefined && isPlain(input.dtype));
  return known.length === inputs.length ? known.filter((input) => input !== undefined) : undefined;
}

/** The elements of an integer tensor, exact. */
export function wholesOf({ data }: HostTensor): readonly bigint[] {
  return Array.from<number | bigint | string, bigint>(data, (element) => BigInt(element));
}

/** A tensor of scalars, converted as Cast does: integers wrap, fractions are cut off, NaN is true. */
export function tensorFrom(
  dtype: DType,
  shape: readonly number[],
  scalars: readonly Scalar[],
): HostTensor {
  if (dtype === "bool")
    return tensorOf(
      dtype,
      shape,
      scalars.map((scalar) => (scalar || Number.isNaN(scalar) ? 1 : 0)),
    );
  if (!isInteger(dtype)) return tensorOf(dtype, shape, scalars.map(Number));
  const data = allocate(dtype, sizeOf(shape));
  for (const [i, scalar] of scalars.entries()) {
    const whole = BigInt(typeof scalar === "number" ? Math.trunc(finite(scalar)) : scalar);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = whole;
    else data[i] = Number(BigInt.asIntN(32, whole));
  }
  return { dtype, shape, data };
}

const finite = (x: number): number => (Number.isFinite(x) ? x : 0);

/** Applies a rule with ONNX's broadcasting; `undefined` where an input is unknown or a rule gives up. */
export function foldElementwise(
  inputs: readonly (HostTensor | undefined)[],
  output: TensorType,
  rule: ElementRule,
): readonly HostTensor[] | undefined {
  const known = allKnown(inputs);
  const shape = numericShape(output.shape);
  if (known === undefined || shape === undefined || !isPlain(output.dtype)) return undefined;
  if (known.some((input) => input.shape.length > shape.length)) return undefined;
  const offsets = known.map((input) => broadcastOffsets(input.shape, shape));
  const apply = <T>(
    elements: readonly ArrayLike<T>[],
    f: (...elements: T[]) => Scalar | undefined,
  ) => Array.from({ length: sizeOf(shape) }, applied(elements, offsets, f));
  const { float, whole } = rule;
  let scalars: readonly (Scalar | undefined)[];
  if (whole && known.every(({ dtype }) => isInteger(dtype)))
    scalars = apply(known.map(wholesOf), whole);
  else if (float) scalars = apply(known.map(toNumbers), float);
  else return undefined;
  const all = scalars.filter((scalar) => scalar !== undefined);
  return all.length === scalars.length ? [tensorFrom(output.dtype, shape, all)] : undefined;
}

/** The rule applied at each place. One and two inputs, the usual numbers, make no list of arguments. */
function applied<T>(
  elements: readonly ArrayLike<T>[],
  offsets: readonly Int32Array[],
  f: (...elements: T[]) => Scalar | undefined,
): (_: unknown, i: number) => Scalar | undefined {
  const [a, b] = elements;
  const [atA, atB] = offsets;
  if (elements.length === 1) return (_, i) => f(a[atA[i]]);
  if (elements.length === 2) return (_, i) => f(a[atA[i]], b[atB[i]]);
  return (_, i) => f(...elements.map((list, k) => list[offsets[k][i]]));
}

/** For every element of `to`, the row-major index of the element of `from` that it broadcasts. */
function broadcastOffsets(from: readonly number[], to: readonly number[]): Int32Array {
  const offsets = new Int32Array(sizeOf(to));
  const lead = to.length - from.length;
  for (let i = 0; i < offsets.length; i++) {
    let rest = i;
    let stride = 1;
    for (let axis = to.length - 1; axis >= lead; axis--) {
      const size = from[axis - lead];
      if (size !== 1) offsets[i] += (rest % to[axis]) * stride;
      stride *= size;
      rest = Math.floor(rest / to[axis]);
    }
  }
  return offsets;
}

/** A rule on all elements that are reduced to one. */
export interface ReduceRule {
  readonly float: (elements: readonly number[]) => number;
  readonly whole?: (elements: readonly bigint[]) => bigint | undefined;
}

/** Reduces over `axes` (counted from the front); the output's sizes come with or without them. */
export function foldReduce(
  input: HostTensor,
  axes: readonly number[],
  output: TensorType,
  rule: ReduceRule,
): readonly HostTensor[] | undefined {
  const shape = numericShape(output.shape);
  if (!isPlain(input.dtype) || shape === undefined) return undefined;
  const kept = input.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const offsets = broadcastOffsets(kept, input.shape);
  const collect = <T>(elements: ArrayLike<T>): T[][] => {
    const groups: T[][] = Array.from({ length: sizeOf(kept) }, () => []);
    for (let i = 0; i < offsets.length; i++) groups[offsets[i]].push(elements[i]);
    return groups;
  };
  if (!isInteger(input.dtype)) {
    const values = collect(toNumbers(input)).map((group) => rule.float(group));
    return [tensorFrom(output.dtype, shape, values)];
  }
  const { whole } = rule;
  if (whole === undefined) return undefined;
  const values = collect(wholesOf(input)).map((group) => whole(group));
  const all = values.filter((value) => value !== undefined);
  return all.length === values.length ? [tensorFrom(output.dtype, shape, all)] : undefined;
}

/** The largest of whole numbers. */
export function maxWhole(...elements: readonly bigint[]): bigint {
  let result = elements[0];
  for (const element of elements) if (element > result) result = element;
  return result;
}

/** The smallest of whole numbers. */
export function minWhole(...elements: readonly bigint[]): bigint {
  return -maxWhole(...elements.map((element) => -element));
}
