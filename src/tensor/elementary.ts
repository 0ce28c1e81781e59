/**
 * @file Exponentials, logarithms, powers and what is made of them, the same to the bit in every JavaScript
 * engine, which `Math.exp` and its kin are not. The value is within one unit in the last place of the exact one.
 *
 * Tang's method of tables (ACM Transactions on Mathematical Software 15 and 16, 1989 and 1990): the argument is
 * reduced to one near 0 by a table, and a short series does the rest, in twice the precision of a number.
 */
import {
  add,
  type DoubleDouble,
  divide,
  doubled,
  multiply,
  negate,
  productOf,
  scaled,
  squareRoot,
  sumOf,
} from "./double-double.ts";

const one = doubled(1);
const third: DoubleDouble = { high: 1 / 3, low: 1.850371707708594e-17 };
const ln2: DoubleDouble = { high: Math.LN2, low: 2.3190468138462996e-17 };

/** Steps of the table of powers: 2^(j/32). */
const steps = 32;
/** ln 2 / 32 in two parts; a whole number below 2¹⁷ times the first is exact. */
const stepTop = 0.021660849392446835;
const stepRest = 5.145609244655338e-14;
/** Beyond these e^x overflows, or is 0. */
const [largestPower, smallestPower] = [709.79, -745.14];

const powers: readonly DoubleDouble[] = powersOfRoots();

/** 2^(j/32): products of √2, ∜2, ... */
function powersOfRoots(): readonly DoubleDouble[] {
  let table = [one];
  let root = doubled(2);
  for (let length = 1; length < steps; length *= 2) {
    root = squareRoot(root);
    const factor = root;
    table = table.flatMap((power) => [power, multiply(power, factor)]);
  }
  return table;
}

/** Numbers beyond this, and exponents of powers, are so large that their size alone decides. */
const largestSquarable = 2 ** 64;

const view = new DataView(new ArrayBuffer(8));

/** 2^exponent, exactly, for a whole number from -1022 to 1023. */
export function powerOfTwo(exponent: number): number {
  view.setUint32(0, (exponent + 1023) << 20);
  view.setUint32(4, 0);
  return view.getFloat64(0);
}

/** The whole number n with 2ⁿ <= |value| < 2ⁿ⁺¹ for a number that is finite and not 0. */
export function exponentOf(value: number): number {
  view.setFloat64(0, value);
  const exponent = (view.getUint32(0) >>> 20) & 0x7ff;
  return exponent > 0 ? exponent - 1023 : exponentOf(value * powerOfTwo(54)) - 54;
}

/** value · 2^exponent, rounded once. */
function timesPowerOfTwo(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * powerOfTwo(half) * powerOfTwo(exponent - half);
}

/** e^x = 2^(k/32) · (1 + rest) for |x| below 746: k, and the rest, which is at most 0.011. */
function reducedPower(x: DoubleDouble): { readonly k: number; readonly rest: DoubleDouble } {
  const k = Math.round(x.high * (steps / ln2.high));
  const product = productOf(k, stepRest);
  const top = sumOf(x.high - k * stepTop, -product.high);
  const r = sumOf(top.high, top.low + (x.low - product.low));
  // r + r²/2 in full; of the terms above, half of the digits are enough.
  const square = multiply(r, r);
  const h = r.high;
  const above = h * h * h * (1 / 6 + h * (1 / 24 + h * (1 / 120 + h * (1 / 720 + h / 5040))));
  return { k, rest: add(r, sumOf(square.high / 2, square.low / 2 + above)) };
}

/** e^x as a number from 1 to 2 and an exponent, for |x| below 746. */
function power(x: DoubleDouble): { readonly value: DoubleDouble; readonly exponent: number } {
  const { k, rest } = reducedPower(x);
  const exponent = Math.floor(k / steps);
  const table = powers[k - exponent * steps];
  return { value: add(table, multiply(table, rest)), exponent };
}

/** e^x for |x| below 700. */
function expOf(x: DoubleDouble): DoubleDouble {
  const { value, exponent } = power(x);
  return scaled(value, powerOfTwo(exponent));
}

