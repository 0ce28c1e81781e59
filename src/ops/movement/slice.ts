/** @file Slice: runs with a step along some axes. */
import { assert } from "../../errors.ts";
import { type HostTensor, tensorOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { placeAlong, throughFirst } from "../operator/cutting.ts";
import type { Value } from "../operator/gradient.ts";
import { fixAxes, knownNumbers, parameterNumbers, range } from "../operator/known.ts";
import {
  defineOp,
  type InferContext,
  noMacs,
  type ShrinkContext,
  type Shrunk,
  type TiedTensor,
} from "../operator/operator.ts";
import { isMovable, rearranged } from "../operator/rearrange.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, mayEqual, normalizeAxis } from "../operator/shapes.ts";
import { pickMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

/** One sliced axis, as the node gives it. */
interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

type Numbers = readonly number[] | undefined;

export const slice = defineOp({
  opType: "Slice",
  summary: "data[start:end:step] along each of `axes`",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape === undefined) return [{ dtype, shape }];
    const axes = slicedAxes(context, shape.length);
    if (axes === undefined) return [{ dtype, shape: shape.map(() => context.unknownDim()) }];
    for (const [i, what] of ["starts", "ends", "axes", "steps"].entries()) {
      const count = context.inputs[i + 1]?.type.shape?.[0] ?? axes.length;
      if (!mayEqual(count, axes.length)) context.fail(`${count} ${what} for ${axes.length} axes`);
    }
    const numbers = [1, 2, 4].map((i) => knownNumbers(context.inputs[i]));
    const [starts, ends, steps] = numbers;
    if (steps?.includes(0)) context.fail("a step is 0");
    const out = [...shape];
    for (const [i, axis] of axes.entries()) {
      const isStepKnown = !context.inputs[4] || steps !== undefined;
      const cut = starts && ends && isStepKnown && cutOf(axis, starts[i], ends[i], steps?.[i]);
      if (!cut) out[axis] = context.unknownDim();
      else if (cut.start !== 0 || cut.end < 2 ** 31 - 1 || cut.step !== 1)
        out[axis] = mapDims(context, [out[axis]], (size) => countOf(cut, size));
    }
    return [{ dtype, shape: out }];
  },

  fold([data, ...bounds]) {
    const cuts = data && cutsOf(bounds.map(asNumbers), bounds.map(Boolean), data.shape);
    if (!data || !cuts || !isMovable(data)) return undefined;
    const positions = data.shape.map((size, axis) => {
      const cut = cuts.find((candidate) => candidate.axis === axis);
      return cut ? positionsOf(cut, size) : range(size);
    });
    const shape = positions.map((indices) => indices.length);
    return [rearranged(data, shape, (at) => at.map((k, axis) => positions[axis][k]))];
  },

  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const bounds = t.inputs.slice(1);
    const cuts = cutsOf(bounds.map(parameterNumbers), bounds.map(Boolean), x.shape);
    if (cuts === undefined) {
      const axes = t.inputs[3] ? parameterNumbers(t.inputs[3]) : range(boundCount(t.inputs[1]));
      const dynamic = axes?.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
      for (let axis = 0; axis < x.shape.length; axis++) {
        if (dynamic && !dynamic.includes(axis)) t.define(y, axis, t.ids(x, axis));
        else {
          t.fix(t.ids(x, axis), "sliced at computed places");
          t.fix(t.ids(y, axis), "sliced at computed places");
        }
      }
      return;
    }
    const real = realCuts(cuts, x.shape);
    if (real.length === 0) t.reshape(y, x);
    else if (real.length === 1)
      t.select(y, x, real[0].axis, positionsOf(real[0], x.shape[real[0].axis]));
    else {
      // Only one axis of a node can become a Gather, so steps beside other cuts stay as they are.
      const stepped = real.filter(({ step }) => step !== 1).map(({ axis }) => axis);
      fixAxes(t, x, "sliced with a step together with other axes", stepped);
      for (let axis = 0; axis < x.shape.length; axis++) {
        const ids = t.ids(x, axis);
        const cut = real.find((candidate) => candidate.axis === axis);
        t.define(y, axis, cut ? Int32Array.from(positionsOf(cut, ids.length), (k) => ids[k]) : ids);
      }
    }
  },

  shrink(context) {
    const [x, ...bounds] = context.inputs;
    const cuts = x && cutsOf(bounds.map(parameterNumbers), bounds.map(Boolean), x.shape);
    return cuts ? shrinkCuts(context, x, cuts) : {};
  },

  moments(context) {
    const [x, ...bounds] = context.inputs;
    const cuts = x && cutsOf(bounds.map(knownNumbers), bounds.map(Boolean), x.shape);
    if (!cuts) return [undefined];
    const cut = cuts.find(({ axis }) => axis === 1);
    const moments = context.moments(0);
    return [cut ? pickMoments(moments, positionsOf(cut, x.shape[1])) : moments];
  },

  macs: noMacs,

  // dX holds dY at the positions that were picked, and zeros elsewhere.
  gradient: throughFirst((dy, { emit, inputs: [x, ...bounds] }) => {
    if (!x) return undefined;
    const numbers = bounds.map((bound) => knownNumbers({ value: bound && emit.known(bound) }));
    const cuts = cutsOf(numbers, bounds.map(Boolean), x.shape);
    assert(cuts !== undefined, "the bounds are known where the sizes are");
    return cuts.reduce<Value | undefined>((part, cut) => {
      const size = x.shape[cut.axis];
      return part && placeAlong(emit, part, cut.axis, positionsOf(cut, size), size);
    }, dy);
  }),
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Bounds for the shrunk input, or the Gather that replaces a slice which no longer has one step. */
function shrinkCuts<A>(context: ShrinkContext<A>, x: TiedTensor, cuts: readonly Cut[]): Shrunk {
  const [y] = context.outputs;
  const rewritten: Cut[] = [];
  for (const cut of cuts) {
    const { axis, step } = cut;
    const keptIn = context.kept(x, axis);
    if (keptIn.length === x.shape[axis]) {
      rewritten.push(cut);
      continue;
    }
    const placeOf = new Map(keptIn.map((index, place) => [index, place]));
    const old = positionsOf(cut, x.shape[axis]);
    const indices = context.kept(y, axis).map((k) => placeOf.get(old[k]) ?? 0);
    if (indices.some((index, i) => i > 0 && index - indices[i - 1] !== step))
      return { gather: { axis, indices } };
    const start = indices[0] ?? 0;
    const end = indices.length === 0 ? start : indices[indices.length - 1] + step;
    // A negative end counts from the back, so an end before the first element is given as one below all elements.
    rewritten.push({ axis, step, start, end: end < 0 ? -keptIn.length - 1 : end });
  }
  if (rewritten.every((cut, i) => cut === cuts[i])) return {};
  const like = (index: number, values: readonly number[]): [number, HostTensor] => {
    const dtype = context.inputs[index]?.dtype ?? "int64";
    return [index, tensorOf(dtype, [values.length], values)];
  };
  return {
    inputs: new Map([
      like(
        1,
        rewritten.map(({ start }) => start),
      ),
      like(
        2,
        rewritten.map(({ end }) => end),
      ),
    ]),
  };
}

/** The cuts that starts, ends, axes and steps give; `undefined` where one of them is not known. */
function cutsOf(
  [starts, ends, axes, steps]: readonly Numbers[],
  [, , hasAxes, hasSteps]: readonly boolean[],
  shape: readonly number[],
): readonly Cut[] | undefined {
  if (!starts || !ends || (hasAxes && !axes) || (hasSteps && !steps)) return undefined;
  return starts.map((start, i) => {
    const axis = axes?.[i] ?? i;
    return cutOf(axis < 0 ? axis + shape.length : axis, start, ends[i], steps?.[i]);
  });
}

function cutOf(axis: number, start: number, end: number, step = 1): Cut {
  return { axis, start, end, step };
}

/** Cuts that leave something out or turn it around. */
function realCuts(cuts: readonly Cut[], shape: readonly number[]): readonly Cut[] {
  return cuts.filter((cut) => {
    const positions = positionsOf(cut, shape[cut.axis]);
    return positions.length < shape[cut.axis] || positions.some((position, i) => position !== i);
  });
}

/** The positions that a cut picks from an axis of `size`; numpy's rules. */
function positionsOf(cut: Cut, size: number): number[] {
  const { first } = resolved(cut, size);
  return Array.from({ length: countOf(cut, size) }, (_, i) => first + i * cut.step);
}

function countOf(cut: Cut, size: number): number {
  const { first, last } = resolved(cut, size);
  return Math.max(0, Math.ceil((last - first) / cut.step));
}

function resolved({ start, end, step }: Cut, size: number) {
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (bound: number, least: number) =>
    Math.min(Math.max(bound < 0 ? bound + size : bound, least), high);
  return { first: clamp(start, Math.max(low, 0)), last: clamp(end, low) };
}

const asNumbers = (value: HostTensor | undefined): Numbers => knownNumbers({ value });

/** The axes that are sliced: named by input 3, or the first ones. */
function slicedAxes(context: InferContext<unknown>, rank: number): Numbers {
  const axes = context.inputs[3];
  if (axes) return knownNumbers(axes)?.map((axis) => normalizeAxis(context, axis, rank));
  const count = context.required(1).type.shape?.[0];
  if (typeof count === "number" && count > rank)
    context.fail(`${count} starts for a tensor of rank ${rank}`);
  return typeof count === "number" ? range(count) : undefined;
}

function boundCount(starts: TiedTensor | undefined): number {
  return starts?.shape[0] ?? 0;
}
