/** @file Operators that give a tensor a new shape in the same order: Reshape, Flatten, Squeeze, Unsqueeze. */
import type { Dim, Shape } from "../../ir/graph.ts";
import { int64Vector, sizeOf } from "../../tensor/host-tensor.ts";
import { throughFirst } from "../operator/cutting.ts";
import {
  knownNumbers,
  numericShape,
  parameterNumbers,
  productOf,
  quotientOf,
} from "../operator/known.ts";
import {
  type ConstantChannels,
  type ConstantContext,
  defineOp,
  type Fold,
  followsInputs,
  type InferContext,
  noMacs,
  type Operator,
} from "../operator/operator.ts";
import { reshaped } from "../operator/rearrange.ts";
import { inOrder } from "../operator/role.ts";
import { normalizeAxis, openShape } from "../operator/shapes.ts";
import { reshapedMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

const foldReshape: Fold<unknown> = ([data], _attrs, [type]) => {
  const shape = numericShape(type.shape);
  return data && shape && [reshaped(data, shape)];
};

/** dX is dY in X's shape. */
const inOldShape = throughFirst((dy, { emit, input }) => emit.reshape(dy, input(0).shape));

/** [N, C, ...] becomes [N, C · rest], or gets other axes behind the channels. */
function behindReshape({
  inputs: [x],
  outputs: [y],
  channels,
}: ConstantContext<unknown>): ConstantChannels | undefined {
  const own = channels(0);
  if (x === undefined || own === undefined) return undefined;
  const [from, to] = [x.shape, y.shape];
  if (from[0] !== to[0] || from[1] !== own.length) return undefined;
  if (to[1] === from[1]) return own;
  const inner = sizeOf(from.slice(2));
  if (to.length !== 2 || to[1] !== own.length * inner) return undefined;
  return Float64Array.from({ length: to[1] }, (_, i) => own[Math.floor(i / inner)]);
}

const reshape = defineOp({
  opType: "Reshape",
  summary: "data in a new shape; 0 copies a size (unless allowzero), -1 stands for the rest",
  attributes: (raw) => ({ allowZero: raw.int("allowzero", 0) !== 0 }),

  infer(context) {
    const { dtype, shape: from } = context.required(0).type;
    const wanted = context.required(1);
    const target = knownNumbers(wanted);
    if (target === undefined) {
      const rank = wanted.type.shape?.[0];
      const shape = typeof rank === "number" ? openShape(context, rank) : undefined;
      return [{ dtype, shape }];
    }
    if (target.filter((size) => size === -1).length > 1) context.fail("-1 occurs twice");
    const sizes = target.map((size, i): Dim => {
      if (size < -1) context.fail(`the shape has a size of ${size}`);
      if (size !== 0 || context.attrs.allowZero) return size;
      if (from && i >= from.length) context.fail(`0 at ${i} copies a size that data does not have`);
      return from?.[i] ?? context.unknownDim();
    });
    const at = target.indexOf(-1);
    if (at >= 0) {
      const others = sizes.filter((_, i) => i !== at);
      sizes[at] = from ? quotientOf(context, from, others) : context.unknownDim();
    }
    checkSameSize(context, from, sizes);
    return [{ dtype, shape: sizes }];
  },

  fold: foldReshape,

  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    t.reshape(y, x);
    const target = knownNumbers(t.inputs[1]);
    // -1 follows by itself, and so does a 0 that copies the size of the same axis.
    const isSame = (k: number) =>
      x.shape.length > k && y.shape.slice(0, k + 1).every((size, i) => size === x.shape[i]);
    const follows = (size: number | undefined, k: number) =>
      size === -1 || (size === 0 && !t.attrs.allowZero && isSame(k));
    t.sizesFrom(
      1,
      y,
      y.shape.map((_, k) => (follows(target?.[k], k) ? -1 : k)),
    );
  },

  shrink(context) {
    const [x, shape] = context.inputs;
    const [y] = context.outputs;
    const target = parameterNumbers(shape);
    if (!x || target === undefined) return {};
    const before = y.shape;
    const from = context.shapeOf(x);
    const to = context.shapeOf(y);
    const rewritten = target.map((size, k) => {
      if (size === -1) return size;
      if (size === 0 && !context.attrs.allowZero) return from[k] === to[k] ? size : to[k];
      return before[k] === to[k] ? size : to[k];
    });
    if (rewritten.every((size, k) => size === target[k])) return {};
    return { inputs: new Map([[1, int64Vector(rewritten)]]) };
  },

  moments: reshapedMoments,
  macs: noMacs,
  gradient: inOldShape,
  role: { kind: "rearranging", how: "in-order", sizesInput: 1 },
  training: noWeights,
  constantChannels: behindReshape,
  hidesDifferences: false,
});

