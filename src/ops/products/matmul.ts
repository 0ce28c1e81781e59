/** @file Matrix products: MatMul and Gemm. */
import type { Dim, Shape } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { behindLayer } from "../operator/constant-channels.ts";
import type { NotApplicable } from "../operator/not-applicable.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  notFolded,
  type Operator,
  type TiedTensor,
  type Ties,
} from "../operator/operator.ts";
import { type LinearRole, linearRole } from "../operator/role.ts";
import { broadcastShapes, mayEqual } from "../operator/shapes.ts";
import { linearMoments } from "../operator/statistics.ts";
import { trains } from "../operator/training.ts";
import { type GemmAttributes, gemmGradient, matMulGradient } from "./matmul-gradient.ts";

const roleOfMatMul = linearRole({
  biasInput: undefined,
  layout: "inOut",
  dataAxis: -1,
  resultAxis: -1,
});

const matMul = defineOp({
  opType: "MatMul",
  summary: "A [..., M, K], B [..., K, N] → Y [..., M, N]; batch axes broadcast, vectors as numpy",
  attributes: () => ({}),

  infer(context) {
    const { dtype } = context.required(0).type;
    return [{ dtype, shape: multiplied(context, 0, 1) }];
  },

  fold: notFolded,

  ties(t) {
    const [a, b, y] = [t.input(0), t.input(1), t.output()];
    const rows = a.shape.length - 2;
    const columns = b.shape.length === 1 ? -1 : b.shape.length - 1;
    tieProduct(t, { a, b, k: [a.shape.length - 1, Math.max(0, b.shape.length - 2)] });
    if (rows >= 0) t.produces(a, rows);
    if (columns >= 0) t.produces(b, columns);
    // These ids are asked for before those of the batch axes, so that channels split into heads are cut within the heads.
    const own = [
      rows >= 0 ? t.ids(a, rows) : undefined,
      columns >= 0 ? t.ids(b, columns) : undefined,
    ];
    const batch = Math.max(0, a.shape.length - 2, b.shape.length - 2);
    for (let axis = 0; axis < batch; axis++) {
      const ofA = axis - (batch - (a.shape.length - 2));
      const ofB = axis - (batch - (b.shape.length - 2));
      const isWideA = ofA >= 0 && a.shape[ofA] === y.shape[axis];
      const isWideB = ofB >= 0 && b.shape[ofB] === y.shape[axis];
      if (isWideA && isWideB) t.unite(t.ids(a, ofA), t.ids(b, ofB));
      t.define(y, axis, isWideA ? t.ids(a, ofA) : t.ids(b, ofB));
    }
    const [ofRows, ofColumns] = own;
    if (ofRows) t.define(y, batch, ofRows);
    if (ofColumns) t.define(y, y.shape.length - 1, ofColumns);
  },

  shrink: followsInputs,

  moments(context) {
    const [x, w] = context.inputs;
    const weights = context.numbers(1);
    if (x?.shape.length !== 2 || w?.shape.length !== 2 || !weights) return [undefined];
    const [inner, outputs] = w.shape;
    return [
      linearMoments(context.moments(0), undefined, outputs, (o, add) => {
        for (let k = 0; k < inner; k++) add(k, weights[k * outputs + o]);
      }),
    ];
  },

  macs({ inputs: [a], outputs: [y] }) {
    return a === undefined ? 0 : sizeOf(y) * a[a.length - 1];
  },

  gradient: { rule: matMulGradient },
  role: roleOfMatMul,
  training: trains(0, 1),
  constantChannels: behindLayer(() => roleOfMatMul),
  hidesDifferences: false,
});

function roleOfGemm({ alpha, beta, transA, transB }: GemmAttributes): LinearRole | NotApplicable {
  if (transA) return { none: "its data are transposed" };
  const layout = transB ? "outIn" : "inOut";
  return linearRole({ weightFactor: alpha, biasFactor: beta, layout });
}

