/** @file The elementwise operators of two and more inputs, as one table: all broadcast. */
import type { DType } from "../../tensor/dtype.ts";
import { pow } from "../../tensor/elementary.ts";
import {
  type MeanVariance,
  pieceAt,
  piecewiseLinearMoments,
  smoothMoments,
} from "../../tensor/gaussian.ts";
import { type Algebra, algebraOf, steep } from "../operator/algebra.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { placeByPlace } from "../operator/constant-channels.ts";
import { foldElementwise, maxWhole, minWhole, type Scalar } from "../operator/fold.ts";
import { type GradientRule, unbroadcast, type Value } from "../operator/gradient.ts";
import { knownNumbers } from "../operator/known.ts";
import {
  constantMoments,
  constantScalar,
  movingMoments,
  perChannel,
  productOfMoments,
  sumOfMoments,
} from "../operator/moments.ts";
import {
  type AtZero,
  type Fold,
  type MomentContext,
  type Moments,
  noMoments,
  type Operator,
} from "../operator/operator.ts";
import { type AddRole, noRole, type ProductRole } from "../operator/role.ts";
import { noWeights, trainsAffine } from "../operator/training.ts";
import { affine, applied, combined } from "./applied.ts";
import { defineElementwise, discrete } from "./elementwise.ts";
import { clipped } from "./unary.ts";

/** The attribute of the rows that have one, as a truth value. */
interface Flag {
  readonly flag: boolean;
}

interface Binary {
  readonly op: string;
  readonly is: string;
  /** "many" for one input or more; without it, there are two. */
  readonly inputs?: "many";
  /** Whether it makes residual streams. */
  readonly adds?: boolean;
  /** Given where one input may scale or shift the other: such an input is trained behind a layer. */
  readonly role?: AddRole | ProductRole;
  /** Whether it commonly gives the same for different inputs: it compares, or takes one of them. */
  readonly hides: boolean;
  readonly flag?: (raw: AttributeReader) => boolean;
  readonly dtype?: DType;
  /** For operators with an output of 0 where one input is 0; without it, the formula of all inputs decides. */
  readonly atZero?: AtZero;
  readonly float?: (flag: boolean) => (...x: number[]) => Scalar;
  readonly whole?: (flag: boolean) => (...x: bigint[]) => Scalar | undefined;
  readonly moments?: (context: MomentContext<Flag>) => Moments | undefined;
  /** The rules for dA and dB; the last rule also holds for all further inputs. */
  readonly partials?: readonly PartialRule[];
}

/** What gradients are made of. */
interface Terms extends Algebra {
  readonly inputs: readonly Value[];
  readonly a: Value;
  readonly b: Value;
  readonly y: Value;
  readonly dy: Value;
  /** The second input, if it is one number that is known. */
  readonly constant: number | undefined;
  /** Sums over the axes that were broadcast. The result of a rule is summed anyway; summing earlier saves work. */
  sum(value: Value): Value;
}

/** dLoss/dXᵢ of input `index`. */
type PartialRule = (terms: Terms, index: number) => Value;

/** Σ factor · xᵢ: constants count as well, and two inputs that vary are independent or functions of one value. */
const sum =
  (factor: (index: number, count: number) => number) =>
  (context: MomentContext<Flag>): Moments | undefined => {
    const count = context.inputs.length;
    const moving = context.inputs.map((_, i) => movingMoments(context, i));
    const terms = moving.map((own, i) => own ?? constantMoments(context, i));
    const known = terms.filter((term) => term !== undefined);
    if (known.length < count) return undefined;
    const factors = known.map((_, i) => factor(i, count));
    if (count === 2 && moving[0] && moving[1]) {
      const [p, q] = factors;
      const together = combined(moving[0], moving[1], (x, y) => p * x + q * y);
      if (together) return together;
    }
    const moments = sumOfMoments(known, factors);
    const at = moving.findIndex((own) => own !== undefined);
    const [x, shift] = [moving[at], known[1 - at]];
    if (count !== 2 || x === undefined || !isSteady(shift)) return moments;
    return affine(moments, x, {
      scale: shift.mean.map(() => factors[at]),
      shift: shift.mean.map((value) => value * factors[1 - at]),
    });
  };

