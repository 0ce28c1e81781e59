/** @file Operators that pass elements on: Identity, Dropout, Cast, CastLike, Clip, PRelu, Where. */
import type { TensorType } from "../ir/graph.ts";
import { type DType, dtypeOfCode, isInteger } from "../tensor/dtype.ts";
import { piecewiseLinearMoments } from "../tensor/gaussian.ts";
import { type HostTensor, toNumbers } from "../tensor/host-tensor.ts";
import type { AttributeReader } from "./attributes.ts";
import { defineElementwise } from "./elementwise.ts";
import { foldElementwise, isPlain, maxWhole, minWhole, tensorFrom, wholesOf } from "./fold.ts";
import { numericShape } from "./known.ts";
import { constantMoments, constantScalar, perChannel } from "./moments.ts";
import {
  defineOp,
  followsInputs,
  noMacs,
  noMoments,
  notFolded,
  notYet,
  type Operator,
} from "./operator.ts";
import { broadcastShapes, mayEqual } from "./shapes.ts";
import { sameMoments } from "./statistics.ts";
import { clipped } from "./unary.ts";

const noAttributes = () => null;

const identity = defineElementwise({
  opType: "Identity",
  summary: "y = x",
  attributes: noAttributes,
  inputs: 1,
  fold: ([x]) => x && [x],
  moments: sameMoments,
  gradient: notYet,
});

/** Inputs beyond the data are scalars: nothing ties to them. */
const dropout = defineOp({
  opType: "Dropout",
  summary: "y = x at inference, mask = all true",
  attributes: noAttributes,
  infer(context) {
    const { type } = context.required(0);
    return [type, { dtype: "bool", shape: type.shape }];
  },
  fold: notFolded,
  ties: (t) => t.elementwise(t.outputs, [t.input(0)]),
  shrink: followsInputs,
  moments: sameMoments,
  macs: noMacs,
  gradient: notYet,
});

/** The element type that an attribute names by its ONNX number. */
export function dtypeAttribute(raw: AttributeReader, name: string): DType {
  const code = raw.int(name);
  return dtypeOfCode(code) ?? raw.fail(`"${name}" is ${code}, which names no element type`);
}

function castTo(x: HostTensor | undefined, type: TensorType): readonly HostTensor[] | undefined {
  const shape = numericShape(type.shape);
  if (x === undefined || shape === undefined || !isPlain(x.dtype) || !isPlain(type.dtype))
    return undefined;
  const scalars = isInteger(x.dtype) ? wholesOf(x) : Array.from(toNumbers(x));
  return [tensorFrom(type.dtype, shape, scalars)];
}

const cast = defineOp({
  opType: "Cast",
  summary: "y = x as element type `to`",
  attributes: (raw) => ({ to: dtypeAttribute(raw, "to") }),
  infer: (context) => [{ dtype: context.attrs.to, shape: context.required(0).type.shape }],
  fold: ([x], _, [y]) => castTo(x, y),
  ties: (t) => t.elementwise(t.outputs, [t.input(0)]),
  shrink: followsInputs,
  moments: sameMoments,
  macs: noMacs,
  gradient: notYet,
});

const castLike = defineOp({
  opType: "CastLike",
  summary: "y = x as the element type of the second input",
  attributes: noAttributes,
  infer: (context) => [
    { dtype: context.required(1).type.dtype, shape: context.required(0).type.shape },
  ],
  fold: ([x], _, [y]) => castTo(x, y),
  ties: (t) => t.elementwise(t.outputs, [t.input(0)]),
  shrink: followsInputs,
  moments: sameMoments,
  macs: noMacs,
  gradient: notYet,
});

const clip = defineOp({
  opType: "Clip",
  summary: "y = min(max(x, min), max); both limits are optional scalars",
  attributes: noAttributes,
  infer: (context) => [context.required(0).type],
  fold([x, low, high], _, [y], [, lowType, highType]) {
    if ((lowType && !low) || (highType && !high)) return undefined;
    const raised = low
      ? foldElementwise([x, low], y, { float: Math.max, whole: maxWhole })
      : x && [x];
    if (!high) return raised;
    return foldElementwise([raised?.[0], high], y, { float: Math.min, whole: minWhole });
  },
  ties: (t) => t.elementwise(t.outputs, [t.input(0)]),
  shrink: followsInputs,
  moments(context) {
    const x = context.moments(0);
    const low = context.inputs[1] ? constantScalar(context, 1) : -Infinity;
    const high = context.inputs[2] ? constantScalar(context, 2) : Infinity;
    if (x === undefined || low === undefined || high === undefined) return [undefined];
    const pieces = clipped(1, 0, low, high);
    return [perChannel(x, (channel) => piecewiseLinearMoments(pieces, channel))];
  },
  macs: noMacs,
  gradient: notYet,
});

const prelu = defineOp({
  opType: "PRelu",
  summary: "y = x < 0 ? slope · x : x; slope broadcasts to the shape of x",
  attributes: noAttributes,
  infer(context) {
    const x = context.required(0).type;
    const slope = context.required(1).type.shape;
    if (x.shape === undefined || slope === undefined) return [x];
    if (slope.length > x.shape.length)
      context.fail(`slope has rank ${slope.length}, X has ${x.shape.length}`);
    const data = x.shape.slice(x.shape.length - slope.length);
    if (slope.some((dim, i) => dim !== 1 && !mayEqual(dim, data[i])))
      context.fail(`slope [${slope.join(", ")}] does not broadcast to [${x.shape.join(", ")}]`);
    return [x];
  },
  fold: notFolded,
  ties: (t) => t.elementwise(t.outputs, [t.input(0), t.input(1)]),
  shrink: followsInputs,
  moments(context) {
    const x = context.moments(0);
    const slope = constantMoments(context, 1);
    if (x === undefined || slope === undefined) return [undefined];
    return [
      perChannel(x, (channel, c) =>
        piecewiseLinearMoments(
          [
            { from: -Infinity, slope: slope.mean[c], intercept: 0 },
            { from: 0, slope: 1, intercept: 0 },
          ],
          channel,
        ),
      ),
    ];
  },
  macs: noMacs,
  gradient: notYet,
});

const where = defineOp({
  opType: "Where",
  summary: "z = condition ? x : y, with broadcasting",
  attributes: noAttributes,
  infer(context) {
    const types = [0, 1, 2].map((i) => context.required(i).type);
    const shapes = types.map(({ shape }) => shape).filter((shape) => shape !== undefined);
    const known = shapes.length === types.length;
    return [{ dtype: types[1].dtype, shape: known ? broadcastShapes(context, shapes) : undefined }];
  },
  fold([condition, x, y], _, [z]) {
    if (condition === undefined) return undefined;
    const scalars = Array.from(toNumbers(condition));
    // As whole numbers, so that an int64 is selected without rounding.
    const selector = tensorFrom("int64", condition.shape, scalars);
    return foldElementwise([selector, x, y], z, {
      whole: (c, a, b) => (c ? a : b),
      float: (c, a, b) => (c ? a : b),
    });
  },
  ties: (t) => t.elementwise(t.outputs, [t.input(0), t.input(1), t.input(2)]),
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: notYet,
});

/** All operators of this file. */
export const passingOperators: readonly Operator[] = [
  identity,
  dropout,
  cast,
  castLike,
  clip,
  prelu,
  where,
];
