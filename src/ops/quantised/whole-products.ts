/**
 * @file Products of whole numbers around zero points: ConvInteger, MatMulInteger, QLinearConv and
 * QLinearMatMul.
 *
 * Their cost and their shapes are known. Nothing that they touch is removed: what a removed channel
 * leaves is the zero point, not 0, and scales belong to whole tensors.
 */
import type { TensorType } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixEverything } from "../operator/known.ts";
import {
  defineOp,
  type InferContext,
  noMoments,
  notFolded,
  type Operator,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { multiplied } from "../products/matmul.ts";
import { type ConvAttributes, convAttributes, convolved } from "../windows/conv.ts";

/** The facets that all operators of this file share. */
const around = {
  fold: notFolded,
  shrink: { none: "nothing that it touches is removed" },
  moments: noMoments,
  gradient: { notDifferentiable: "whole numbers" },
  role: noRole,
  training: { none: "its weights are whole numbers, which are not trained" },
  constantChannels: notFollowed,
  hidesDifferences: false,
} as const;

const convInteger = defineOp<ConvAttributes>({
  opType: "ConvInteger",
  summary: "Conv of x - x_zero_point and w - w_zero_point in whole numbers → int32",
  attributes: convAttributes,
  infer: (context) => [{ dtype: "int32", shape: convolved(context, { x: 0, w: 1, bias: -1 }) }],
  ties: fixAround,
  macs: ({ inputs: [, w], outputs: [y] }) => dotProducts(y, w),
  ...around,
});

const matMulInteger = defineOp({
  opType: "MatMulInteger",
  summary: "MatMul of A - a_zero_point and B - b_zero_point in whole numbers → int32",
  attributes: () => ({}),
  infer: (context) => [{ dtype: "int32", shape: multiplied(context, 0, 1) }],
  ties: fixAround,
  macs: ({ inputs: [a], outputs: [y] }) => rowProducts(y, a),
  ...around,
});

const qLinearConv = defineOp<ConvAttributes>({
  opType: "QLinearConv",
  summary: "Conv of quantised x and w with bias B, quantised again by y_scale and y_zero_point",
  attributes: convAttributes,
  infer: (context) => [
    { dtype: quantisedAs(context), shape: convolved(context, { x: 0, w: 3, bias: 8 }) },
  ],
  ties: fixAround,
  macs: ({ inputs, outputs: [y] }) => dotProducts(y, inputs[3]),
  ...around,
});

const qLinearMatMul = defineOp({
  opType: "QLinearMatMul",
  summary: "MatMul of quantised a and b, quantised again by y_scale and y_zero_point",
  attributes: () => ({}),
  infer: (context) => [{ dtype: quantisedAs(context), shape: multiplied(context, 0, 3) }],
  ties: fixAround,
  macs: ({ inputs: [a], outputs: [y] }) => rowProducts(y, a),
  ...around,
});

function fixAround<A>(t: Ties<A>): void {
  fixEverything(t, `beside ${t.node.opType}, which multiplies whole numbers around a zero point`);
}

/** The element type of the zero point is that of the result. */
function quantisedAs(context: InferContext<unknown>): TensorType["dtype"] {
  return context.required(7).type.dtype;
}

/** Every element of y is a dot product over [C/group, ...k]. */
function dotProducts(y: readonly number[], w: readonly number[] | undefined): number {
  return w === undefined ? 0 : sizeOf(y) * sizeOf(w.slice(1));
}

/** Every element of y is a dot product with a row of a. */
function rowProducts(y: readonly number[], a: readonly number[] | undefined): number {
  return a === undefined ? 0 : sizeOf(y) * (a[a.length - 1] ?? 1);
}

/** Products of whole numbers. */
export const wholeProductOperators: readonly Operator[] = [
  convInteger,
  matMulInteger,
  qLinearConv,
  qLinearMatMul,
];