const gemm = defineOp<GemmAttributes>({
  opType: "Gemm",
  summary: "alpha A [M, K] B [K, N] + beta C (broadcast to [M, N]) → Y [M, N]",
  attributes: (raw) => ({
    alpha: raw.float("alpha", 1),
    beta: raw.float("beta", 1),
    transA: raw.int("transA", 0) !== 0,
    transB: raw.int("transB", 0) !== 0,
  }),

  infer(context) {
    const { dtype, shape: a } = context.required(0).type;
    const b = context.required(1).type.shape;
    const c = context.inputs[2]?.type.shape;
    if (a === undefined || b === undefined) return [{ dtype, shape: undefined }];
    if (a.length !== 2 || b.length !== 2)
      context.fail(`A has rank ${a.length}, B has rank ${b.length}, expected matrices`);
    const { rows, columns, kOfA, kOfB } = gemmAxes(context.attrs);
    if (!mayEqual(a[kOfA], b[kOfB])) context.fail(`A contracts ${a[kOfA]}, B ${b[kOfB]}`);
    const shape = [a[rows], b[columns]];
    if (c) {
      const sum = broadcastShapes(context, [shape, c]);
      if (sum.length !== 2 || !sum.every((dim, i) => mayEqual(dim, shape[i])))
        context.fail(`C [${c.join(", ")}] does not broadcast to [${shape.join(", ")}]`);
    }
    return [{ dtype, shape }];
  },

  fold: notFolded,

  ties(t) {
    const [a, b, y] = [t.input(0), t.input(1), t.output()];
    const c = t.inputs[2];
    const { rows, columns, kOfA, kOfB } = gemmAxes(t.attrs);
    tieProduct(t, { a, b, k: [kOfA, kOfB] });
    t.produces(a, rows);
    t.produces(b, columns);
    const ids = [t.ids(a, rows), t.ids(b, columns)];
    for (const [axis, own] of ids.entries()) {
      t.define(y, axis, own);
      const at = c ? axis - (2 - c.shape.length) : -1;
      if (c && at >= 0 && c.shape[at] === y.shape[axis]) t.unite(t.ids(c, at), own);
    }
    // C is added to every row, so zeros in A and B are no zeros in Y.
    if (c) t.revives(y);
  },

  shrink: followsInputs,

  moments(context) {
    const w = context.inputs[1];
    const weights = context.numbers(1);
    if (!w || !weights || context.attrs.transA) return [undefined];
    const { alpha, beta, transB } = context.attrs;
    const [inner, outputs] = transB ? [w.shape[1], w.shape[0]] : w.shape;
    const c = context.numbers(2);
    if (c !== undefined && c.length !== outputs && c.length !== 1) return [undefined];
    const bias =
      c && Float64Array.from({ length: outputs }, (_, o) => beta * c[c.length > 1 ? o : 0]);
    return [
      linearMoments(context.moments(0), bias, outputs, (o, add) => {
        for (let k = 0; k < inner; k++)
          add(k, alpha * weights[transB ? o * inner + k : k * outputs + o]);
      }),
    ];
  },

  macs({ attrs, inputs: [a], outputs: [y] }) {
    return a === undefined ? 0 : sizeOf(y) * a[gemmAxes(attrs).kOfA];
  },

  gradient: { rule: gemmGradient },
  role: roleOfGemm,
  training: trains(0, 1, 2),
  constantChannels: behindLayer(roleOfGemm),
  hidesDifferences: false,
});

function gemmAxes({ transA, transB }: GemmAttributes) {
  return {
    rows: transA ? 1 : 0,
    kOfA: transA ? 0 : 1,
    kOfB: transB ? 1 : 0,
    columns: transB ? 0 : 1,
  };
}

/** The contracted axes line up; activations are read there (only parameters produce channels). */
function tieProduct<A>(
  t: Ties<A>,
  { a, b, k }: { a: TiedTensor; b: TiedTensor; k: readonly [number, number] },
): void {
  t.unite(t.ids(a, k[0]), t.ids(b, k[1]));
  t.reads(a, k[0]);
  t.reads(b, k[1]);
}

/** The shape of the product of two inputs as MatMul has it; `undefined` where a rank is not known. */
export function multiplied(
  context: InferContext<unknown>,
  left: number,
  right: number,
): Shape | undefined {
  const a = context.required(left).type.shape;
  const b = context.required(right).type.shape;
  if (a === undefined || b === undefined) return undefined;
  if (a.length === 0 || b.length === 0) context.fail("an operand is a scalar");
  const rows: readonly Dim[] = a.length === 1 ? [] : [a[a.length - 2]];
  const columns: readonly Dim[] = b.length === 1 ? [] : [b[b.length - 1]];
  const contracted = b[Math.max(0, b.length - 2)];
  if (!mayEqual(a[a.length - 1], contracted))
    context.fail(`A [${a.join(", ")}] and B [${b.join(", ")}] contract different sizes`);
  const batch = broadcastShapes(context, [a.slice(0, -2), b.slice(0, -2)]);
  return [...batch, ...rows, ...columns];
}

/** Matrix products. */
export const matrixOperators: readonly Operator[] = [gemm, matMul];
