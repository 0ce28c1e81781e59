/** @file The gradient rules of matrix products. */
import { sizeOf } from "../../tensor/host-tensor.ts";
import { type Emitter, type GradientRule, unbroadcast, type Value } from "../operator/gradient.ts";
import { range } from "../operator/known.ts";

/** The attributes of Gemm. */
export interface GemmAttributes {
  readonly alpha: number;
  readonly beta: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** dA = dY·Bᵀ and dB = Aᵀ·dY, summed over batch axes that were broadcast. Vectors are thin matrices. */
export const matMulGradient: GradientRule<unknown> = (context) => {
  const { emit } = context;
  const [left, right, [dy]] = [context.input(0), context.input(1), context.dy];
  if (!dy) return [];
  const shapeA = left.shape.length === 1 ? [1, ...left.shape] : left.shape;
  const shapeB = right.shape.length === 1 ? [...right.shape, 1] : right.shape;
  const [a, b] = [() => emit.reshape(left, shapeA), () => emit.reshape(right, shapeB)];
  const lead = Math.max(shapeA.length, shapeB.length) - 2;
  const ends = [shapeA[shapeA.length - 2], shapeB[shapeB.length - 1]];
  const dProduct = () => emit.reshape(dy, [...dy.shape.slice(0, lead), ...ends]);
  const da = () => unbroadcast(emit, emit.matmul(dProduct(), turned(emit, b())), shapeA);
  const db = () =>
    shapeB.length === 2 && shapeA.length > 2
      ? flatProduct(emit, a(), dProduct())
      : unbroadcast(emit, emit.matmul(turned(emit, a()), dProduct()), shapeB);
  return [
    context.needs(0) ? emit.reshape(da(), left.shape) : undefined,
    context.needs(1) ? emit.reshape(db(), right.shape) : undefined,
  ];
};

/** Σ over the batch of Aᵀ·dY, as one product over all rows. */
function flatProduct(emit: Emitter, a: Value, dy: Value): Value {
  const rows = sizeOf(a.shape.slice(0, -1));
  const flat = (x: Value) => emit.reshape(x, [rows, x.shape[x.shape.length - 1]]);
  return emit.matmul(turned(emit, flat(a)), flat(dy));
}

/** The value with its last two axes exchanged; onnxruntime fuses such a Transpose with the product that reads it. */
function turned(emit: Emitter, x: Value): Value {
  const lead = x.shape.length - 2;
  return emit.transpose(x, [...range(lead), lead + 1, lead]);
}

/** dA = α dY·Bᵀ, dB = α Aᵀ·dY (transposed where A or B are), dC = β dY summed as C was broadcast. */
export const gemmGradient: GradientRule<GemmAttributes> = (context) => {
  const { emit } = context;
  const { alpha, beta, transA, transB } = context.attrs;
  const [a, b, [dy]] = [context.input(0), context.input(1), context.dy];
  if (!dy) return [];
  const product = (left: Value, isLeftTurned: boolean, right: Value, isRightTurned: boolean) =>
    emit.op("Gemm", [left, right], {
      alpha: { kind: "float", value: alpha },
      transA: isLeftTurned ? 1 : 0,
      transB: isRightTurned ? 1 : 0,
    });
  const da = () => (transA ? product(b, transB, dy, true) : product(dy, false, b, !transB));
  const db = () => (transB ? product(dy, true, a, transA) : product(a, !transA, dy, false));
  const dc = (c: Value) => {
    const sum = unbroadcast(emit, dy, c.shape);
    return beta === 1 ? sum : emit.mul(sum, emit.scalar(beta, dy.dtype));
  };
  return [
    context.needs(0) ? da() : undefined,
    context.needs(1) ? db() : undefined,
    context.needs(2) ? dc(context.input(2)) : undefined,
  ];
};