/** e^x - 1 for |x| below 700, with all its digits near 0, too. */
function expMinusOne(x: DoubleDouble): DoubleDouble {
  const { k, rest } = reducedPower(x);
  return k === 0 ? rest : add(expOf(x), doubled(-1));
}

/** e^x to the nearest number, for any x. */
function rounded(x: DoubleDouble): number {
  if (x.high > largestPower) return Number.POSITIVE_INFINITY;
  if (x.high < smallestPower) return 0;
  const { value, exponent } = power(x);
  return timesPowerOfTwo(value.high, exponent);
}

/** e^x. The rest is a plain number here: statistics ask for millions of these. */
export function exp(x: number): number {
  if (!(x < largestPower)) return x > 0 ? Number.POSITIVE_INFINITY : x;
  if (x < smallestPower) return 0;
  const k = Math.round(x * (steps / ln2.high));
  const [top, low] = [x - k * stepTop, k * stepRest];
  const r = top - low;
  const lost = top - r - low;
  const above = 1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040)));
  const rest = r + (lost + r * r * (0.5 + r * above));
  const exponent = Math.floor(k / steps);
  const table = powers[k - exponent * steps];
  return timesPowerOfTwo(table.high + (table.low + table.high * rest), exponent);
}

/** e^x - 1. */
export function expm1(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  if (x < -40) return -1;
  return x > 700 ? exp(x) : expMinusOne(doubled(x)).high;
}

/** ln(j/32) for j from 0; those from 1/√2 to √2 are used. */
const logarithms: readonly DoubleDouble[] = Array.from({ length: 46 }, (_, j) =>
  j < 22 ? doubled(Number.NaN) : logarithmOfRatio(j, 32),
);

/** ln(a/b) = 2 artanh((a - b) / (a + b)), by its series. */
function logarithmOfRatio(a: number, b: number): DoubleDouble {
  const s = divide(doubled(a - b), doubled(a + b));
  const square = multiply(s, s);
  let sum = doubled(0);
  for (let n = 45; n >= 1; n -= 2) sum = add(multiply(sum, square), divide(one, doubled(n)));
  return scaled(multiply(s, sum), 2);
}

/** ln x of a positive, finite number. */
function logOf(x: DoubleDouble): DoubleDouble {
  let exponent = exponentOf(x.high);
  let m = timesPowerOfTwo(x.high, -exponent);
  if (m > Math.SQRT2) {
    m /= 2;
    exponent += 1;
  }
  const j = Math.round(m * 32);
  // ln m = ln(j/32) + 2 artanh(s)
  const s = divide(doubled(m - j / 32), sumOf(m, j / 32));
  const square = multiply(s, s);
  const h = square.high;
  const above = s.high * h * h * (1 / 5 + h * (1 / 7 + h / 9));
  const cube = multiply(multiply(square, s), third);
  const series = scaled(add(s, sumOf(cube.high, cube.low + above)), 2);
  const whole = add(multiply(doubled(exponent), ln2), logarithms[j]);
  const ratio = x.low / x.high;
  return add(add(whole, series), doubled(ratio - (ratio * ratio) / 2));
}

/** ln x; NaN below 0. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  return x === Number.POSITIVE_INFINITY ? x : logOf(doubled(x)).high;
}

/** ln(1 + x); NaN below -1. */
export function log1p(x: number): number {
  if (x === 0 || !(x > -1) || x > largestSquarable) return x === 0 ? x : log(1 + x);
  return logOf(sumOf(1, x)).high;
}

/** The logarithm to base 2, exact for powers of two; NaN below 0. */
export function log2(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return log(x);
  return divide(logOf(doubled(x)), ln2).high;
}

/**
 * base^exponent as C and ONNX Runtime define it: 1 where the exponent is 0 or the base 1, whatever the other;
 * NaN for negative bases with exponents that are not whole.
 */
