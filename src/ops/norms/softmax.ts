/** @file Operators that normalise by all elements along axes: Softmax and its kin, LpNormalization, MVN. */

import { stepwise } from "../elementwise/elementwise.ts";
import { algebraOf } from "../operator/algebra.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import type { GradientRule, Value } from "../operator/gradient.ts";
import { range } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type GradientFacet,
  leavesZero,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
  staysZero,
} from "../operator/operator.ts";
import { noRole, type RoleFacet } from "../operator/role.ts";
import { normalizeAxis } from "../operator/shapes.ts";
import { noWeights } from "../operator/training.ts";

interface SoftmaxAttributes {
  readonly axis: number;
  /** Whether all axes from `axis` on are normalised as one, as before opset 13. */
  readonly flatten: boolean;
}

function softmaxLike(
  opType: string,
  summary: string,
  gradient: GradientFacet<SoftmaxAttributes>,
  role: RoleFacet<SoftmaxAttributes>,
): Operator {
  return defineOp<SoftmaxAttributes>({
    opType,
    summary,
    attributes(raw) {
      const flatten = raw.int("flatten", 0) === 1;
      return { axis: raw.int("axis", flatten ? 1 : -1), flatten };
    },
    infer(context) {
      const { type } = context.required(0);
      const { axis, flatten } = context.attrs;
      // The form before opset 13 splits the shape at `axis`, which may be the end of the shape.
      const atEnd = flatten && axis === type.shape?.length;
      if (type.shape && !atEnd) normalizeAxis(context, axis, type.shape.length);
      return [type];
    },
    fold: notFolded,
    ties(t) {
      const x = t.input(0);
      const rank = x.shape.length;
      t.elementwise(t.outputs, [x], leavesZero);
      for (const axis of normalizedAxes(t.attrs, rank))
        t.fix(t.ids(x, axis), `normalised over by ${opType}`);
    },
    shrink: followsInputs,
    moments: noMoments,
    macs: noMacs,
    gradient,
    role,
    training: noWeights,
    constantChannels: notFollowed,
    hidesDifferences: true,
  });
}

/** The axes over which a node normalises. */
function normalizedAxes({ axis, flatten }: SoftmaxAttributes, rank: number): readonly number[] {
  const at = axis < 0 ? axis + rank : axis;
  return flatten ? range(rank - at, at) : [at];
}

// dX = Y · (dY - Σ dY · Y)
const softmaxGradient: GradientRule<SoftmaxAttributes> = ({ emit, attrs, output, gradient }) => {
  const [y, dy] = [output(), gradient()];
  const shared = emit.sum(emit.mul(dy, y), normalizedAxes(attrs, y.shape.length), true);
  return [emit.mul(y, emit.sub(dy, shared))];
};

// dX = dY - e^Y · Σ dY
const logSoftmaxGradient: GradientRule<SoftmaxAttributes> = ({ emit, attrs, output, gradient }) => {
  const [y, dy] = [output(), gradient()];
  const total = emit.sum(dy, normalizedAxes(attrs, y.shape.length), true);
  return [emit.sub(dy, emit.mul(emit.op("Exp", [y]), total))];
};

/** An index of zeros adds nothing to the norm and stays 0, so indices along the axis may be removed. */
const lpNormalization = defineOp({
  opType: "LpNormalization",
  summary: "y = x / (Σ |x|ᵖ)^(1/p) along axis, p = 1 or 2",
  attributes: (raw) => ({ axis: raw.int("axis", -1), p: raw.int("p", 2) }),
  infer(context) {
    const { type } = context.required(0);
    if (type.shape) normalizeAxis(context, context.attrs.axis, type.shape.length);
    return [type];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    t.elementwise(t.outputs, [x], staysZero);
    t.reads(x, t.attrs.axis < 0 ? t.attrs.axis + x.shape.length : t.attrs.axis);
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  // With n = ‖x‖: dX = (dY - ∂n/∂X · Σ dY · Y) / n, where ∂n/∂X is Y or, for p = 1, sign(X). A zero
  // vector stays one, and has no gradient.
  gradient: {
    rule({ emit, attrs: { axis, p }, input, output, gradient }) {
      const [y, dy] = [output(), gradient()];
      const x = input(0);
      const { sub, mul, div, max, above, sign } = algebraOf(emit, x);
      const norm = emit.op(p === 1 ? "ReduceL1" : "ReduceL2", [x, emit.ints([axis])], {
        keepdims: 1,
      });
      const shared = emit.sum(mul(dy, y), [axis < 0 ? axis + x.shape.length : axis], true);
      const slope = p === 1 ? sign(x) : y;
      return [mul(sub(dy, mul(slope, shared)), div(above(norm), max(norm, 1e-30)))];
    },
  },
  role: { kind: "sample-norm" },
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const meanVarianceNormalization = defineOp({
  opType: "MeanVarianceNormalization",
  summary: "y = (x - mean) / standard deviation, both over axes (default 0, 2, 3)",
  attributes: (raw) => ({ axes: raw.ints("axes") ?? [0, 2, 3] }),
  infer(context) {
    const { type } = context.required(0);
    if (type.shape)
      for (const axis of context.attrs.axes) normalizeAxis(context, axis, type.shape.length);
    return [type];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    t.elementwise(t.outputs, [x], staysZero);
    for (const axis of t.attrs.axes) {
      const ids = t.ids(x, axis < 0 ? axis + x.shape.length : axis);
      t.fix(ids, "averaged over by MeanVarianceNormalization");
    }
  },
  shrink: followsInputs,
  moments(context) {
    const channels = context.outputs[0].shape[1];
    const { axes } = context.attrs;
    if (axes.includes(1) || axes.length !== context.outputs[0].shape.length - 1) return [undefined];
    return [{ mean: new Float64Array(channels), variance: new Float64Array(channels).fill(1) }];
  },
  macs: noMacs,
  // dX = (dY - mean(dY) - Y · mean(dY · Y)) / standard deviation
  gradient: {
    rule({ emit, attrs, input, output, gradient }) {
      const [y, dy] = [output(), gradient()];
      const x = input(0);
      const { add, sub, mul, div, square, apply } = algebraOf(emit, x);
      const mean = (value: Value) =>
        emit.op("ReduceMean", [value, emit.ints(attrs.axes)], { keepdims: 1 });
      const deviation = apply("Sqrt", mean(square(sub(x, mean(x)))));
      const centered = sub(dy, add(mean(dy), mul(y, mean(mul(dy, y)))));
      return [div(centered, add(deviation, 1e-9))];
    },
  },
  role: { kind: "sample-norm" },
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** All operators of this file. */
export const normalizingOperators: readonly Operator[] = [
  softmaxLike(
    "Softmax",
    "e^x / Σ e^x along axis",
    { rule: softmaxGradient },
    ({ axis, flatten }) => ({ kind: "squashing", squashing: "softmax", axis, toEnd: flatten }),
  ),
  softmaxLike(
    "LogSoftmax",
    "x - ln(Σ e^x) along axis",
    { rule: logSoftmaxGradient },
    ({ axis, flatten }) => ({ kind: "squashing", squashing: "log-softmax", axis, toEnd: flatten }),
  ),
  softmaxLike("Hardmax", "1 at the first largest x along axis, 0 elsewhere", stepwise, noRole),
  lpNormalization,
  meanVarianceNormalization,
];
