/** @file Transpose: the axes in another order. */

import { notFollowed } from "../operator/constant-channels.ts";
import { throughFirst } from "../operator/cutting.ts";
import { defineOp, followsInputs, type InferContext, noMacs } from "../operator/operator.ts";
import { isMovable, rearranged } from "../operator/rearrange.ts";
import { noWeights } from "../operator/training.ts";

interface TransposeAttributes {
  readonly permutation: readonly number[] | undefined;
}

export const transpose = defineOp<TransposeAttributes>({
  opType: "Transpose",
  summary: "output axis i is input axis perm[i] (default: all axes reversed)",
  attributes: (raw) => ({ permutation: raw.ints("perm") }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    if (shape === undefined) return [{ dtype, shape }];
    const permutation = checked(context, shape.length);
    return [{ dtype, shape: permutation.map((axis) => shape[axis]) }];
  },

  fold([data], attrs) {
    if (data === undefined || !isMovable(data)) return undefined;
    const permutation = permutationOf(attrs, data.shape.length);
    const shape = permutation.map((axis) => data.shape[axis]);
    const inverse = shape.map((_, axis) => permutation.indexOf(axis));
    return [rearranged(data, shape, (position) => inverse.map((to) => position[to]))];
  },

  ties(t) {
    const x = t.input(0);
    t.transpose(t.output(), x, permutationOf(t.attrs, x.shape.length));
  },

  shrink: followsInputs,

  // Statistics live on axis 1; they survive where that axis stays in its place.
  moments(context) {
    const rank = context.inputs[0]?.shape.length ?? 0;
    return [permutationOf(context.attrs, rank)[1] === 1 ? context.moments(0) : undefined];
  },

  macs: noMacs,
  // dX is dY transposed by the inverse permutation.
  gradient: throughFirst((dy, { emit, attrs }) => {
    const permutation = permutationOf(attrs, dy.shape.length);
    return emit.transpose(
      dy,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    );
  }),
  role: { kind: "rearranging", how: "transposed", sizesInput: undefined },
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

function permutationOf({ permutation }: TransposeAttributes, rank: number): readonly number[] {
  return permutation ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
}

function checked(context: InferContext<TransposeAttributes>, rank: number): readonly number[] {
  const permutation = permutationOf(context.attrs, rank);
  if (permutation.length !== rank || [...permutation].sort((a, b) => a - b).some((p, i) => p !== i))
    context.fail(`perm [${permutation.join(", ")}] is no permutation of ${rank} axes`);
  return permutation;
}
