/** @file Repeating elements: Expand and Tile. */
import { int64Vector } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { throughFirst } from "../operator/cutting.ts";
import { unbroadcast } from "../operator/gradient.ts";
import { knownNumbers, numericShape, parameterNumbers } from "../operator/known.ts";
import { defineOp, noMacs, type Operator } from "../operator/operator.ts";
import { isMovable, rearranged } from "../operator/rearrange.ts";
import { noRole } from "../operator/role.ts";
import { broadcastShapes, mapDims, openShape } from "../operator/shapes.ts";
import { pickMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

const expand = defineOp({
  opType: "Expand",
  summary: "input broadcast against `shape`",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const wanted = context.required(1);
    const target = knownNumbers(wanted);
    if (shape === undefined) return [{ dtype, shape }];
    if (target) return [{ dtype, shape: broadcastShapes(context, [shape, target]) }];
    const length = wanted.type.shape?.[0];
    if (typeof length !== "number") return [{ dtype, shape: undefined }];
    return [{ dtype, shape: openShape(context, Math.max(length, shape.length)) }];
  },

  fold([data], _attrs, [type]) {
    const shape = numericShape(type.shape);
    if (!data || !shape || !isMovable(data)) return undefined;
    const skipped = shape.length - data.shape.length;
    return [
      rearranged(data, shape, (position) =>
        data.shape.map((size, axis) => (size === 1 ? 0 : position[axis + skipped])),
      ),
    ];
  },

  // Along a broadcast axis the same element repeats, so its indices get fresh ids, which later operators may unite.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const skipped = y.shape.length - x.shape.length;
    for (let axis = 0; axis < x.shape.length; axis++)
      if (x.shape[axis] === y.shape[axis + skipped]) t.define(y, axis + skipped, t.ids(x, axis));
    const target = knownNumbers(t.inputs[1]);
    const [length] = t.input(1).shape;
    const axes = Array.from({ length }, (_, k) => {
      const axis = k + y.shape.length - length;
      return target?.[k] === 1 ? -1 : axis;
    });
    t.sizesFrom(1, y, axes);
  },

  shrink(context) {
    const target = parameterNumbers(context.inputs[1]);
    const [y] = context.outputs;
    if (target === undefined) return {};
    const after = context.shapeOf(y);
    const skipped = y.shape.length - target.length;
    const rewritten = target.map((size, k) =>
      size === 1 || after[k + skipped] === y.shape[k + skipped] ? size : after[k + skipped],
    );
    if (rewritten.every((size, k) => size === target[k])) return {};
    return { inputs: new Map([[1, int64Vector(rewritten)]]) };
  },

  moments(context) {
    const x = context.inputs[0]?.shape;
    const y = context.outputs[0].shape;
    const moments = context.moments(0);
    if (!x || !moments || x.length !== y.length) return [undefined];
    const source = Array.from({ length: y[1] }, (_, k) => (x[1] === 1 ? 0 : k));
    return [pickMoments(moments, source)];
  },

  macs: noMacs,
  gradient: throughFirst((dy, { emit, input }) => unbroadcast(emit, dy, input(0).shape)),
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const tile = defineOp({
  opType: "Tile",
  summary: "input repeated repeats[i] times along axis i",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const repeats = knownNumbers(context.required(1));
    if (shape === undefined) return [{ dtype, shape }];
    if (repeats === undefined) return [{ dtype, shape: shape.map(() => context.unknownDim()) }];
    if (repeats.length !== shape.length)
      context.fail(`${repeats.length} repeats for a tensor of rank ${shape.length}`);
    const out = shape.map((dim, axis) =>
      repeats[axis] === 1 ? dim : mapDims(context, [dim], (size) => size * repeats[axis]),
    );
    return [{ dtype, shape: out }];
  },

  fold([data], _attrs, [type]) {
    const shape = numericShape(type.shape);
    if (!data || !shape || !isMovable(data)) return undefined;
    return [rearranged(data, shape, (position) => position.map((k, axis) => k % data.shape[axis]))];
  },

  // The channels repeat end to end. Where a single index is repeated, the copies get ids of their own.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const isRewritten = x.shape.map((size, axis) => size === 1 && y.shape[axis] > 1);
    for (let axis = 0; axis < x.shape.length; axis++) {
      if (isRewritten[axis]) continue;
      const ids = t.ids(x, axis);
      const repeated = Int32Array.from({ length: y.shape[axis] }, (_, k) => ids[k % ids.length]);
      t.define(y, axis, repeated);
    }
    t.sizesFrom(
      1,
      y,
      isRewritten.map((isNew, axis) => (isNew ? axis : -1)),
    );
  },

  shrink(context) {
    const [x, repeats] = context.inputs;
    const count = parameterNumbers(repeats);
    if (!x || count === undefined) return {};
    const after = context.shapeOf(context.outputs[0]);
    const rewritten = count.map((times, axis) =>
      x.shape[axis] === 1 && times > 1 ? after[axis] : times,
    );
    if (rewritten.every((times, axis) => times === count[axis])) return {};
    return { inputs: new Map([[1, int64Vector(rewritten)]]) };
  },

  moments(context) {
    const width = context.inputs[0]?.shape[1];
    const channels = context.outputs[0].shape[1];
    if (width === undefined || channels === undefined) return [undefined];
    const source = Array.from({ length: channels }, (_, k) => k % width);
    return [pickMoments(context.moments(0), source)];
  },

  macs: noMacs,

  // The gradient of an element is the sum over its repetitions: dY as [.., repeats, size, ..], summed over repeats.
  gradient: throughFirst((dy, { emit, input }) => {
    const { shape } = input(0);
    const apart = shape.flatMap((size, axis) => [dy.shape[axis] / size, size]);
    const repeats = shape.map((_, axis) => 2 * axis).filter((axis) => apart[axis] !== 1);
    return emit.reshape(emit.sum(emit.reshape(dy, apart), repeats), shape);
  }),
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Operators that repeat elements. */
export const repeatOperators: readonly Operator[] = [expand, tile];
