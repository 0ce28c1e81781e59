/** @file Concat: lays tensors end to end along one axis. */
import type { Dim } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { sliceRuns } from "../operator/cutting.ts";
import { concatTensors } from "../operator/fold.ts";
import { joinedIds } from "../operator/known.ts";
import {
  type ConstantChannels,
  type ConstantContext,
  defineOp,
  followsInputs,
  noMacs,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, mayEqual, normalizeAxis } from "../operator/shapes.ts";
import { noWeights } from "../operator/training.ts";

/** The constant channels of all inputs, end to end where channels are what is joined. */
function behindConcat({
  attrs: { axis },
  inputs,
  outputs: [y],
  channels,
}: ConstantContext<{ readonly axis: number }>): ConstantChannels {
  const unknown = new Float64Array(y.shape[1]).fill(Number.NaN);
  if ((axis < 0 ? axis + y.shape.length : axis) !== 1) return unknown;
  const parts = inputs.map((input, i) => {
    const width = input?.shape[1] ?? 0;
    const own = channels(i);
    return own?.length === width ? own : new Float64Array(width).fill(Number.NaN);
  });
  const all = Float64Array.from(parts.flatMap((part) => [...part]));
  return all.length === unknown.length ? all : unknown;
}

export const concat = defineOp({
  opType: "Concat",
  summary: "[.., C₁, ..] + [.., C₂, ..] → [.., C₁ + C₂, ..]",
  attributes: (raw) => ({ axis: raw.int("axis") }),

  infer(context) {
    const inputs = context.inputs.map((_, i) => context.required(i).type);
    const first = context.required(0).type;
    if (first.shape === undefined) return [first];
    const axis = normalizeAxis(context, context.attrs.axis, first.shape.length);
    const shape: Dim[] = [...first.shape];
    for (const [i, input] of inputs.slice(1).entries()) {
      if (input.shape === undefined) return [{ dtype: first.dtype, shape: undefined }];
      if (input.shape.length !== shape.length)
        context.fail(`input ${i + 1} has rank ${input.shape.length}, input 0 has ${shape.length}`);
      for (const [k, dim] of input.shape.entries()) {
        if (k === axis) shape[k] = mapDims(context, [shape[k], dim], (a, b) => a + b);
        else if (!mayEqual(shape[k], dim))
          context.fail(`input ${i + 1} is ${dim} along axis ${k}, input 0 is ${shape[k]}`);
        else if (typeof shape[k] === "string") shape[k] = dim;
      }
    }
    return [{ dtype: first.dtype, shape }];
  },

  fold: (inputs, { axis }) => concatTensors(inputs, axis),

  // Index k of Xᵢ along `axis` is index k + offsetᵢ of Y; every other axis lines up as it is.
  ties(t) {
    const y = t.output();
    const at = t.attrs.axis < 0 ? t.attrs.axis + y.shape.length : t.attrs.axis;
    const inputs = t.inputs.map((_, i) => t.input(i)).filter((x) => sizeOf(x.shape) > 0);
    for (let axis = 0; axis < y.shape.length; axis++) {
      const parts = inputs.map((x) => t.ids(x, axis));
      if (axis === at) t.define(y, axis, joinedIds(parts));
      else {
        for (const ids of parts.slice(1)) t.unite(parts[0], ids);
        t.define(y, axis, parts[0]);
      }
    }
  },

  shrink: followsInputs,

  moments(context) {
    const axis = context.attrs.axis;
    if (axis !== 1 && axis !== 1 - context.outputs[0].shape.length) return [undefined];
    const parts = context.inputs.map((_, i) => context.moments(i));
    const known = parts.filter((part) => part !== undefined);
    if (known.length < parts.length) return [undefined];
    return [
      {
        mean: Float64Array.from(known.flatMap((part) => [...part.mean])),
        variance: Float64Array.from(known.flatMap((part) => [...part.variance])),
      },
    ];
  },

  macs: noMacs,

  // dXᵢ is the run of dY that Xᵢ filled.
  gradient: {
    rule({ emit, attrs, inputs, dy: [dy], needs }) {
      if (!dy) return [];
      const axis = attrs.axis < 0 ? attrs.axis + dy.shape.length : attrs.axis;
      let from = 0;
      return inputs.map((x, i) => {
        const count = x?.shape[axis] ?? 0;
        const start = from;
        from += count;
        return needs(i) ? sliceRuns(emit, dy, [{ axis, start, step: 1, count }]) : undefined;
      });
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: behindConcat,
  hidesDifferences: false,
});