/** The input that varies and the one that is constant, of two. */
function movingAndConstant(context: MomentContext<Flag>): readonly [Moments, Moments] | undefined {
  for (const [i, k] of [
    [0, 1],
    [1, 0],
  ]) {
    const moving = movingMoments(context, i);
    const constant = constantMoments(context, k);
    if (moving && constant) return [moving, constant];
  }
  return undefined;
}

/** Whether a constant is the same all over each channel. */
function isSteady({ variance }: Moments): boolean {
  return variance.every((v) => v === 0);
}

/** x · c for a constant c of which moments are given. */
function scaled(x: Moments, c: Moments): Moments {
  const moments = productOfMoments(x, c);
  return isSteady(c) ? affine(moments, x, { scale: c.mean, shift: c.mean.map(() => 0) }) : moments;
}

/** A constant times what varies; two factors that vary are independent or functions of one value. */
function product(context: MomentContext<Flag>): Moments | undefined {
  const factors = movingAndConstant(context);
  if (factors) return scaled(...factors);
  const [a, b] = [0, 1].map((index) => movingMoments(context, index));
  return a && b && (combined(a, b, (x, y) => x * y) ?? productOfMoments(a, b));
}

function quotient(context: MomentContext<Flag>): Moments | undefined {
  const moving = movingMoments(context, 0);
  const divisor = constantMoments(context, 1, (element) => 1 / element);
  if (!moving || !divisor?.mean.every(Number.isFinite)) return undefined;
  return scaled(moving, divisor);
}

/** Max or Min of x and a constant that is the same all over a channel: a clip. */
const limit =
  (clip: (x: number) => readonly [number, number]) =>
  (context: MomentContext<Flag>): Moments | undefined => {
    if (context.inputs.length !== 2) return undefined;
    const pair = movingAndConstant(context);
    if (!pair || !isSteady(pair[1])) return undefined;
    const [moving, { mean }] = pair;
    // With one limit for all channels this is a function of one value, as an activation is. Other limits make the
    // result a value without an origin.
    if (mean.every((value) => value === mean[0])) {
      const pieces = clipped(1, 0, ...clip(mean[0]));
      return applied(moving, {
        f: (x) => pieceAt(pieces, x),
        kinks: [mean[0]],
        moments: (x) => piecewiseLinearMoments(pieces, x),
      });
    }
    return perChannel(moving, (x, c) => piecewiseLinearMoments(clipped(1, 0, ...clip(mean[c])), x));
  };

/** Small whole powers are polynomials, for which quadrature is exact. */
function power(context: MomentContext<Flag>): Moments | undefined {
  const exponent = constantScalar(context, 1);
  const moving = movingMoments(context, 0);
  if (!moving || !exponent || !Number.isInteger(exponent) || exponent < 1 || exponent > 4)
    return undefined;
  const f = (y: number) => {
    let value = y;
    for (let factors = 1; factors < exponent; factors++) value *= y;
    return value;
  };
  return applied(moving, {
    f,
    kinks: [],
    moments: (x: MeanVariance) => smoothMoments(f, [], x),
  });
}

/** d aᵇ/da = b · aᵇ⁻¹, and 0 where b = 0. */
const toBase: PartialRule = ({ a, b, y, dy, constant, ...algebra }) => {
  const { add, sub, mul, div, pow, square, equals, cast } = algebra;
  if (constant === 2) return mul(mul(dy, 2), a);
  if (constant === 3) return mul(mul(dy, 3), square(a));
  if (constant === 0.5) return div(mul(dy, 0.5), y);
  const exponent = cast(b);
  const lower = add(sub(exponent, 1), equals(exponent, 0));
  return mul(mul(dy, exponent), pow(a, lower));
};

/** d aᵇ/db = aᵇ · ln a, and 0 where a = 0. */
const toExponent: PartialRule = ({ a, y, dy, add, mul, apply, equals }) =>
  mul(mul(dy, y), apply("Log", add(a, equals(a, 0))));

