/** @file Pad: new positions around a tensor (constant, or mirrored, repeated, wrapped content). */
import { assert } from "../../errors.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { padZeros, placeAlong } from "../operator/cutting.ts";
import type { Emitter, Value } from "../operator/gradient.ts";
import { joinedIds, knownNumbers, parameterNumbers, range } from "../operator/known.ts";
import {
  defineOp,
  type InferContext,
  type MomentContext,
  type Moments,
  noMacs,
  notFolded,
  type TiedTensor,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, normalizeAxis } from "../operator/shapes.ts";
import { noWeights } from "../operator/training.ts";

interface PadAttributes {
  readonly mode: string;
  readonly isConstant: boolean;
}

/** What is added before and after one axis; negative where positions are cut off. */
interface Margin {
  readonly before: number;
  readonly after: number;
}

export const pad = defineOp<PadAttributes>({
  opType: "Pad",
  summary: "pads[i] positions before and pads[i + n] after each axis; negative ones cut off",
  attributes(raw) {
    const mode = raw.string("mode", "constant");
    if (!["constant", "reflect", "edge", "wrap"].includes(mode))
      raw.fail(`mode "${mode}" is not one of constant, reflect, edge, wrap`);
    return { mode, isConstant: mode === "constant" };
  },

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape === undefined) return [{ dtype, shape }];
    const pads = knownNumbers(context.required(1));
    const margins = marginsOf(pads, axesFor(context, shape.length), shape.length);
    if (margins === undefined) return [{ dtype, shape: shape.map(() => context.unknownDim()) }];
    const out = margins.map(({ before, after }, axis) => {
      if (before === 0 && after === 0) return shape[axis];
      return mapDims(context, [shape[axis]], (size) => {
        const padded = size + before + after;
        return padded < 0 ? context.fail(`pads leave a size of ${padded}`) : padded;
      });
    });
    return [{ dtype, shape: out }];
  },

  fold: notFolded,

  // New positions get ids of their own, which later operators (an Add, say) may unite with others.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const value = t.inputs[2];
    if (value !== undefined && knownNumbers(value)?.[0] !== 0) t.revives(y);
    const margins = tiedMargins(t.inputs, x.shape.length);
    for (let axis = 0; axis < x.shape.length; axis++) {
      const ids = t.ids(x, axis);
      const margin = margins?.[axis];
      if (margin?.before === 0 && margin.after === 0) t.define(y, axis, ids);
      else if (margin && t.attrs.isConstant) {
        const [first, last] = [Math.max(0, -margin.before), ids.length + Math.min(0, margin.after)];
        t.define(
          y,
          axis,
          joinedIds([
            t.fresh(Math.max(0, margin.before)),
            ids.slice(first, last),
            t.fresh(Math.max(0, margin.after)),
          ]),
        );
      } else {
        const reason = margin ? "padded with its own elements" : "padded by computed amounts";
        t.fix(ids, reason);
        t.fix(t.ids(y, axis), reason);
      }
    }
  },

  shrink(context) {
    const [x, pads, , axes] = context.inputs;
    const [y] = context.outputs;
    const margins = x && tiedMargins(context.inputs, x.shape.length);
    if (!margins || !pads) return {};
    const shrunk = margins.map(({ before, after }, axis): Margin => {
      const inX = context.kept(x, axis);
      const inY = context.kept(y, axis);
      const [size, end] = [x.shape[axis], y.shape[axis] - after];
      return {
        before:
          before > 0
            ? inY.filter((k) => k < before).length
            : -inX.filter((k) => k < -before).length,
        after:
          after > 0
            ? inY.filter((k) => k >= end).length
            : -inX.filter((k) => k >= size + after).length,
      };
    });
    const same = shrunk.every(
      ({ before, after }, i) => before === margins[i].before && after === margins[i].after,
    );
    if (same) return {};
    const order = axes ? normalized(parameterNumbers(axes) ?? [], x.shape.length) : x.shape.keys();
    const listed = [...order].map((axis) => shrunk[axis]);
    const values = [...listed.map((m) => m.before), ...listed.map((m) => m.after)];
    // Adding 0 makes 0 of -0.
    const whole = values.map((value) => value + 0);
    return { inputs: new Map([[1, tensorOf(pads.dtype, [whole.length], whole)]]) };
  },

  // Padded positions are ignored, as borders are elsewhere; padded channels hold the constant.
  moments(context) {
    const [x] = context.inputs;
    const [y] = context.outputs;
    const moments = context.moments(0);
    const margin = x && tiedMargins(context.inputs, x.shape.length)?.[1];
    if (!x || !moments || !margin) return [undefined];
    if (margin.before === 0 && margin.after === 0) return [moments];
    return [context.attrs.isConstant ? paddedMoments(context, moments, margin, y) : undefined];
  },

  macs: noMacs,

  gradient: {
    rule(context) {
      const {
        emit,
        attrs,
        inputs,
        dy: [dy],
      } = context;
      if (!dy) return [];
      const [x, pads, axes] = [context.input(0), context.input(1), inputs[3]];
      const rank = x.shape.length;
      const numbers = (value: Value | undefined) =>
        knownNumbers({ value: value && emit.known(value) });
      const margins = marginsOf(numbers(pads), axes ? numbers(axes) : range(rank), rank);
      assert(margins !== undefined, "the pads are known where the sizes are");
      if (!attrs.isConstant)
        return [context.needs(0) ? unfolded(emit, dy, x, margins, attrs) : undefined];
      // For dX, the positions that were added are cut off, and those that were cut off get zeros.
      const dx = padZeros(
        emit,
        dy,
        margins.map(({ before }) => -before),
        margins.map(({ after }) => -after),
      );
      const all = (value: Value) => emit.sum(value, range(rank));
      const dValue = () => emit.reshape(emit.sub(all(dy), all(dx)), inputs[2]?.shape ?? []);
      return [
        context.needs(0) ? dx : undefined,
        undefined,
        context.needs(2) ? dValue() : undefined,
      ];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Every new position gives its gradient to the element that it repeats. */
function unfolded(
  emit: Emitter,
  dy: Value,
  x: Value,
  margins: readonly Margin[],
  { mode }: PadAttributes,
): Value | undefined {
  return margins.reduce<Value | undefined>((part, { before }, axis) => {
    const size = x.shape[axis];
    const sources = range(dy.shape[axis], -before).map((k) => sourceOf(mode, k, size));
    return part && placeAlong(emit, part, axis, sources, size);
  }, dy);
}

/** The position that position `k`, which may lie outside an axis of `size`, repeats. */
function sourceOf(mode: string, k: number, size: number): number {
  const modulo = (n: number) => ((k % n) + n) % n;
  if (mode === "edge") return Math.min(Math.max(k, 0), size - 1);
  if (mode === "wrap") return modulo(size);
  const there = modulo(Math.max(1, 2 * (size - 1)));
  return Math.min(there, 2 * (size - 1) - there);
}

function paddedMoments(
  context: MomentContext<PadAttributes>,
  { mean, variance }: Moments,
  { before }: Margin,
  y: TiedTensor,
): Moments {
  const constant = context.numbers(2)?.[0] ?? 0;
  const source = range(y.shape[1]).map((k) => k - before);
  return {
    mean: Float64Array.from(source, (k) => mean[k] ?? constant),
    variance: Float64Array.from(source, (k) => variance[k] ?? 0),
  };
}

function normalized(axes: readonly number[], rank: number): readonly number[] {
  return axes.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** The margins of every axis; `undefined` where they are not known. */
function marginsOf(
  pads: readonly number[] | undefined,
  axes: readonly number[] | undefined,
  rank: number,
): readonly Margin[] | undefined {
  if (pads === undefined || axes === undefined) return undefined;
  const places = normalized(axes, rank);
  return range(rank).map((axis) => {
    const at = places.indexOf(axis);
    if (at < 0) return { before: 0, after: 0 };
    return { before: pads[at], after: pads[at + axes.length] };
  });
}

function axesFor(context: InferContext<PadAttributes>, rank: number) {
  const given = context.inputs[3];
  const axes = given ? knownNumbers(given) : range(rank);
  const count = context.required(1).type.shape?.[0];
  if (axes && typeof count === "number" && count !== 2 * axes.length)
    context.fail(`${count} pads for ${axes.length} axes`);
  return axes?.map((axis) => normalizeAxis(context, axis, rank));
}

function tiedMargins(
  [, pads, , axes]: readonly (TiedTensor | undefined)[],
  rank: number,
): readonly Margin[] | undefined {
  const named = axes ? parameterNumbers(axes) : range(rank);
  return marginsOf(parameterNumbers(pads), named && normalized(named, rank), rank);
}