export function pow(base: number, exponent: number): number {
  if (exponent === 0 || base === 1) return 1;
  if (Number.isNaN(base) || Number.isNaN(exponent)) return Number.NaN;
  const isOdd = Math.abs(exponent % 2) === 1;
  const sign = isOdd && (base < 0 || Object.is(base, -0)) ? -1 : 1;
  const size = Math.abs(base);
  if (size === 1 && !Number.isFinite(exponent)) return 1;
  if (base < 0 && base !== Number.NEGATIVE_INFINITY && !Number.isInteger(exponent))
    return Number.isFinite(exponent) ? Number.NaN : pow(size, exponent);
  if (size === 0 || size === Number.POSITIVE_INFINITY)
    return sign * ((size === 0) === exponent > 0 ? 0 : Number.POSITIVE_INFINITY);
  const limited = Math.min(largestSquarable, Math.max(-largestSquarable, exponent));
  return sign * rounded(multiply(logOf(doubled(size)), doubled(limited)));
}

/** The length of the vector (a, b). */
export function hypot(a: number, b: number): number {
  const largest = Math.max(Math.abs(a), Math.abs(b));
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  // Scaling by powers of two keeps squares from overflowing or vanishing.
  const exponent = exponentOf(largest);
  const [x, y] = [timesPowerOfTwo(a, -exponent), timesPowerOfTwo(b, -exponent)];
  return timesPowerOfTwo(squareRoot(add(productOf(x, x), productOf(y, y))).high, exponent);
}

/** Where e^-x no longer counts beside e^x. */
const oneSided = 40;

/** The hyperbolic sine. */
export function sinh(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  const size = Math.abs(x);
  if (size > oneSided) return Math.sign(x) * halfOfPower(size);
  // With m = e^x - 1: (e^x - e^-x) / 2 = (m + m / (m + 1)) / 2.
  const m = expMinusOne(doubled(size));
  return (Math.sign(x) * add(m, divide(m, add(m, one))).high) / 2;
}

/** The hyperbolic cosine. */
export function cosh(x: number): number {
  const size = Math.abs(x);
  if (!(size <= oneSided)) return Number.isNaN(x) ? x : halfOfPower(size);
  const e = expOf(doubled(size));
  return add(e, divide(one, e)).high / 2;
}

/** e^x / 2, which may be finite where e^x is not. */
function halfOfPower(x: number): number {
  return rounded(add(doubled(Math.min(x, 1000)), negate(ln2)));
}

/** The hyperbolic tangent. */
export function tanh(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  const size = Math.abs(x);
  if (size > oneSided) return Math.sign(x);
  const m = expMinusOne(doubled(2 * size));
  return Math.sign(x) * divide(m, add(m, doubled(2))).high;
}

/** The inverse of the hyperbolic sine. */
export function asinh(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const size = Math.abs(x);
  if (size < tiny) return x - (x * x * x) / 6;
  if (size > largestSquarable) return Math.sign(x) * logOfDouble(size);
  const square = productOf(size, size);
  return Math.sign(x) * logOf(add(doubled(size), squareRoot(add(square, one)))).high;
}

/** The inverse of the hyperbolic cosine; NaN below 1. */
export function acosh(x: number): number {
  if (!(x > 1) || x === Number.POSITIVE_INFINITY) return x === 1 ? 0 : x > 1 ? x : Number.NaN;
  if (x > largestSquarable) return logOfDouble(x);
  // x² - 1 as a product keeps its digits near 1.
  const square = multiply(sumOf(x, -1), sumOf(x, 1));
  return logOf(add(doubled(x), squareRoot(square))).high;
}

/** Below this the series of odd functions ends after two terms. */
const tiny = 2 ** -26;

/** ln 2x. */
function logOfDouble(x: number): number {
  return add(logOf(doubled(x)), ln2).high;
}

/** The inverse of the hyperbolic tangent; NaN beyond ±1. */
export function atanh(x: number): number {
  if (Math.abs(x) < tiny) return x + (x * x * x) / 3;
  if (!(Math.abs(x) < 1)) return Math.abs(x) === 1 ? x * Number.POSITIVE_INFINITY : Number.NaN;
  return logOf(divide(sumOf(1, x), sumOf(1, -x))).high / 2;
}

/** x². */
export function square(x: number): number {
  return x * x;
}
