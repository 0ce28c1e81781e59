/** @file Operators that look along one axis: ArgMax, ArgMin, TopK, CumSum, Trilu. */
import { discrete } from "../elementwise/elementwise.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixEverything, knownNumbers } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
  type TiedTensor,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { normalizeAxis } from "../operator/shapes.ts";
import { noWeights } from "../operator/training.ts";

/** All axes of input and outputs line up, but those in `at`, which are fixed. */
function tieAround<A>(t: Ties<A>, x: TiedTensor, at: readonly number[], reason: string): void {
  for (const y of t.outputs) {
    for (const axis of x.shape.keys()) {
      if (!at.includes(axis)) t.define(y, axis, t.ids(x, axis));
      else t.fix(t.ids(y, axis), reason);
    }
  }
  for (const axis of at) t.fix(t.ids(x, axis), reason);
}

const fromFront = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

function argExtreme(opType: string, which: string): Operator {
  return defineOp({
    opType,
    summary: `the index of the ${which} x along axis`,
    attributes: (raw) => ({ axis: raw.int("axis", 0), keepDims: raw.int("keepdims", 1) === 1 }),
    infer(context) {
      const { shape } = context.required(0).type;
      if (shape === undefined) return [{ dtype: "int64", shape }];
      const at = normalizeAxis(context, context.attrs.axis, shape.length);
      return [
        { dtype: "int64", shape: shape.flatMap((dim, i) => (i !== at ? dim : one(context.attrs))) },
      ];
    },
    fold: notFolded,
    ties(t) {
      const [x, y] = [t.input(0), t.output()];
      const reason = `its indices are the answer of ${opType}`;
      t.revives(y);
      if (t.attrs.keepDims) {
        tieAround(t, x, [fromFront(t.attrs.axis, x.shape.length)], reason);
        return;
      }
      const at = fromFront(t.attrs.axis, x.shape.length);
      t.fix(t.ids(x, at), reason);
      for (const axis of x.shape.keys())
        if (axis !== at) t.define(y, axis < at ? axis : axis - 1, t.ids(x, axis));
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
}

const one = ({ keepDims }: { readonly keepDims: boolean }) => (keepDims ? [1] : []);

const topK = defineOp({
  opType: "TopK",
  summary: "the K largest (or smallest) x along axis, and their indices",
  attributes: (raw) => ({ axis: raw.int("axis", -1) }),
  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const count = context.required(1);
    if (shape === undefined)
      return [
        { dtype, shape },
        { dtype: "int64", shape },
      ];
    const at = normalizeAxis(context, context.attrs.axis, shape.length);
    const [k] = knownNumbers(count) ?? [];
    const size = shape[at];
    if (k !== undefined && (k < 0 || (typeof size === "number" && k > size)))
      context.fail(`K is ${k}, the axis has ${size} elements`);
    const out = shape.map((dim, i) => (i === at ? (k ?? context.unknownDim()) : dim));
    return [
      { dtype, shape: out },
      { dtype: "int64", shape: out },
    ];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    tieAround(t, x, [fromFront(t.attrs.axis, x.shape.length)], "ranked by TopK");
    const indices = t.outputs[1];
    if (indices) t.revives(indices);
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  // The gradient of each value goes to the place that it was taken from.
  gradient: {
    rule({ emit, attrs, node, inputs, input, outputs, dy: [dy] }) {
      if (dy === undefined) return [];
      const x = input(0);
      const again = () =>
        emit.ops("TopK", inputs, Object.fromEntries(node.attributes), [true, true])[1];
      const indices = outputs[1] ?? again();
      const zeros = emit.filled(0, x.shape, x.dtype);
      return [emit.op("ScatterElements", [zeros, indices, dy], { axis: attrs.axis })];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

const cumSum = defineOp({
  opType: "CumSum",
  summary: "y_i = Σ x_k over k ≤ i along axis (exclusive and reverse as attributes)",
  attributes: (raw) => ({ exclusive: raw.int("exclusive", 0), reverse: raw.int("reverse", 0) }),
  infer(context) {
    const { type } = context.required(0);
    const [axis] = knownNumbers(context.required(1)) ?? [];
    if (type.shape && axis !== undefined) normalizeAxis(context, axis, type.shape.length);
    return [type];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    const [axis] = knownNumbers(t.inputs[1]) ?? [];
    if (axis === undefined) fixEverything(t, "summed by CumSum over an axis that is not constant");
    else tieAround(t, x, [fromFront(axis, x.shape.length)], "summed up step by step by CumSum");
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  // x_k is part of every sum from k on, so that gradients add up in the other direction.
  gradient: {
    rule: ({ emit, attrs: { exclusive, reverse }, input, gradient }) => [
      emit.op("CumSum", [gradient(), input(1)], { exclusive, reverse: 1 - reverse }),
    ],
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const trilu = defineOp({
  opType: "Trilu",
  summary: "the upper or lower triangle of the last two axes, 0 elsewhere",
  attributes: (raw) => ({ upper: raw.int("upper", 1) }),
  infer(context) {
    const { type } = context.required(0);
    if (type.shape && type.shape.length < 2)
      context.fail(`X has rank ${type.shape.length}, at least 2 expected`);
    return [type];
  },
  fold: notFolded,
  ties(t) {
    const x = t.input(0);
    const rank = x.shape.length;
    tieAround(t, x, [rank - 2, rank - 1], "a row or column of the triangle that Trilu cuts");
  },
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: {
    rule: ({ emit, attrs, inputs: [, k], gradient }) => [
      emit.op("Trilu", k ? [gradient(), k] : [gradient()], attrs),
    ],
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** All operators of this file. */
export const axisOperators: readonly Operator[] = [
  argExtreme("ArgMax", "largest"),
  argExtreme("ArgMin", "smallest"),
  topK,
  cumSum,
  trilu,
];
