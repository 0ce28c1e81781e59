/** @file The unary elementwise operators, as one table: activations, mathematics, rounding, tests. */
import type { DType } from "../../tensor/dtype.ts";
import {
  acosh,
  asinh,
  atanh,
  cosh,
  exp,
  expm1,
  log,
  log1p,
  sinh,
  tanh,
} from "../../tensor/elementary.ts";
import {
  erf,
  type LinearPiece,
  type MeanVariance,
  normalCdf,
  pieceAt,
  piecewiseLinearMoments,
  smoothMoments,
} from "../../tensor/gaussian.ts";
import { acos, asin, atan, cos, sin, tan } from "../../tensor/trigonometry.ts";
import { type Algebra, algebraOf } from "../operator/algebra.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { placeByPlace } from "../operator/constant-channels.ts";
import { foldElementwise, type Scalar } from "../operator/fold.ts";
import type { GradientRule, Value } from "../operator/gradient.ts";
import {
  type GradientFacet,
  leavesZero,
  noMoments,
  notFolded,
  type Operator,
  staysZero,
} from "../operator/operator.ts";
import { noRole, type SquashingRole } from "../operator/role.ts";
import { noWeights } from "../operator/training.ts";
import { applied } from "./applied.ts";
import { defineElementwise, discrete, stepwise } from "./elementwise.ts";

/** Attributes of a unary operator, all as numbers. */
type Reals = Readonly<Record<string, number>>;

interface Unary {
  readonly op: string;
  /** y as a formula of x and the attributes. */
  readonly is: string;
  readonly attributes?: (raw: AttributeReader) => Reals;
  /** Whether it commonly gives the same for different x: it saturates, rounds or tests. */
  readonly hides: boolean;
  /** What it is to a loss, if it is anything. */
  readonly role?: SquashingRole;
  /** The element type of the output where it is not the input's. */
  readonly dtype?: DType;
  readonly f?: (x: number, attributes: Reals) => Scalar;
  /** f for integers, exact. */
  readonly whole?: (x: bigint) => Scalar;
  /** The pieces of a piecewise linear f. At most one of `pieces`, `kinks` and `moments` is given. */
  readonly pieces?: (attributes: Reals) => readonly LinearPiece[];
  /** The kinks of an f that is smooth between them. */
  readonly kinks?: (attributes: Reals) => readonly number[];
  readonly moments?: (x: MeanVariance) => MeanVariance;
  /** dX, or why there is none. */
  readonly dx: ((terms: Terms, attributes: Reals) => Value) | GradientFacet;
}

/** What gradients are made of. */
interface Terms extends Algebra {
  readonly x: Value;
  readonly y: Value;
  readonly dy: Value;
}

const reals =
  (defaults: Reals) =>
  (raw: AttributeReader): Reals =>
    Object.fromEntries(
      Object.entries(defaults).map(([name, fallback]) => [name, raw.float(name, fallback)]),
    );

const squashesAlone: SquashingRole = {
  kind: "squashing",
  squashing: "sigmoid",
  axis: undefined,
  toEnd: false,
};
const smooth = () => [];
const atZero = () => [0];

/** Pieces from (from, slope, intercept) triples; the first begins at -Infinity. */
function piecewise(...triples: readonly (readonly [number, number, number])[]): LinearPiece[] {
  return triples.map(([from, slope, intercept]) => ({ from, slope, intercept }));
}

/** The pieces of clip(slope · x + intercept, low, high); the limits may be infinite. */
export function clipped(slope: number, intercept: number, low: number, high: number) {
  if (slope === 0 || low >= high)
    return piecewise([-Infinity, 0, Math.min(Math.max(intercept, low), high)]);
  const [enter, leave] = slope > 0 ? [low, high] : [high, low];
  const meets = (y: number) => (y - intercept) / slope;
  const inside = { from: -Infinity, slope, intercept };
  const pieces: LinearPiece[] = [inside];
  if (Number.isFinite(enter))
    pieces.splice(0, 1, ...piecewise([-Infinity, 0, enter]), { ...inside, from: meets(enter) });
  if (Number.isFinite(leave)) pieces.push({ from: meets(leave), slope: 0, intercept: leave });
  return pieces;
}

