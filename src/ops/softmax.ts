/** @file Operators that normalise by all elements along axes: Softmax and its kin, LpNormalization, MVN. */
import {
  defineOp,
  followsInputs,
  noMacs,
  noMoments,
  notFolded,
  notYet,
  type Operator,
} from "./operator.ts";
import { normalizeAxis } from "./shapes.ts";

interface SoftmaxAttributes {
  readonly axis: number;
  /** Before opset 13: all axes from `axis` on were normalised as one. */
  readonly flatten: boolean;
}

function softmaxLike(opType: string, summary: string): Operator {
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
      // The old form splits the shape at `axis`, and may split it at its end.
      const atEnd = flatten && axis === type.shape?.length;
      if (type.shape && !atEnd) normalizeAxis(context, axis, type.shape.length);
      return [type];
    },
    fold: notFolded,
    ties(t) {
      const x = t.input(0);
      const rank = x.shape.length;
      const at = t.attrs.axis < 0 ? t.attrs.axis + rank : t.attrs.axis;
      t.elementwise(t.outputs, [x]);
      for (let axis = at; axis < (t.attrs.flatten ? rank : at + 1); axis++)
        t.fix(t.ids(x, axis), `normalised over by ${opType}`);
    },
    shrink: followsInputs,
    moments: noMoments,
    macs: noMacs,
    gradient: opType === "Hardmax" ? { notDifferentiable: "its output is 0 or 1" } : notYet,
  });
}

/** A zeroed index adds nothing to the norm and stays 0, so this is no barrier. */
const lpNormalization = defineOp({
  opType: "LpNormalization",
  summary: "y = x / (Σ |x|ᵖ)^(1/p) along axis, p = 1 or 2",
  attributes: (raw) => ({ axis: raw.int("axis", -1) }),
  infer(context) {
    const { type } = context.required(0);
    if (type.shape) normalizeAxis(context, context.attrs.axis, type.shape.length);
    return [type];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    t.elementwise(t.outputs, [x]);
    t.reads(x, t.attrs.axis < 0 ? t.attrs.axis + x.shape.length : t.attrs.axis);
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: notYet,
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
    t.elementwise(t.outputs, [x]);
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
  gradient: notYet,
});

/** All operators of this file. */
export const normalizingOperators: readonly Operator[] = [
  softmaxLike("Softmax", "e^x / Σ e^x along axis"),
  softmaxLike("LogSoftmax", "x - ln(Σ e^x) along axis"),
  softmaxLike("Hardmax", "1 at the first largest x along axis, 0 elsewhere"),
  lpNormalization,
  meanVarianceNormalization,
];
