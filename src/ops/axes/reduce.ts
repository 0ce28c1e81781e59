/** @file The reductions, as one table: over the axes of the second input, or over all. */
import { assert } from "../../errors.ts";
import type { TensorType } from "../../ir/graph.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { largestOf, smallestOf } from "../../tensor/extremes.ts";
import { type HostTensor, sizeOf, toNumbers } from "../../tensor/host-tensor.ts";
import { type Algebra, algebraOf } from "../operator/algebra.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { foldReduce, maxWhole, minWhole, type ReduceRule } from "../operator/fold.ts";
import type { GradientRule, Value } from "../operator/gradient.ts";
import { fixEverything, knownNumbers } from "../operator/known.ts";
import {
  type ConstantChannels,
  type ConstantContext,
  defineOp,
  followsInputs,
  type InferContext,
  type MomentContext,
  type Moments,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
  type ShrinkContext,
  type Shrunk,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { normalizeAxis } from "../operator/shapes.ts";
import { averagedMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

interface ReduceAttributes {
  readonly keepDims: boolean;
  /** Whether a node that names no axes reduces none of them, rather than all. */
  readonly noAxesMeanNone: boolean;
}

interface Reduction {
  readonly op: string;
  readonly is: string;
  /** Why a reduced channel may not go; `undefined` where removing it equals zeroing it. */
  readonly barrier?: string;
  /** Its result for zeros is not 0. */
  readonly revives?: true;
  /** It divides by the number of elements, which must stay that of all channels. */
  readonly averages?: true;
  /** Whether its result for equal numbers is that number. */
  readonly keepsConstants: boolean;
  readonly fold?: ReduceRule;
  /** Moments when `count` positions of every channel are reduced to one. */
  readonly moments?: (x: Moments, count: number) => Moments | undefined;
  /** dX, or a value that broadcasts to dX. */
  readonly dx: (terms: Reduced) => Value;
}

/** What gradients are made of: Y and dY keep the reduced axes, with size 1. */
interface Reduced extends Algebra {
  readonly x: Value;
  readonly y: Value;
  readonly dy: Value;
  /** Number of elements that become one. */
  readonly count: number;
  sum(x: Value): Value;
  prod(x: Value): Value;
}

const total = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);
const wholeTotal = (x: readonly bigint[]) => x.reduce((a, b) => a + b, 0n);

/** The extreme elements share dY evenly. */
function toExtremes({ x, y, dy, sum, mul, div, equals }: Reduced): Value {
  const isExtreme = equals(x, y);
  return mul(isExtreme, div(dy, sum(isExtreme)));
}

/**
 * dY times the product of the other elements. Zeros are counted and taken as 1, so that nothing is
 * divided by 0: beside one zero the gradient is 0 but for its own place, beside two it is 0 everywhere.
 */
function toFactors({ x, dy, sum, prod, add, mul, div, equals }: Reduced): Value {
  const isZero = equals(x, 0);
  const factors = add(x, isZero);
  const othersAreNotZero = equals(sum(isZero), isZero);
  return mul(div(mul(dy, prod(factors)), factors), othersAreNotZero);
}

// biome-ignore format: a table
const table: readonly Reduction[] = [
  { op: "ReduceSum", is: "Σ x", keepsConstants: false, dx: ({ dy }) => dy, fold: { float: total, whole: wholeTotal },
    moments: ({ mean, variance }, count) => ({ mean: mean.map((m) => m * count), variance: variance.map((v) => v * count) }) },
  { op: "ReduceL1", is: "Σ |x|", keepsConstants: false, dx: ({ x, dy, mul, sign }) => mul(dy, sign(x)),
    fold: { float: (x) => total(x.map(Math.abs)) } },
  // Where all elements are 0, so is the gradient.
  { op: "ReduceL2", is: "√(Σ x²)", keepsConstants: false, dx: ({ x, y, dy, mul, div, max }) => mul(x, div(dy, max(y, 1e-30))),
    fold: { float: (x) => Math.sqrt(total(x.map((v) => v * v))) } },
  { op: "ReduceSumSquare", is: "Σ x²", keepsConstants: false, dx: ({ x, dy, mul }) => mul(x, mul(dy, 2)),
    fold: { float: (x) => total(x.map((v) => v * v)) } },
  { op: "ReduceLogSum", is: "ln(Σ x)", keepsConstants: false, revives: true, dx: ({ y, dy, div, apply }) => div(dy, apply("Exp", y)) },
  { op: "ReduceLogSumExp", is: "ln(Σ e^x)", keepsConstants: false, revives: true, barrier: "summed up as e^x, which is not 0 for a removed channel",
    dx: ({ x, y, dy, mul, sub, apply }) => mul(dy, apply("Exp", sub(x, y))) },
  { op: "ReduceMean", is: "the mean of x", keepsConstants: true, averages: true,
    dx: ({ dy, count, div }) => div(dy, count),
    fold: {
      float: (x) => total(x) / x.length,
      whole: (x) => (x.length === 0 ? undefined : wholeTotal(x) / BigInt(x.length)),
    },
    moments: averagedMoments },
  { op: "ReduceMax", is: "the largest x", keepsConstants: true, barrier: "its largest element is taken", dx: toExtremes,
    fold: { float: largestOf, whole: (x) => (x.length === 0 ? undefined : x.reduce((a, b) => maxWhole(a, b))) } },
  { op: "ReduceMin", is: "the smallest x", keepsConstants: true, barrier: "its smallest element is taken", dx: toExtremes,
    fold: { float: smallestOf, whole: (x) => (x.length === 0 ? undefined : x.reduce((a, b) => minWhole(a, b))) } },
  { op: "ReduceProd", is: "Π x", keepsConstants: false, barrier: "its elements are multiplied", dx: toFactors,
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

function reduction(row: Reduction): Operator {
  const { op, is, averages, keepsConstants, fold, moments, dx } = row;
  return defineOp<ReduceAttributes>({
    opType: op,
    summary: `${is} over axes; over all axes when none are given`,
    attributes: (raw) => ({
      keepDims: raw.int("keepdims", 1) === 1,
      noAxesMeanNone: raw.int("noop_with_empty_axes", 0) === 1,
    }),

    infer: inferReduced,

    fold: fold
      ? ([x, given], attrs, [y], [, givenType]) => {
          if (x === undefined || (givenType && !given)) return undefined;
          const operand = given && { value: given };
          const axes = reducedAxes(attrs, x.shape.length, operand);
          return axes && foldReduce(x, axes, y, fold);
        }
      : notFolded,

    ties: (t) => tieReduced(t, row),
    shrink: averages ? shrinkAverages : followsInputs,

    moments: moments
      ? (context) => [reducedMoments(context, (x, count) => moments(x, count))]
      : noMoments,

    macs: noMacs,
    gradient: { rule: gradientRule(dx) },
    role: noRole,
    training: noWeights,
    constantChannels: keepsConstants ? behindReduction : notFollowed,
    hidesDifferences: false,
  });
}

function inferReduced(context: InferContext<ReduceAttributes>): readonly TensorType[] {
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
}

/** The axes that stay line up; a removed index of a reduced axis adds nothing, or may not go. */
function tieReduced(t: Ties<ReduceAttributes>, row: Reduction): void {
  const { op, barrier, revives, averages } = row;
  const [x, y] = [t.input(0), t.output()];
  const axes = reducedAxes(t.attrs, x.shape.length, t.inputs[1]);
  if (axes === undefined) {
    fixEverything(t, `reduced by ${op} over axes that are not constant`);
    return;
  }
  if (revives) t.revives(y);
  let at = 0;
  for (const axis of x.shape.keys()) {
    if (!axes.includes(axis)) t.define(y, at++, t.ids(x, axis));
    else {
      if (barrier) t.fix(t.ids(x, axis), `under ${op}: ${barrier}`);
      else if (averages && !isFloat(x.dtype))
        t.fix(t.ids(x, axis), `a mean of whole numbers under ${op}`);
      else t.reads(x, axis);
      if (t.attrs.keepDims) t.fix(t.ids(y, at++), `reduced to one by ${op}`);
    }
  }
}

/** The mean of fewer channels, times their share, is the sum over the old divisor. */
function shrinkAverages(context: ShrinkContext<ReduceAttributes>): Shrunk {
  const [x, given] = context.inputs;
  const axes = x && reducedAxes(context.attrs, x.shape.length, given);
  if (!x || !axes) return {};
  const after = context.shapeOf(x);
  const factor = axes.reduce((share, axis) => (share * after[axis]) / x.shape[axis], 1);
  return factor === 1 ? {} : { factor };
}

/** Attributes of reductions in gradients: an empty list of axes reduces none, as `reducedAxes` has resolved them. */
const reducing = { keepdims: 1, noop_with_empty_axes: 1 };

function gradientRule(dx: Reduction["dx"]): GradientRule<ReduceAttributes> {
  return ({ attrs, emit, input, inputs: [, given], output, gradient }) => {
    const x = input(0);
    const axes = reducedAxes(attrs, x.shape.length, given && { value: emit.known(given) });
    assert(axes !== undefined, "where the sizes are known, so are the axes");
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    // One number broadcasts as it is.
    const keep = (value: Value) => (sizeOf(kept) === 1 ? value : emit.reshape(value, kept));
    const terms: Reduced = {
      ...algebraOf(emit, x),
      x,
      // A getter, so that nothing is emitted where Y is not asked for.
      get y() {
        return keep(output());
      },
      dy: keep(gradient()),
      count: sizeOf(x.shape) / sizeOf(kept),
      sum: (value) => emit.sum(value, axes, true),
      prod: (value) => emit.op("ReduceProd", [value, emit.ints(axes)], reducing),
    };
    return [emit.expand(dx(terms), x.shape)];
  };
}

/** Constant channels keep their numbers where neither batch nor channels are reduced. */
function behindReduction({
  inputs: [x],
  outputs: [y],
  channels,
  constant,
}: ConstantContext<ReduceAttributes>): ConstantChannels | undefined {
  const axes = constant(1);
  if (x === undefined || axes === undefined || y.shape[1] !== x.shape[1]) return undefined;
  const isPosition = (axis: number) => (axis < 0 ? axis + x.shape.length : axis) > 1;
  return toNumbers(axes).every(isPosition) ? channels(0) : undefined;
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