/** Inputs that are equally extreme share dY evenly. `towards` is 1 for Max, -1 for Min. */
const toExtremes =
  (towards: 1 | -1): PartialRule =>
  ({ inputs, y, dy, sub, mul, div, add, equals, apply }, index) => {
    if (inputs.length === 1) return dy;
    if (inputs.length === 2 && y.dtype === "float32") {
      // 1 where this input is ahead, ½ at a tie, else 0: clip(steep · lead + ½, 0, 1).
      const lead = sub(inputs[index], inputs[1 - index]);
      return mul(dy, apply("HardSigmoid", lead, { alpha: towards * steep, beta: 0.5 }));
    }
    const isExtreme = inputs.map((input) => equals(input, y));
    return mul(div(dy, isExtreme.reduce(add)), isExtreme[index]);
  };

const always =
  <T>(value: T) =>
  () =>
    value;
const total = (...x: number[]) => x.reduce((a, b) => a + b, 0);

/** The remainder with the sign of the divisor, or (`fmod`) of the dividend. */
const modulo = (fmod: boolean) => (a: number, b: number) =>
  fmod ? a % b : a - b * Math.floor(a / b);
const wholeModulo = (fmod: boolean) => (a: bigint, b: bigint) => {
  if (b === 0n) return undefined;
  const rest = a % b;
  return !fmod && rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
};

/** Larger exponents than 64 overflow every integer type, but for bases of which nobody takes powers. */
const wholePower = (a: bigint, b: bigint) =>
  b < 0n || b > 64n ? undefined : BigInt.asIntN(64, a ** b);
const shift = (left: boolean) => (a: bigint, b: bigint) => {
  if (b > 63n) return 0n;
  return left ? a << b : a >> b;
};

type Comparison = (a: number | bigint, b: number | bigint) => boolean;

function comparison(op: string, is: string, f: Comparison): Binary {
  return { op, is, hides: true, dtype: "bool", float: always(f), whole: always(f) };
}

function logic(op: string, is: string, f: (a: number, b: number) => number): Binary {
  return { op, is, hides: false, dtype: "bool", float: always(f) };
}

function bits(op: string, is: string, f: (a: bigint, b: bigint) => bigint): Binary {
  return { op, is, hides: false, whole: always(f) };
}