const flatten = defineOp({
  opType: "Flatten",
  summary: "[d₀, .., dₙ] → [d₀ ⋯ d₍axis-1₎, d₍axis₎ ⋯ dₙ]",
  attributes: (raw) => ({ axis: raw.int("axis", 1) }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape === undefined)
      return [{ dtype, shape: [context.unknownDim(), context.unknownDim()] }];
    const { axis } = context.attrs;
    const at = axis === shape.length ? axis : normalizeAxis(context, axis, shape.length);
    return [
      {
        dtype,
        shape: [productOf(context, shape.slice(0, at)), productOf(context, shape.slice(at))],
      },
    ];
  },

  fold: foldReshape,
  ties: (t) => t.reshape(t.output(), t.input(0)),
  shrink: followsInputs,
  moments: reshapedMoments,
  macs: noMacs,
  gradient: inOldShape,
  role: inOrder,
  training: noWeights,
  constantChannels: behindReshape,
  hidesDifferences: false,
});

const squeeze = defineOp({
  opType: "Squeeze",
  summary: "without the axes `axes` of size 1 (all of them, when none are named)",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const given = context.inputs[1];
    const axes = knownNumbers(given);
    if (shape === undefined || (given && axes === undefined)) return [{ dtype, shape: undefined }];
    if (axes === undefined) {
      // Which axes vanish depends on every size.
      if (numericShape(shape) === undefined) return [{ dtype, shape: undefined }];
      return [{ dtype, shape: shape.filter((dim) => dim !== 1) }];
    }
    const gone = axes.map((axis) => normalizeAxis(context, axis, shape.length));
    for (const axis of gone) {
      const dim = shape[axis];
      if (typeof dim === "number" && dim !== 1) context.fail(`axis ${axis} has size ${dim}, not 1`);
    }
    return [{ dtype, shape: shape.filter((_, i) => !gone.includes(i)) }];
  },

  fold: foldReshape,
  ties: (t) => t.reshape(t.output(), t.input(0)),

  // Without axes, an axis that shrank to 1 would vanish as well: name those that did before.
  shrink(context) {
    const [x, axes] = context.inputs;
    if (!x || axes) return {};
    const isNewOne = context.shapeOf(x).some((size, i) => size === 1 && x.shape[i] !== 1);
    if (!isNewOne) return {};
    const ones = [...x.shape.keys()].filter((i) => x.shape[i] === 1);
    return { inputs: new Map([[1, int64Vector(ones)]]) };
  },

  moments: reshapedMoments,
  macs: noMacs,
  gradient: inOldShape,
  role: inOrder,
  training: noWeights,
  constantChannels: behindReshape,
  hidesDifferences: false,
});

const unsqueeze = defineOp({
  opType: "Unsqueeze",
  summary: "with new axes of size 1 at the places `axes` of the output",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const axes = knownNumbers(context.required(1));
    if (shape === undefined || axes === undefined) return [{ dtype, shape: undefined }];
    const rank = shape.length + axes.length;
    const places = new Set(axes.map((axis) => normalizeAxis(context, axis, rank)));
    if (places.size < axes.length) context.fail(`axes [${axes.join(", ")}] name one twice`);
    const rest = shape.values();
    const out = Array.from({ length: rank }, (_, i): Dim => {
      if (places.has(i)) return 1;
      return rest.next().value ?? 1; // `rest` has exactly the places that are left
    });
    return [{ dtype, shape: out }];
  },

  fold: foldReshape,
  ties: (t) => t.reshape(t.output(), t.input(0)),
  shrink: followsInputs,
  moments: reshapedMoments,
  macs: noMacs,
  gradient: inOldShape,
  role: inOrder,
  training: noWeights,
  constantChannels: behindReshape,
  hidesDifferences: false,
});

/** Fails where both sizes are known and differ. */
function checkSameSize(context: InferContext<unknown>, from: Shape | undefined, to: Shape): void {
  const before = numericShape(from);
  const after = numericShape(to);
  if (before && after && before.reduce((a, b) => a * b, 1) !== after.reduce((a, b) => a * b, 1))
    context.fail(`[${before.join(", ")}] does not reshape to [${after.join(", ")}]`);
}

/** Operators that change the shape alone. */
export const reshapeOperators: readonly Operator[] = [flatten, reshape, squeeze, unsqueeze];
