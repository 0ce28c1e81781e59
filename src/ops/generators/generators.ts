/** @file Operators that make tensors: Constant, ConstantOfShape, Shape, Size, Range, EyeLike, NonZero, OneHot. */
import type { Dim, TensorType } from "../../ir/graph.ts";
import { type DType, isInteger } from "../../tensor/dtype.ts";
import {
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import { discrete } from "../elementwise/elementwise.ts";
import { dtypeAttribute } from "../elementwise/passing.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { isPlain, tensorFrom, wholesOf } from "../operator/fold.ts";
import { unbroadcast, type Value } from "../operator/gradient.ts";
import { fixAxes, knownNumbers, numericShape } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { normalizeAxis, openShape } from "../operator/shapes.ts";
import { noWeights } from "../operator/training.ts";

/** The value of a Constant node, from whichever attribute holds it. */
function constantValue(raw: AttributeReader): HostTensor {
  const tensor = raw.tensor("value");
  if (tensor) return tensor;
  if (raw.has("value_float")) return tensorOf("float32", [], [raw.float("value_float")]);
  if (raw.has("value_int")) return tensorOf("int64", [], [raw.int("value_int")]);
  const floats = raw.floats("value_floats");
  if (floats) return tensorOf("float32", [floats.length], floats);
  const ints = raw.ints("value_ints");
  if (ints) return int64Vector(ints);
  const strings = raw.strings("value_strings");
  if (strings) return { dtype: "string", shape: [strings.length], data: strings };
  if (raw.has("value_string"))
    return { dtype: "string", shape: [], data: [raw.string("value_string")] };
  return raw.fail("it holds none of the values that are understood");
}

const constant = defineOp({
  opType: "Constant",
  summary: "the value of an attribute",
  attributes: (raw) => ({ value: constantValue(raw) }),
  infer: ({ attrs: { value } }) => [{ dtype: value.dtype, shape: value.shape }],
  fold: (_, { value }) => [value],
  ties: () => {},
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: { notDifferentiable: "it has no inputs" },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const constantOfShape = defineOp({
  opType: "ConstantOfShape",
  summary: "a tensor of the given sizes, full of value",
  attributes(raw) {
    const value = raw.tensor("value") ?? tensorOf("float32", [1], [0]);
    if (sizeOf(value.shape) !== 1) raw.fail(`"value" has ${sizeOf(value.shape)} elements`);
    return { value };
  },
  infer(context) {
    const { dtype } = context.attrs.value;
    const sizes = context.required(0);
    const known = knownNumbers(sizes);
    if (known?.some((size) => size < 0)) context.fail(`the sizes are [${known.join(", ")}]`);
    const rank = sizes.type.shape?.[0];
    const open = typeof rank === "number" ? openShape(context, rank) : undefined;
    return [{ dtype, shape: known ?? open }];
  },
  fold(_, { value }, [y]) {
    const shape = numericShape(y.shape);
    if (shape === undefined || !isPlain(y.dtype)) return undefined;
    const [element] = isInteger(y.dtype) ? wholesOf(value) : toNumbers(value);
    return [
      tensorFrom(
        y.dtype,
        shape,
        Array.from({ length: sizeOf(shape) }, () => element),
      ),
    ];
  },
  // All elements are equal, so any of them may go as long as the sizes follow.
  ties(t) {
    const y = t.output();
    t.sizesFrom(0, y, [...y.shape.keys()]);
  },
  shrink(context) {
    const sizes = context.inputs[0];
    if (!sizes?.isParameter) return {};
    return { inputs: new Map([[0, int64Vector(context.shapeOf(context.outputs[0]))]]) };
  },
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

interface ShapeAttributes {
  readonly start: number;
  readonly end: number;
}

/** The part of a shape that Shape returns; both ends are clamped to it. */
function sizesOf<T>(shape: readonly T[], { start, end }: ShapeAttributes): readonly T[] {
  return shape.slice(start, end);
}

const shapeOperator = defineOp<ShapeAttributes>({
  opType: "Shape",
  summary: "the sizes of x from axis start to end",
  attributes: (raw) => ({ start: raw.int("start", 0), end: raw.int("end", 2 ** 31) }),
  infer(context) {
    const { shape } = context.required(0).type;
    const length = shape ? sizesOf(shape, context.attrs).length : context.unknownDim();
    return [{ dtype: "int64", shape: [length] }];
  },
  fold(_, attrs, __, [x]) {
    const asked = x?.shape && sizesOf(x.shape, attrs);
    const known = numericShape(asked);
    return known && [int64Vector(known)];
  },
  // Shape itself ties nothing: the operators that read sizes say which axes they set (`sizesFrom`).
  ties: () => {},
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const size = defineOp({
  opType: "Size",
  summary: "the number of elements of x",
  attributes: () => null,
  infer: () => [{ dtype: "int64", shape: [] }],
  fold(_, __, ___, [x]) {
    const shape = numericShape(x?.shape);
    return shape && [tensorOf("int64", [], [sizeOf(shape)])];
  },
  ties: () => {},
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Number of steps from start to limit; at least 0. */
function rangeLength(context: InferContext<null>): Dim {
  const [start, limit, delta] = [0, 1, 2].map((i) => knownNumbers(context.required(i))?.[0]);
  if (start === undefined || limit === undefined || delta === undefined)
    return context.unknownDim();
  const length = Math.max(Math.ceil((limit - start) / delta), 0);
  if (!Number.isFinite(length)) context.fail(`from ${start} to ${limit} by steps of ${delta}`);
  return length;
}

const range = defineOp({
  opType: "Range",
  summary: "start, start + delta, ... up to but without limit",
  attributes: () => null,
  infer: (context) => [{ dtype: context.required(0).type.dtype, shape: [rangeLength(context)] }],
  fold([start, , delta], _, [y]) {
    const shape = numericShape(y.shape);
    if (!start || !delta || !shape || !isPlain(y.dtype)) return undefined;
    const [from] = isInteger(y.dtype) ? wholesOf(start) : toNumbers(start);
    const [step] = isInteger(y.dtype) ? wholesOf(delta) : toNumbers(delta);
    const at = (i: number) =>
      typeof from === "bigint" ? from + BigInt(i) * BigInt(step) : from + i * Number(step);
    return [
      tensorFrom(
        y.dtype,
        shape,
        Array.from({ length: sizeOf(shape) }, (_unused, i) => at(i)),
      ),
    ];
  },
  ties: (t) => fixAxes(t, t.output(), "counted up by Range"),
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** An optional element type: `undefined` stands for that of the input. */
const optionalDtype = (raw: AttributeReader): { readonly dtype: DType | undefined } => ({
  dtype: raw.has("dtype") ? dtypeAttribute(raw, "dtype") : undefined,
});

const eyeLike = defineOp({
  opType: "EyeLike",
  summary: "ones on a diagonal, zeros elsewhere, in the shape of x",
  attributes: optionalDtype,
  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape && shape.length !== 2) context.fail(`X has rank ${shape.length}, expected 2`);
    return [{ dtype: context.attrs.dtype ?? dtype, shape }];
  },
  fold: notFolded,
  ties(t) {
    for (const tensor of [t.input(0), t.output()])
      fixAxes(t, tensor, "a row or column of an identity matrix");
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** The places of a known tensor that are not 0, as row-major indices. */
function placesOf(x: HostTensor | undefined): readonly number[] | undefined {
  if (x === undefined || !isPlain(x.dtype)) return undefined;
  const elements = toNumbers(x);
  return [...elements.keys()].filter((i) => elements[i] !== 0);
}

const nonZero = defineOp({
  opType: "NonZero",
  summary: "[rank, count]: the indices of all elements that are not 0",
  attributes: () => null,
  infer(context) {
    const { type, value } = context.required(0);
    const count = placesOf(value)?.length ?? context.unknownDim();
    return [{ dtype: "int64", shape: [type.shape?.length ?? context.unknownDim(), count] }];
  },
  fold([x], _, [y]) {
    const places = placesOf(x);
    const shape = numericShape(y.shape);
    if (x === undefined || places === undefined || shape === undefined) return undefined;
    const rows = x.shape.map((size, axis) => {
      const stride = sizeOf(x.shape.slice(axis + 1));
      return places.map((place) => Math.floor(place / stride) % size);
    });
    return [tensorOf("int64", shape, rows.flat())];
  },
  ties(t) {
    for (const tensor of [t.input(0), t.output()])
      fixAxes(t, tensor, "its indices are the answer of NonZero");
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: discrete,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

const oneHot = defineOp({
  opType: "OneHot",
  summary: "indices [...], depth D, values [off, on] → [..., D, ...] with D at axis",
  attributes: (raw) => ({ axis: raw.int("axis", -1) }),
  infer(context): readonly TensorType[] {
    const { shape } = context.required(0).type;
    const [depth] = knownNumbers(context.required(1)) ?? [];
    const { dtype } = context.required(2).type;
    if (shape === undefined) return [{ dtype, shape }];
    const at = normalizeAxis(context, context.attrs.axis, shape.length + 1);
    if (depth !== undefined && depth < 0) context.fail(`depth is ${depth}`);
    return [{ dtype, shape: shape.toSpliced(at, 0, depth ?? context.unknownDim()) }];
  },
  fold: notFolded,
  ties(t) {
    const [indices, y] = [t.input(0), t.output()];
    const at = t.attrs.axis < 0 ? t.attrs.axis + y.shape.length : t.attrs.axis;
    for (const axis of indices.shape.keys())
      t.define(y, axis < at ? axis : axis + 1, t.ids(indices, axis));
    t.fix(t.ids(y, at), "the depth of OneHot");
    t.revives(y);
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  // The gradient of `on` is the sum of dY at the hot places, that of `off` the sum elsewhere.
  gradient: {
    rule({ emit, attrs: { axis }, inputs: [indices, depth], dy: [dy] }) {
      if (dy === undefined) return [];
      const total = (value: Value) => emit.reshape(unbroadcast(emit, value, []), [1]);
      const isOn = emit.op(
        "OneHot",
        [indices, depth, emit.constant(tensorOf(dy.dtype, [2], [0, 1]))],
        { axis },
      );
      const on = total(emit.mul(dy, isOn));
      const off = emit.sub(total(dy), on);
      return [undefined, undefined, emit.op("Concat", [off, on], { axis: 0 })];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

/** All operators of this file. */
export const generatingOperators: readonly Operator[] = [
  constant,
  constantOfShape,
  shapeOperator,
  size,
  range,
  eyeLike,
  nonZero,
  oneHot,
];
