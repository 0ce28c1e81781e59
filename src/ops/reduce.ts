/** @file The reductions, as one table: over the axes of the second input, or over all. */
import { type HostTensor, sizeOf } from "../tensor/host-tensor.ts";
import { foldReduce, maxWhole, minWhole, type ReduceRule } from "./fold.ts";
import { fixEverything, knownNumbers } from "./known.ts";
import {
  defineOp,
  followsInputs,
  type MomentContext,
  type Moments,
  noMacs,
  noMoments,
  notFolded,
  notYet,
  type Operator,
} from "./operator.ts";
import { normalizeAxis } from "./shapes.ts";
import { averagedMoments } from "./statistics.ts";

interface ReduceAttributes {
  readonly keepDims: boolean;
  /** What no axes mean: all of them, or none. */
  readonly noAxesMeanNone: boolean;
}

interface Reduction {
  readonly op: string;
  readonly is: string;
  /** Why a reduced channel may not go; `undefined` where removing it equals zeroing it. */
  readonly barrier?: string;
  readonly fold?: ReduceRule;
  /** Moments when `count` positions of every channel are reduced to one. */
  readonly moments?: (x: Moments, count: number) => Moments | undefined;
}

const total = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);
const wholeTotal = (x: readonly bigint[]) => x.reduce((a, b) => a + b, 0n);

// biome-ignore format: a table
const table: readonly Reduction[] = [
  { op: "ReduceSum", is: "Σ x", fold: { float: total, whole: wholeTotal },
    moments: ({ mean, variance }, count) => ({ mean: mean.map((m) => m * count), variance: variance.map((v) => v * count) }) },
  { op: "ReduceL1", is: "Σ |x|" },
  { op: "ReduceL2", is: "√(Σ x²)" },
  { op: "ReduceSumSquare", is: "Σ x²" },
  { op: "ReduceLogSum", is: "ln(Σ x)" },
  { op: "ReduceLogSumExp", is: "ln(Σ e^x)", barrier: "summed up as e^x, which is not 0 for a removed channel" },
  { op: "ReduceMean", is: "the mean of x", barrier: "averaged over, so that every channel counts in the divisor",
    fold: {
      float: (x) => total(x) / x.length,
      whole: (x) => (x.length === 0 ? undefined : wholeTotal(x) / BigInt(x.length)),
    },
    moments: averagedMoments },
  { op: "ReduceMax", is: "the largest x", barrier: "its largest element is taken",
    fold: { float: (x) => Math.max(...x), whole: (x) => (x.length === 0 ? undefined : maxWhole(...x)) } },
  { op: "ReduceMin", is: "the smallest x", barrier: "its smallest element is taken",
    fold: { float: (x) => Math.min(...x), whole: (x) => (x.length === 0 ? undefined : minWhole(...x)) } },
  { op: "ReduceProd", is: "Π x", barrier: "its elements are multiplied",
    fold: { float: (x) => x.reduce((a, b) => a * b, 1), whole: (x) => x.reduce((a, b) => BigInt.asIntN(64, a * b), 1n) } },
];

/** The reduced axes, counted from the front; `undefined` where they are not known. */
function reducedAxes(
  attrs: ReduceAttributes,
  rank: number,
  operand: { readonly value: HostTensor | undefined } | undefined,
): readonly number[] | undefined {
  if (operand && !operand.value) return undefined;
  const axes = knownNumbers(operand) ?? [];
  if (axes.length > 0) return axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return attrs.noAxesMeanNone ? [] : Array.from({ length: rank }, (_, i) => i);
}

function reduction({ op, is, barrier, fold, moments }: Reduction): Operator {
  return defineOp<ReduceAttributes>({
    opType: op,
    summary: `${is} over axes; over all axes when none are given`,
    attributes: (raw) => ({
      keepDims: raw.int("keepdims", 1) === 1,
      noAxesMeanNone: raw.int("noop_with_empty_axes", 0) === 1,
    }),

    infer(context) {
      const { dtype, shape } = context.required(0).type;
      const operand = context.inputs[1];
      const { keepDims } = context.attrs;
      if (shape === undefined) return [{ dtype, shape }];
      for (const axis of knownNumbers(operand) ?? []) normalizeAxis(context, axis, shape.length);
      const axes = reducedAxes(context.attrs, shape.length, operand);
      if (axes === undefined)
        return [{ dtype, shape: keepDims ? shape.map(() => context.unknownDim()) : undefined }];
      const reduced = (axis: number) => axes.includes(axis);
      if (keepDims) return [{ dtype, shape: shape.map((dim, i) => (reduced(i) ? 1 : dim)) }];
      return [{ dtype, shape: shape.filter((_, i) => !reduced(i)) }];
    },

    fold: fold
      ? ([x, given], attrs, [y], [, givenType]) => {
          if (x === undefined || (givenType && !given)) return undefined;
          const operand = given && { value: given };
          const axes = reducedAxes(attrs, x.shape.length, operand);
          return axes && foldReduce(x, axes, y, fold);
        }
      : notFolded,

    // The axes that stay line up; a removed index of a reduced axis adds nothing, or may not go.
    ties(t) {
      const [x, y] = [t.input(0), t.output()];
      const axes = reducedAxes(t.attrs, x.shape.length, t.inputs[1]);
      if (axes === undefined) {
        fixEverything(t, `reduced by ${op} over axes that are not constant`);
        return;
      }
      let at = 0;
      for (const axis of x.shape.keys()) {
        if (!axes.includes(axis)) t.define(y, at++, t.ids(x, axis));
        else {
          if (barrier) t.fix(t.ids(x, axis), `under ${op}: ${barrier}`);
          else t.reads(x, axis);
          if (t.attrs.keepDims) t.fix(t.ids(y, at++), `reduced to one by ${op}`);
        }
      }
    },

    shrink: followsInputs,

    moments: moments
      ? (context) => [reducedMoments(context, (x, count) => moments(x, count))]
      : noMoments,

    macs: noMacs,
    gradient: notYet,
  });
}

/** Only positions are reduced: the statistics stay on axis 1. */
function reducedMoments(
  context: MomentContext<ReduceAttributes>,
  f: (x: Moments, count: number) => Moments | undefined,
): Moments | undefined {
  const shape = context.inputs[0]?.shape;
  const x = context.moments(0);
  if (shape === undefined || x === undefined) return undefined;
  const axes = reducedAxes(context.attrs, shape.length, context.inputs[1]);
  if (axes === undefined || axes.some((axis) => axis < 2)) return undefined;
  return f(x, sizeOf(axes.map((axis) => shape[axis])));
}

/** All reductions. */
export const reductionOperators: readonly Operator[] = table.map(reduction);