// biome-ignore format: a table
const table: readonly Binary[] = [
  { op: "Add", is: "a + b", hides: false, adds: true, role: { kind: "add" }, moments: sum(() => 1), float: always((a, b) => a + b), whole: always((a, b) => a + b),
    partials: [({ dy }) => dy] },
  { op: "Sub", is: "a - b", hides: false, moments: sum((i) => (i === 0 ? 1 : -1)), float: always((a, b) => a - b), whole: always((a, b) => a - b),
    partials: [({ dy }) => dy, ({ dy, sum, neg }) => neg(sum(dy))] },
  { op: "Mul", is: "a · b", hides: false, role: { kind: "product" }, moments: product, atZero: (held) => held.includes(0), float: always((a, b) => a * b), whole: always((a, b) => a * b),
    partials: [({ b, dy, mul }) => mul(dy, b), ({ a, dy, mul }) => mul(dy, a)] },
  { op: "Div", is: "a / b; integers are cut towards zero", hides: false, moments: quotient, atZero: ([a, b]) => a === 0 && b !== 0,
    float: always((a, b) => a / b), whole: always((a, b) => (b === 0n ? undefined : a / b)),
    partials: [({ b, dy, div }) => div(dy, b), ({ b, y, dy, sum, mul, div, neg }) => neg(div(sum(mul(dy, y)), b))] },
  { op: "Pow", is: "a to the power b", hides: false, moments: power, atZero: ([a, b]) => a === 0 && b !== undefined && b > 0, float: always(pow), whole: always(wholePower),
    partials: [toBase, toExponent] },
  { op: "Mod", is: "the remainder of a / b, with the sign of b (of a with fmod)", hides: false,
    flag: (raw) => raw.int("fmod", 0) === 1, float: modulo, whole: wholeModulo,
    partials: [({ dy }) => dy, ({ a, b, y, dy, sum, mul, sub, div }) => div(sum(mul(dy, sub(y, a))), b)] },

  { op: "Sum", is: "Σ xᵢ", hides: false, inputs: "many", adds: true, moments: sum(() => 1), float: always(total),
    partials: [({ dy }) => dy] },
  { op: "Mean", is: "the mean of the inputs", hides: false, inputs: "many", moments: sum((_, count) => 1 / count),
    float: always((...x) => total(...x) / x.length),
    partials: [({ inputs, dy, sum, div }) => div(sum(dy), inputs.length)] },
  { op: "Max", is: "the largest input", hides: true, inputs: "many", moments: limit((c) => [c, Infinity]),
    float: always(Math.max), whole: always(maxWhole),
    partials: [toExtremes(1)] },
  { op: "Min", is: "the smallest input", hides: true, inputs: "many", moments: limit((c) => [-Infinity, c]),
    float: always(Math.min), whole: always(minWhole),
    partials: [toExtremes(-1)] },

  comparison("Equal", "a = b", (a, b) => a === b),
  comparison("Less", "a < b", (a, b) => a < b),
  comparison("LessOrEqual", "a ≤ b", (a, b) => a <= b),
  comparison("Greater", "a > b", (a, b) => a > b),
  comparison("GreaterOrEqual", "a ≥ b", (a, b) => a >= b),
  logic("And", "a ∧ b", (a, b) => a && b),
  logic("Or", "a ∨ b", (a, b) => a || b),
  logic("Xor", "a ≠ b", (a, b) => Number(a !== b)),
  bits("BitwiseAnd", "a & b", (a, b) => a & b),
  bits("BitwiseOr", "a | b", (a, b) => a | b),
  bits("BitwiseXor", "a ^ b", (a, b) => a ^ b),
  { op: "BitShift", is: "a shifted by b bits to LEFT or RIGHT", hides: false, whole: shift,
    flag: (raw) => raw.string("direction") === "LEFT" },
];

function gradientRule(partials: readonly PartialRule[]): GradientRule<Flag> {
  return ({ emit, needs, inputs, output, gradient }) => {
    const present = inputs.filter((input) => input !== undefined);
    const [y, dy] = [output(), gradient()];
    const [a, b = a] = present;
    const constant = knownNumbers({ value: emit.known(b) });
    const algebra = algebraOf(emit, y);
    return present.map((input, index) => {
      if (!needs(index)) return undefined;
      const terms: Terms = {
        ...algebra,
        inputs: present,
        a,
        b,
        y,
        dy,
        constant: constant?.length === 1 ? constant[0] : undefined,
        sum: (value) => unbroadcast(emit, value, input.shape),
      };
      return terms.sum(partials[Math.min(index, partials.length - 1)](terms, index));
    });
  };
}

function zeroRule({ atZero, float }: Binary, { flag }: Flag): AtZero {
  if (atZero) return atZero;
  return (held) => {
    const known = held.filter((number) => number !== undefined);
    return known.length === held.length && Number(float?.(flag)(...known)) === 0;
  };
}

function define(row: Binary): Operator {
  const { moments } = row;
  const fold: Fold<Flag> = (inputs, { flag }, [y]) =>
    foldElementwise(inputs, y, { float: row.float?.(flag), whole: row.whole?.(flag) });
  return defineElementwise<Flag>({
    opType: row.op,
    summary: `y = ${row.is}`,
    attributes: (raw) => ({ flag: row.flag?.(raw) ?? false }),
    inputs: row.inputs ?? 2,
    dtype: row.dtype,
    adds: row.adds,
    atZero: (attrs) => zeroRule(row, attrs),
    fold,
    moments: moments ? (context) => [moments(context)] : noMoments,
    gradient: row.partials ? { rule: gradientRule(row.partials) } : discrete,
    role: row.role ?? noRole,
    training: row.role ? trainsAffine : noWeights,
    constantChannels: placeByPlace(fold),
    hidesDifferences: row.hides,
  });
}

/** All operators of the table. */
export const binaryOperators: readonly Operator[] = table.map(define);