const sigmoid = (x: number) => 1 / (1 + exp(-x));
const softplus = (x: number) => Math.max(x, 0) + log1p(exp(-Math.abs(x)));
const elu = (x: number, alpha: number) => (x > 0 ? x : alpha * expm1(x));
const geluTanh = (x: number) =>
  0.5 * x * (1 + tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
const seluDefaults = { alpha: 1.6732631921768188, gamma: 1.0507010221481323 };

/** The nearest integer; a number halfway between two goes to the even one. */
function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

// E e^X = e^(m + v/2), Var e^X = (e^v - 1) e^(2m + v)
const exponential = ({ mean, variance }: MeanVariance): MeanVariance => ({
  mean: exp(mean + variance / 2),
  variance: expm1(variance) * exp(2 * mean + variance),
});

/** The slope of y = `above` · x for x > 0, else `below` · (e^x - 1) = y: there it is y + `below`. */
function exponentialSlope(t: Algebra, x: Value, y: Value, below: number, above: number): Value {
  const isNegative = t.below(x);
  const limit = below === above ? above : t.add(t.mul(isNegative, below - above), above);
  return t.add(t.mul(y, isNegative), limit);
}

/** With h = clip(x/6 + 1/2, 0, 1): h beyond the kinks, and h + x/6 = 2h - 1/2 between them. */
function hardSwishGradient({ x, dy, ...t }: Terms): Value {
  const h = t.apply("HardSigmoid", x, { alpha: 1 / 6, beta: 0.5 });
  const isBetween = t.mul(t.above(x, -3), t.below(x, 3));
  return t.mul(dy, t.add(h, t.mul(isBetween, t.sub(h, 0.5))));
}

/** Φ(x) + x · φ(x) */
function geluGradient({ x, dy, ...t }: Terms): Value {
  const cdf = t.add(t.mul(t.apply("Erf", t.mul(x, Math.SQRT1_2)), 0.5), 0.5);
  const density = t.apply("Exp", t.mul(t.square(x), -0.5));
  return t.mul(dy, t.add(cdf, t.mul(x, t.mul(density, 1 / Math.sqrt(2 * Math.PI)))));
}

/** With u = √(2/π) · (x + c · x³) and v = (1 + tanh u) / 2 = sigmoid(2u): v + 2x · v · (1 - v) · u'. */
function geluTanhGradient({ x, y, dy, ...t }: Terms): Value {
  const [factor, c] = [2 * Math.sqrt(2 / Math.PI), 0.044715];
  const square = t.square(x);
  const v = t.apply("Sigmoid", t.mul(x, t.add(t.mul(square, factor * c), factor)));
  const slope = t.add(t.mul(square, 3 * factor * c), factor);
  return t.mul(dy, t.add(v, t.mul(t.mul(y, t.sub(1, v)), slope)));
}

/** With s = sigmoid(alpha · x): s + alpha · y · (1 - s) */
function swishGradient({ x, y, dy, ...t }: Terms, { alpha }: Reals): Value {
  const s = t.apply("Sigmoid", t.mul(x, alpha));
  return t.mul(dy, t.add(s, t.mul(t.mul(y, alpha), t.sub(1, s))));
}

/** With w = tanh(softplus(x)): w + x · (1 - w²) · sigmoid(x) */
function mishGradient({ x, dy, ...t }: Terms): Value {
  const w = t.apply("Tanh", t.apply("Softplus", x));
  const slope = t.mul(t.sub(1, t.square(w)), t.apply("Sigmoid", x));
  return t.mul(dy, t.add(w, t.mul(x, slope)));
}

// At a kink dx takes the slope of the side below, which for Relu and similar functions is 0, as in PyTorch.
// biome-ignore format: a table
const table: readonly Unary[] = [
  // Piecewise linear
  { op: "Relu", is: "max(x, 0)", hides: true, f: (x) => Math.max(x, 0), whole: (x) => (x > 0n ? x : 0n),
    pieces: () => piecewise([-Infinity, 0, 0], [0, 1, 0]),
    dx: ({ y, dy, mul, above }) => mul(dy, above(y)) },
  { op: "LeakyRelu", is: "x < 0 ? alpha · x : x", hides: false, attributes: reals({ alpha: 0.01 }),
    pieces: ({ alpha }) => piecewise([-Infinity, alpha, 0], [0, 1, 0]),
    dx: ({ x, dy, ...t }, { alpha }) => t.mul(dy, t.add(t.mul(t.above(x), 1 - alpha), alpha)) },
  { op: "HardSigmoid", is: "clip(alpha · x + beta, 0, 1)", hides: true, attributes: reals({ alpha: 0.2, beta: 0.5 }),
    pieces: ({ alpha, beta }) => clipped(alpha, beta, 0, 1),
    dx: ({ y, dy, mul, above, below }, { alpha }) => mul(mul(dy, alpha), mul(above(y), below(y, 1))) },
  { op: "ThresholdedRelu", is: "x > alpha ? x : 0", hides: true, attributes: reals({ alpha: 1 }),
    pieces: ({ alpha }) => piecewise([-Infinity, 0, 0], [alpha, 1, 0]),
    dx: ({ x, dy, mul, above }, { alpha }) => mul(dy, above(x, alpha)) },
  { op: "Shrink", is: "x < -lambd ? x + bias : x > lambd ? x - bias : 0", hides: false, attributes: reals({ lambd: 0.5, bias: 0 }),
    pieces: ({ lambd, bias }) => piecewise([-Infinity, 1, bias], [-lambd, 0, 0], [lambd, 1, -bias]),
    dx: ({ x, dy, mul, above, apply }, { lambd }) => mul(dy, above(apply("Abs", x), lambd)) },
  { op: "Abs", is: "|x|", hides: false, f: Math.abs, whole: (x) => (x < 0n ? -x : x),
    pieces: () => piecewise([-Infinity, -1, 0], [0, 1, 0]),
    dx: ({ x, dy, mul, sign }) => mul(dy, sign(x)) },
  { op: "Neg", is: "-x", hides: false, f: (x) => -x, whole: (x) => -x, pieces: () => piecewise([-Infinity, -1, 0]),
    dx: ({ dy, neg }) => neg(dy) },
  { op: "Sign", is: "x < 0 ? -1 : x > 0 ? 1 : 0", hides: true, f: Math.sign, whole: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
    pieces: () => piecewise([-Infinity, 0, -1], [0, 0, 1]), dx: stepwise },

  // Smooth between kinks
  { op: "Sigmoid", is: "1 / (1 + e^-x)", hides: true, f: sigmoid, kinks: smooth, role: squashesAlone,
    dx: ({ y, dy, mul, sub }) => mul(dy, mul(y, sub(1, y))) },
  { op: "Tanh", is: "tanh(x)", hides: true, f: tanh, kinks: smooth,
    dx: ({ y, dy, mul, sub, square }) => mul(dy, sub(1, square(y))) },
  { op: "HardSwish", is: "x · clip(x/6 + 1/2, 0, 1)", hides: false, kinks: () => [-3, 3],
    f: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
    dx: hardSwishGradient },
  { op: "Elu", is: "x < 0 ? alpha · (e^x - 1) : x", hides: false, attributes: reals({ alpha: 1 }), kinks: atZero,
    f: (x, { alpha }) => elu(x, alpha),
    dx: ({ x, y, dy, ...t }, { alpha }) => t.mul(dy, exponentialSlope(t, x, y, alpha, 1)) },
  { op: "Selu", is: "gamma · (x < 0 ? alpha · (e^x - 1) : x)", hides: false, attributes: reals(seluDefaults), kinks: atZero,
    f: (x, { alpha, gamma }) => gamma * elu(x, alpha),
    dx: ({ x, y, dy, ...t }, { alpha, gamma }) => t.mul(dy, exponentialSlope(t, x, y, alpha * gamma, gamma)) },
  { op: "Celu", is: "max(x, 0) + min(0, alpha · (e^(x/alpha) - 1))", hides: false, attributes: reals({ alpha: 1 }), kinks: atZero,
    f: (x, { alpha }) => Math.max(x, 0) + Math.min(0, alpha * expm1(x / alpha)),
    dx: ({ x, y, dy, ...t }, { alpha }) => t.mul(dy, exponentialSlope(t, x, t.div(y, alpha), 1, 1)) },
  { op: "Gelu", is: "x · Φ(x), or its tanh approximation", hides: false, kinks: smooth,
    attributes: (raw) => ({ tanh: raw.string("approximate", "none") === "tanh" ? 1 : 0 }),
    f: (x, { tanh }) => (tanh ? geluTanh(x) : x * normalCdf(x)),
    dx: (terms, { tanh }) => (tanh ? geluTanhGradient(terms) : geluGradient(terms)) },
  { op: "Swish", is: "x / (1 + e^(-alpha · x))", hides: false, attributes: reals({ alpha: 1 }), kinks: smooth,
    f: (x, { alpha }) => x * sigmoid(alpha * x),
    dx: swishGradient },
  { op: "Softplus", is: "ln(1 + e^x)", hides: false, f: softplus, kinks: smooth,
    dx: ({ x, dy, mul, apply }) => mul(dy, apply("Sigmoid", x)) },
  { op: "Softsign", is: "x / (1 + |x|)", hides: true, f: (x) => x / (1 + Math.abs(x)), kinks: atZero,
    dx: ({ y, dy, mul, sub, square, apply }) => mul(dy, square(sub(1, apply("Abs", y)))) },
  { op: "Mish", is: "x · tanh(softplus(x))", hides: false, f: (x) => x * tanh(softplus(x)), kinks: smooth,
    dx: mishGradient },
  { op: "Erf", is: "erf(x)", hides: true, f: erf, kinks: smooth,
    dx: ({ x, dy, mul, neg, square, apply }) => mul(mul(dy, 2 / Math.sqrt(Math.PI)), apply("Exp", neg(square(x)))) },
  { op: "Atan", is: "arctan(x)", hides: false, f: atan, kinks: smooth,
    dx: ({ x, dy, add, div, square }) => div(dy, add(square(x), 1)) },
  { op: "Asinh", is: "arsinh(x)", hides: false, f: asinh, kinks: smooth,
    dx: ({ x, dy, add, div, square, apply }) => div(dy, apply("Sqrt", add(square(x), 1))) },
  { op: "Exp", is: "e^x", hides: false, f: exp, moments: exponential,
    dx: ({ y, dy, mul }) => mul(dy, y) },

  // Mathematics through which no statistics are propagated
  { op: "Sqrt", is: "√x", hides: false, f: Math.sqrt,
    dx: ({ y, dy, mul, div }) => div(mul(dy, 0.5), y) },
  { op: "Reciprocal", is: "1 / x", hides: false, f: (x) => 1 / x,
    dx: ({ y, dy, mul, neg, square }) => neg(mul(dy, square(y))) },
  { op: "Log", is: "ln(x)", hides: false, f: log,
    dx: ({ x, dy, div }) => div(dy, x) },
  { op: "Sin", is: "sin(x)", hides: false, f: sin,
    dx: ({ x, dy, mul, apply }) => mul(dy, apply("Cos", x)) },
  { op: "Cos", is: "cos(x)", hides: false, f: cos,
    dx: ({ x, dy, mul, neg, apply }) => neg(mul(dy, apply("Sin", x))) },
  { op: "Tan", is: "tan(x)", hides: false, f: tan,
    dx: ({ y, dy, add, mul, square }) => mul(dy, add(square(y), 1)) },
  { op: "Asin", is: "arcsin(x)", hides: false, f: asin,
    dx: ({ x, dy, sub, div, square, apply }) => div(dy, apply("Sqrt", sub(1, square(x)))) },
  { op: "Acos", is: "arccos(x)", hides: false, f: acos,
    dx: ({ x, dy, sub, div, neg, square, apply }) => neg(div(dy, apply("Sqrt", sub(1, square(x))))) },
  { op: "Sinh", is: "sinh(x)", hides: false, f: sinh,
    dx: ({ x, dy, mul, apply }) => mul(dy, apply("Cosh", x)) },
  { op: "Cosh", is: "cosh(x)", hides: false, f: cosh,
    dx: ({ x, dy, mul, apply }) => mul(dy, apply("Sinh", x)) },
  { op: "Acosh", is: "arcosh(x)", hides: false, f: acosh,
    dx: ({ x, dy, sub, div, square, apply }) => div(dy, apply("Sqrt", sub(square(x), 1))) },
  { op: "Atanh", is: "artanh(x)", hides: false, f: atanh,
    dx: ({ x, dy, sub, div, square }) => div(dy, sub(1, square(x))) },

  // Rounding, tests, bits
  { op: "Floor", is: "⌊x⌋", hides: true, f: Math.floor, dx: stepwise },
  { op: "Ceil", is: "⌈x⌉", hides: true, f: Math.ceil, dx: stepwise },
  { op: "Round", is: "the nearest integer, ties to even", hides: true, f: roundHalfToEven, dx: stepwise },
  { op: "IsNaN", is: "x is no number", hides: true, dtype: "bool", f: Number.isNaN, dx: discrete },
  { op: "IsInf", is: "x is infinite, with a sign that counts", hides: true, dtype: "bool", dx: discrete,
    attributes: (raw) => ({ below: raw.int("detect_negative", 1), above: raw.int("detect_positive", 1) }),
    f: (x, { below, above }) => (x === Infinity && above === 1) || (x === -Infinity && below === 1) },
  { op: "Not", is: "¬x", hides: true, f: (x) => x === 0, dx: discrete },
  { op: "BitwiseNot", is: "~x", hides: false, whole: (x) => ~x, dx: discrete },
];

function momentsOf({ f, pieces, kinks, moments }: Unary): Operator<Reals>["moments"] {
  if (!pieces && !kinks && !moments) return noMoments;
  return (context) => {
    const x = context.elements(0);
    const { attrs } = context;
    if (x === undefined) return [undefined];
    if (pieces) {
      const linear = pieces(attrs);
      const bends = linear.slice(1).map(({ from }) => from);
      const value = (y: number) => pieceAt(linear, y);
      return [
        applied(x, { f: value, kinks: bends, moments: (y) => piecewiseLinearMoments(linear, y) }),
      ];
    }
    if (f === undefined) return [undefined];
    const value = (y: number) => Number(f(y, attrs));
    const bends = kinks?.(attrs) ?? [];
    const own = moments ?? ((y: MeanVariance) => smoothMoments(value, bends, y));
    return [applied(x, { f: value, kinks: bends, moments: own })];
  };
}

/** Whether f(0) is 0. */
function keepsZero({ f, pieces }: Unary, attrs: Reals): boolean {
  if (f) return Number(f(0, attrs)) === 0;
  return pieces?.(attrs).findLast(({ from }) => from <= 0)?.intercept === 0;
}

function gradientRule(dx: (terms: Terms, attributes: Reals) => Value): GradientRule<Reals> {
  return ({ attrs, emit, input, output, gradient }) => {
    const [y, dy] = [output(), gradient()];
    const x = input(0);
    return [dx({ ...algebraOf(emit, x), x, y, dy }, attrs)];
  };
}

function define(row: Unary): Operator {
  const { f, whole } = row;
  const fold: Operator<Reals>["fold"] =
    f || whole
      ? (inputs, attrs, [y]) =>
          foldElementwise(inputs, y, { float: f && ((x) => f(x, attrs)), whole })
      : notFolded;
  return defineElementwise<Reals>({
    opType: row.op,
    summary: `y = ${row.is}`,
    attributes: row.attributes ?? (() => ({})),
    inputs: 1,
    dtype: row.dtype,
    atZero: (attrs) => (keepsZero(row, attrs) ? staysZero : leavesZero),
    fold,
    moments: momentsOf(row),
    gradient: typeof row.dx === "function" ? { rule: gradientRule(row.dx) } : row.dx,
    role: row.role ?? noRole,
    training: noWeights,
    constantChannels: placeByPlace(fold),
    hidesDifferences: row.hides,
  });
}

/** All operators of the table. */
export const unaryOperators: readonly Operator[] = table.map(define);
