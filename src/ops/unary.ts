/** @file The unary elementwise operators, as one table: activations, mathematics, rounding, tests. */
import type { DType } from "../tensor/dtype.ts";
import {
  erf,
  type LinearPiece,
  type MeanVariance,
  normalCdf,
  piecewiseLinearMoments,
  smoothMoments,
} from "../tensor/gaussian.ts";
import type { AttributeReader } from "./attributes.ts";
import { defineElementwise, discrete, stepwise } from "./elementwise.ts";
import { foldElementwise, type Scalar } from "./fold.ts";
import { perChannel } from "./moments.ts";
import { type GradientFacet, noMoments, notFolded, notYet, type Operator } from "./operator.ts";

/** Attributes of a unary operator, all as numbers. */
type Reals = Readonly<Record<string, number>>;

interface Unary {
  readonly op: string;
  /** y as a formula of x and the attributes. */
  readonly is: string;
  readonly attributes?: (raw: AttributeReader) => Reals;
  /** The element type of the output where it is not the input's. */
  readonly dtype?: DType;
  readonly f?: (x: number, attributes: Reals) => Scalar;
  /** The same, exactly, for integers. */
  readonly whole?: (x: bigint) => Scalar;
  /** For f piecewise linear: its pieces. Exactly one of these four gives the moments, or none. */
  readonly pieces?: (attributes: Reals) => readonly LinearPiece[];
  /** For f smooth between kinks: the kinks. */
  readonly kinks?: (attributes: Reals) => readonly number[];
  readonly moments?: (x: MeanVariance) => MeanVariance;
  readonly gradient?: GradientFacet;
}

const reals =
  (defaults: Reals) =>
  (raw: AttributeReader): Reals =>
    Object.fromEntries(
      Object.entries(defaults).map(([name, fallback]) => [name, raw.float(name, fallback)]),
    );

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

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const elu = (x: number, alpha: number) => (x > 0 ? x : alpha * Math.expm1(x));
const geluTanh = (x: number) =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const seluDefaults = { alpha: 1.6732631921768188, gamma: 1.0507010221481323 };

/** Ties go to the even neighbour. */
function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

// E e^X = e^(m + v/2), Var e^X = (e^v - 1) e^(2m + v)
const exponential = ({ mean, variance }: MeanVariance): MeanVariance => ({
  mean: Math.exp(mean + variance / 2),
  variance: Math.expm1(variance) * Math.exp(2 * mean + variance),
});

