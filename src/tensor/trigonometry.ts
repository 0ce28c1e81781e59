/**
 * @file Sines, tangents and their inverses, the same to the bit in every JavaScript engine, which `Math.sin` and
 * its kin are not. The value is within one unit in the last place of the exact one, for large arguments, too.
 *
 * Payne and Hanek, "Radian Reduction for Trigonometric Functions", SIGNUM Newsletter 18 (1983): the argument loses
 * its multiples of π/2 with as many digits of π as it takes; a series in twice the precision does the rest.
 */
import {
  add,
  type DoubleDouble,
  divide,
  doubled,
  multiply,
  negate,
  polynomial,
  scaled,
  squareRoot,
  sumOf,
} from "./double-double.ts";

const one = doubled(1);
const halfPi: DoubleDouble = { high: Math.PI / 2, low: 6.123233995736766e-17 };

/** π/2 in parts of 33 bits, which times a whole number below 2²⁰ are exact, and the rest. */
const halfPiParts = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21] as const;
const halfPiRest = 8.4784276603689e-32;
const largestShort = 2 ** 20;

/** ⌊π/2 · 2¹²⁰⁰⌋: the largest number has 1024 bits before its point. */
const halfPiBits = 1200n;
const halfPiDigits = BigInt(
  "0x1921fb54442d18469898cc51701b839a252049c1114cf98e804177d4c76273644a29410f31c6809bbdf2a33679a748636605" +
    "614dbe4be286e9fc26adadaa3848bc90b6aecc4bcfd8de89885d34c6fdad617feb96de80d6fdbdc70d7f6b5133f4b5d3e4822f" +
    "8963fcc9250cca3d9c8b67b8400f97142c77e0b31b4906c38aba734d22c7f51fa499ebf06caba47b9475b2c38c5e6ac410a",
);

/** x = quarters · π/2 + rest, with |rest| at most about π/4; the quarters modulo 4. */
function reduced(x: number): { readonly quarters: number; readonly rest: DoubleDouble } {
  if (Math.abs(x) >= largestShort) return reducedLong(x);
  const k = Math.round(x / halfPi.high);
  const [first, ...others] = halfPiParts;
  let rest = doubled(x - k * first);
  for (const part of [...others, halfPiRest]) rest = add(rest, doubled(-k * part));
  return { quarters: k & 3, rest };
}

/** The same for numbers so large that their multiples of π/2 take more than four parts: in whole numbers. */
function reducedLong(x: number): { readonly quarters: number; readonly rest: DoubleDouble } {
  // A number of at least 2²⁰ that is not whole is a multiple of 2⁻³².
  const isWhole = Number.isInteger(x);
  const units = BigInt(isWhole ? x : x * 2 ** 32);
  const whole = units << (isWhole ? halfPiBits : halfPiBits - 32n);
  let k = whole / halfPiDigits;
  let rest = whole - k * halfPiDigits;
  if (2n * rest > halfPiDigits) [k, rest] = [k + 1n, rest - halfPiDigits];
  if (2n * rest < -halfPiDigits) [k, rest] = [k - 1n, rest + halfPiDigits];
  const kept = rest >> 800n;
  const high = Number(kept);
  const low = Number(kept - BigInt(high));
  return { quarters: Number(k & 3n), rest: scaled({ high, low }, 2 ** -400) };
}

/** (-1)^k / (2k + first)!, for the series of sine (1) and cosine (0) in x². */
function factorials(first: 0 | 1): readonly DoubleDouble[] {
  const coefficients = [one];
  for (let n = first + 1; n < 26; n += 2)
    coefficients.push(divide(coefficients[coefficients.length - 1], doubled(-n * (n + 1))));
  return coefficients;
}

const sineSeries = factorials(1);
const cosineSeries = factorials(0);

function sineOf(x: DoubleDouble): DoubleDouble {
  return multiply(x, polynomial(sineSeries, multiply(x, x)));
}

function cosineOf(x: DoubleDouble): DoubleDouble {
  return polynomial(cosineSeries, multiply(x, x));
}

/** The sine after so many quarters of a turn. */
function sineAfter(rest: DoubleDouble, quarters: number): DoubleDouble {
  const value = quarters % 2 === 0 ? sineOf(rest) : cosineOf(rest);
  return quarters % 4 < 2 ? value : negate(value);
}

/** The sine. */
export function sin(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x === 0 ? x : Number.NaN;
  const { quarters, rest } = reduced(x);
  return sineAfter(rest, quarters).high;
}

/** The cosine. */
export function cos(x: number): number {
  if (!Number.isFinite(x)) return Number.NaN;
  const { quarters, rest } = reduced(x);
  return sineAfter(rest, quarters + 1).high;
}

/** The tangent. */
export function tan(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x === 0 ? x : Number.NaN;
  const { quarters, rest } = reduced(x);
  return divide(sineAfter(rest, quarters), sineAfter(rest, quarters + 1)).high;
}

/** (-1)^k / (2k + 1), for the series of the arctangent in x². */
const arctangentSeries = Array.from({ length: 19 }, (_, k) =>
  divide(one, doubled((k % 2 === 0 ? 1 : -1) * (2 * k + 1))),
);

/** arctan x, for x from 0 to 2⁶⁰. */
function arctangentOf(x: DoubleDouble): DoubleDouble {
  if (x.high > 1) return add(halfPi, negate(arctangentOf(divide(one, x))));
  // arctan x = 2 arctan(x / (1 + √(1 + x²))), twice: 0.2 and less is left.
  let small = x;
  for (let halving = 0; halving < 2; halving++)
    small = divide(small, add(one, squareRoot(add(one, multiply(small, small)))));
  const series = polynomial(arctangentSeries, multiply(small, small));
  return scaled(multiply(small, series), 4);
}

/** The arctangent. */
export function atan(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  const size = Math.abs(x);
  const value = size > 2 ** 60 ? add(halfPi, doubled(-1 / size)) : arctangentOf(doubled(size));
  return Math.sign(x) * value.high;
}

/** The arcsine; NaN beyond ±1. */
export function asin(x: number): number {
  if (x === 0 || !(Math.abs(x) <= 1)) return x === 0 ? x : Number.NaN;
  const size = Math.abs(x);
  if (size === 1) return x * halfPi.high;
  // √(1 - x²) as a product keeps its digits near 1.
  const cosine = squareRoot(multiply(sumOf(1, -size), sumOf(1, size)));
  return Math.sign(x) * arctangentOf(divide(doubled(size), cosine)).high;
}

/** The arccosine; NaN beyond ±1. */
export function acos(x: number): number {
  if (!(Math.abs(x) <= 1)) return Number.NaN;
  if (x === -1 || x === 1) return x === 1 ? 0 : Math.PI;
  return scaled(arctangentOf(squareRoot(divide(sumOf(1, -x), sumOf(1, x)))), 2).high;
}
