/**
 * @file Numbers of about 106 bits as unevaluated sums of two, from + - * / and the square root alone. IEEE 754
 * says to the bit what these give, so that every JavaScript engine gives the same.
 *
 * Dekker, "A Floating-Point Technique for Extending the Available Precision", Numerische Mathematik 18 (1971);
 * Hida, Li and Bailey, "Algorithms for Quad-Double Precision Floating Point Arithmetic", ARITH 15 (2001).
 */

/** `high + low`, where `low` is at most half a unit in the last place of `high`. */
export interface DoubleDouble {
  readonly high: number;
  readonly low: number;
}

/** The exact sum of two numbers. */
export function sumOf(a: number, b: number): DoubleDouble {
  const high = a + b;
  const own = high - a;
  return { high, low: a - (high - own) + (b - own) };
}

/** The exact sum of two numbers, the first of which is the larger. */
function sumInOrder(a: number, b: number): DoubleDouble {
  const high = a + b;
  return { high, low: b - (high - a) };
}

/** 2²⁷ + 1 cuts a number into halves of 26 bits, whose products are exact. */
const splitter = 134217729;

/** The exact product of two numbers below 2⁹⁹⁶ whose product is neither too large nor too small. */
export function productOf(a: number, b: number): DoubleDouble {
  const high = a * b;
  const [aScaled, bScaled] = [splitter * a, splitter * b];
  const aTop = aScaled - (aScaled - a);
  const bTop = bScaled - (bScaled - b);
  const [aRest, bRest] = [a - aTop, b - bTop];
  return { high, low: aTop * bTop - high + aTop * bRest + aRest * bTop + aRest * bRest };
}

/** a + b. */
export function add(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = sumOf(a.high, b.high);
  const low = sumOf(a.low, b.low);
  const sum = sumInOrder(high.high, high.low + low.high);
  return sumInOrder(sum.high, sum.low + low.low);
}

/** a · b. */
export function multiply(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const { high, low } = productOf(a.high, b.high);
  return sumInOrder(high, low + (a.high * b.low + a.low * b.high));
}

/** a / b. */
export function divide(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = a.high / b.high;
  const rest = add(a, negate(multiply(doubled(high), b)));
  return sumInOrder(high, rest.high / b.high);
}

/** √a of a positive number. */
export function squareRoot(a: DoubleDouble): DoubleDouble {
  const high = Math.sqrt(a.high);
  const rest = add(a, negate(productOf(high, high)));
  return sumInOrder(high, rest.high / (2 * high));
}

/** A number as it is. */
export function doubled(value: number): DoubleDouble {
  return { high: value, low: 0 };
}

/** -a. */
export function negate({ high, low }: DoubleDouble): DoubleDouble {
  return { high: -high, low: -low };
}

/** a · factor, for a power of two. */
export function scaled({ high, low }: DoubleDouble, factor: number): DoubleDouble {
  return { high: high * factor, low: low * factor };
}

/** Σ coefficients[k] xᵏ. */
export function polynomial(coefficients: readonly DoubleDouble[], x: DoubleDouble): DoubleDouble {
  return coefficients.reduceRight((sum, coefficient) => add(multiply(sum, x), coefficient));
}
