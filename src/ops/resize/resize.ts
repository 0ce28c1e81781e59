/** @file Changing the resolution: Resize (nearest, linear, cubic) and GridSample. */
import type { Dim } from "../../ir/graph.ts";
import { int64Vector } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixAxes, knownNumbers, parameterNumbers, range, tieWindowed } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  noMacs,
  noMoments,
  notFolded,
  type Operand,
  type Operator,
  type TiedTensor,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, normalizeAxis } from "../operator/shapes.ts";
import { sameMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";
import { interpolationOf } from "./interpolation.ts";
import { type ResizeAttributes, resizeGradient } from "./resize-gradient.ts";

const resize = defineOp<ResizeAttributes>({
  opType: "Resize",
  summary: "X interpolated to size·scale, or to the given sizes, along `axes`",
  attributes: (raw) => ({
    ...interpolationOf(raw),
    axes: raw.ints("axes"),
    policy: raw.string("keep_aspect_ratio_policy", "stretch"),
    isCropped: raw.string("coordinate_transformation_mode", "") === "tf_crop_and_resize",
  }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape === undefined) return [{ dtype, shape }];
    const { attrs } = context;
    const axes = attrs.axes
      ? attrs.axes.map((axis) => normalizeAxis(context, axis, shape.length))
      : range(shape.length);
    const [roi, scales, sizes] = [1, 2, 3].map((i) => present(context.inputs[i]));
    if (!scales && !sizes) context.fail("has neither scales nor sizes");
    const factors = sizes ? undefined : knownNumbers(scales);
    const targets = knownNumbers(sizes);
    const given = targets ?? factors;
    if (given && given.length !== axes.length)
      context.fail(`${given.length} scales or sizes for ${axes.length} axes`);
    const window = attrs.isCropped ? knownNumbers(roi) : undefined;
    const out = [...shape];
    const stretched = targets && ratioKept(context, axes, targets);
    for (const [i, axis] of axes.entries()) {
      if (stretched) out[axis] = stretched[i];
      else if (factors && (!attrs.isCropped || window)) {
        const part = window ? window[i + axes.length] - window[i] : 1;
        if (factors[i] * part === 1) continue;
        out[axis] = mapDims(context, [shape[axis]], (size) =>
          // Runtimes multiply in float32, where 10 * 0.7 is 7.
          Math.floor(Math.fround(Math.fround(size * part) * factors[i])),
        );
      } else out[axis] = context.unknownDim();
    }
    return [{ dtype, shape: out }];
  },

  fold: notFolded,

  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const { axes, isCropped } = t.attrs;
    // Places beyond the crop hold a number that an attribute gives.
    if (isCropped) t.revives(y);
    const named = axes?.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
    const isResized = x.shape.map(
      (size, axis) =>
        (named?.includes(axis) ?? true) &&
        (size !== y.shape[axis] || (isCropped && axis > 1) || !isUnscaled(t.inputs, axis, named)),
    );
    for (let axis = 0; axis < x.shape.length; axis++) {
      if (isResized[axis]) {
        t.fix(t.ids(x, axis), "a position that is resized");
        t.fix(t.ids(y, axis), "a position that is resized");
      } else t.define(y, axis, t.ids(x, axis));
    }
    const sizes = t.inputs[3];
    if (sizes && sizes.shape[0] > 0) {
      const order = named ?? range(x.shape.length);
      t.sizesFrom(
        3,
        y,
        order.map((axis) => (isResized[axis] ? -1 : axis)),
      );
    }
  },

  shrink(context) {
    const [x, , , sizes] = context.inputs;
    const [y] = context.outputs;
    const target = parameterNumbers(sizes);
    if (!x || !target || target.length === 0) return {};
    const order = context.attrs.axes ?? range(x.shape.length);
    const after = context.shapeOf(y);
    const rewritten = order.map((axis, i) => {
      const at = axis < 0 ? axis + x.shape.length : axis;
      return after[at] === y.shape[at] ? target[i] : after[at];
    });
    if (rewritten.every((size, i) => size === target[i])) return {};
    return { inputs: new Map([[3, int64Vector(rewritten)]]) };
  },

  // Interpolation keeps the mean. That it smooths, which lowers the variance, is ignored.
  moments: sameMoments,
  macs: noMacs,
  gradient: resizeGradient,
  role: { kind: "rearranging", how: "interpolated", sizesInput: undefined },
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** An optional input that is there; older files give an empty tensor for "absent". */
function present(operand: Operand | undefined): Operand | undefined {
  return operand?.type.shape?.[0] === 0 ? undefined : operand;
}

/** Whether an axis whose size stays is left alone: its scale is known to be 1. */
function isUnscaled(
  [, , scales, sizes]: readonly (TiedTensor | undefined)[],
  axis: number,
  named: readonly number[] | undefined,
): boolean {
  if (sizes && sizes.shape[0] > 0) return true;
  return parameterNumbers(scales)?.[named ? named.indexOf(axis) : axis] === 1;
}

/** The sizes that a request for `targets` gives under keep_aspect_ratio_policy. */
function ratioKept(
  context: InferContext<ResizeAttributes>,
  axes: readonly number[],
  targets: readonly number[],
): readonly Dim[] {
  const { policy } = context.attrs;
  if (policy === "stretch") return targets;
  const shape = context.required(0).type.shape ?? [];
  const involved = axes.map((axis) => shape[axis]);
  const choose = policy === "not_larger" ? Math.min : Math.max;
  return axes.map((_, i) =>
    mapDims(context, involved, (...sizes) => {
      const scale = choose(...targets.map((target, k) => target / sizes[k]));
      return Math.floor(scale * sizes[i] + 0.5);
    }),
  );
}

const gridSample = defineOp({
  opType: "GridSample",
  summary:
    "X [N, C, ...], grid [N, ...out, r] → Y [N, C, ...out]: X interpolated at the grid's places",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const grid = context.required(1).type.shape;
    if (shape === undefined || grid === undefined) return [{ dtype, shape: undefined }];
    if (grid.length !== shape.length)
      context.fail(`grid has rank ${grid.length}, X has rank ${shape.length}`);
    return [{ dtype, shape: [...shape.slice(0, 2), ...grid.slice(1, -1)] }];
  },

  fold: notFolded,

  ties(t) {
    tieWindowed(t, t.input(0), t.output(), "a sampled grid");
    fixAxes(t, t.inputs[1], "the places of a sampled grid");
  },

  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: { notDifferentiable: "it samples at computed places; there is no rule for it" },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Operators that change the resolution. */
export const resizeOperators: readonly Operator[] = [gridSample, resize];