// biome-ignore format: a table
const table: readonly Unary[] = [
  // Piecewise linear
  { op: "Relu", is: "max(x, 0)", f: (x) => Math.max(x, 0), whole: (x) => (x > 0n ? x : 0n),
    pieces: () => piecewise([-Infinity, 0, 0], [0, 1, 0]) },
  { op: "LeakyRelu", is: "x < 0 ? alpha · x : x", attributes: reals({ alpha: 0.01 }),
    pieces: ({ alpha }) => piecewise([-Infinity, alpha, 0], [0, 1, 0]) },
  { op: "HardSigmoid", is: "clip(alpha · x + beta, 0, 1)", attributes: reals({ alpha: 0.2, beta: 0.5 }),
    pieces: ({ alpha, beta }) => clipped(alpha, beta, 0, 1) },
  { op: "ThresholdedRelu", is: "x > alpha ? x : 0", attributes: reals({ alpha: 1 }),
    pieces: ({ alpha }) => piecewise([-Infinity, 0, 0], [alpha, 1, 0]) },
  { op: "Shrink", is: "x < -lambd ? x + bias : x > lambd ? x - bias : 0", attributes: reals({ lambd: 0.5, bias: 0 }),
    pieces: ({ lambd, bias }) => piecewise([-Infinity, 1, bias], [-lambd, 0, 0], [lambd, 1, -bias]) },
  { op: "Abs", is: "|x|", f: Math.abs, whole: (x) => (x < 0n ? -x : x),
    pieces: () => piecewise([-Infinity, -1, 0], [0, 1, 0]) },
  { op: "Neg", is: "-x", f: (x) => -x, whole: (x) => -x, pieces: () => piecewise([-Infinity, -1, 0]) },
  { op: "Sign", is: "x < 0 ? -1 : x > 0 ? 1 : 0", f: Math.sign, whole: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
    pieces: () => piecewise([-Infinity, 0, -1], [0, 0, 1]), gradient: stepwise },

  // Smooth between kinks
  { op: "Sigmoid", is: "1 / (1 + e^-x)", f: sigmoid, kinks: smooth },
  { op: "Tanh", is: "tanh(x)", f: Math.tanh, kinks: smooth },
  { op: "HardSwish", is: "x · clip(x/6 + 1/2, 0, 1)", kinks: () => [-3, 3],
    f: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1) },
  { op: "Elu", is: "x < 0 ? alpha · (e^x - 1) : x", attributes: reals({ alpha: 1 }), kinks: atZero,
    f: (x, { alpha }) => elu(x, alpha) },
  { op: "Selu", is: "gamma · (x < 0 ? alpha · (e^x - 1) : x)", attributes: reals(seluDefaults), kinks: atZero,
    f: (x, { alpha, gamma }) => gamma * elu(x, alpha) },
  { op: "Celu", is: "max(x, 0) + min(0, alpha · (e^(x/alpha) - 1))", attributes: reals({ alpha: 1 }), kinks: atZero,
    f: (x, { alpha }) => Math.max(x, 0) + Math.min(0, alpha * Math.expm1(x / alpha)) },
  { op: "Gelu", is: "x · Φ(x), or its tanh approximation", kinks: smooth,
    attributes: (raw) => ({ tanh: raw.string("approximate", "none") === "tanh" ? 1 : 0 }),
    f: (x, { tanh }) => (tanh ? geluTanh(x) : x * normalCdf(x)) },
  { op: "Swish", is: "x / (1 + e^(-alpha · x))", attributes: reals({ alpha: 1 }), kinks: smooth,
    f: (x, { alpha }) => x * sigmoid(alpha * x) },
  { op: "Softplus", is: "ln(1 + e^x)", f: softplus, kinks: smooth },
  { op: "Softsign", is: "x / (1 + |x|)", f: (x) => x / (1 + Math.abs(x)), kinks: atZero },
  { op: "Mish", is: "x · tanh(softplus(x))", f: (x) => x * Math.tanh(softplus(x)), kinks: smooth },
  { op: "Erf", is: "erf(x)", f: erf, kinks: smooth },
  { op: "Atan", is: "arctan(x)", f: Math.atan, kinks: smooth },
  { op: "Asinh", is: "arsinh(x)", f: Math.asinh, kinks: smooth },
  { op: "Exp", is: "e^x", f: Math.exp, moments: exponential },

  // Mathematics through which no statistics are propagated
  { op: "Sqrt", is: "√x", f: Math.sqrt },
  { op: "Reciprocal", is: "1 / x", f: (x) => 1 / x },
  { op: "Log", is: "ln(x)", f: Math.log },
  { op: "Sin", is: "sin(x)", f: Math.sin },
  { op: "Cos", is: "cos(x)", f: Math.cos },
  { op: "Tan", is: "tan(x)", f: Math.tan },
  { op: "Asin", is: "arcsin(x)", f: Math.asin },
  { op: "Acos", is: "arccos(x)", f: Math.acos },
  { op: "Sinh", is: "sinh(x)", f: Math.sinh },
  { op: "Cosh", is: "cosh(x)", f: Math.cosh },
  { op: "Acosh", is: "arcosh(x)", f: Math.acosh },
  { op: "Atanh", is: "artanh(x)", f: Math.atanh },

  // Rounding, tests, bits
  { op: "Floor", is: "⌊x⌋", f: Math.floor, gradient: stepwise },
  { op: "Ceil", is: "⌈x⌉", f: Math.ceil, gradient: stepwise },
  { op: "Round", is: "the nearest integer, ties to even", f: roundHalfToEven, gradient: stepwise },
  { op: "IsNaN", is: "x is no number", dtype: "bool", f: Number.isNaN, gradient: discrete },
  { op: "IsInf", is: "x is infinite, with a sign that counts", dtype: "bool", gradient: discrete,
    attributes: (raw) => ({ below: raw.int("detect_negative", 1), above: raw.int("detect_positive", 1) }),
    f: (x, { below, above }) => (x === Infinity && above === 1) || (x === -Infinity && below === 1) },
  { op: "Not", is: "¬x", f: (x) => x === 0, gradient: discrete },
  { op: "BitwiseNot", is: "~x", whole: (x) => ~x, gradient: discrete },
];

function momentsOf({ f, pieces, kinks, moments }: Unary): Operator<Reals>["moments"] {
  const rule = (attrs: Reals): ((x: MeanVariance) => MeanVariance) | undefined => {
    if (pieces) {
      const linear = pieces(attrs);
      return (x) => piecewiseLinearMoments(linear, x);
    }
    if (kinks && f) return (x) => smoothMoments((y) => Number(f(y, attrs)), kinks(attrs), x);
    return moments;
  };
  if (!pieces && !kinks && !moments) return noMoments;
  return (context) => {
    const x = context.moments(0);
    const apply = rule(context.attrs);
    return [x && apply && perChannel(x, apply)];
  };
}

function define(row: Unary): Operator {
  const { f, whole } = row;
  return defineElementwise<Reals>({
    opType: row.op,
    summary: `y = ${row.is}`,
    attributes: row.attributes ?? (() => ({})),
    inputs: 1,
    dtype: row.dtype,
    fold:
      f || whole
        ? (inputs, attrs, [y]) =>
            foldElementwise(inputs, y, { float: f && ((x) => f(x, attrs)), whole })
        : notFolded,
    moments: momentsOf(row),
    gradient: row.gradient ?? notYet,
  });
}

/** All operators of the table. */
export const unaryOperators: readonly Operator[] = table.map(define);
