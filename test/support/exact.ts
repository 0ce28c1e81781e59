/**
 * @file Functions of numbers to hundreds of digits, in whole numbers: what the library's own are judged by.
 * A value x is the whole number x · 2¹²⁰⁰; series and Newton's method, nothing shared with the library.
 */

const bits = 1200n;
const one = 1n << bits;
const view = new DataView(new ArrayBuffer(8));

/** A number as it is, of which 2⁻¹⁰⁷⁴ is the smallest. */
export function exactly(x: number): bigint {
  view.setFloat64(0, x);
  const word = view.getBigUint64(0);
  const exponent = (word >> 52n) & 2047n;
  const fraction = (word & ((1n << 52n) - 1n)) | (exponent > 0n ? 1n << 52n : 0n);
  const value = fraction << ((exponent > 0n ? exponent : 1n) - 1075n + bits);
  return x < 0 ? -value : value;
}

/** How far a number is from the exact value, in units of its last place. */
export function unitsOff(got: number, want: bigint): number {
  view.setFloat64(0, Math.abs(got));
  const exponent = (view.getBigUint64(0) >> 52n) & 2047n;
  const unit = 1n << ((exponent > 0n ? exponent : 1n) - 1075n + bits);
  const difference = exactly(got) - want;
  return Number(((difference < 0n ? -difference : difference) << 30n) / unit) / 2 ** 30;
}

const times = (a: bigint, b: bigint) => (a * b) >> bits;
const over = (a: bigint, b: bigint) => (a << bits) / b;

function root(a: bigint): bigint {
  if (a === 0n) return a;
  const target = a << bits;
  let x = 1n << BigInt(Math.ceil(target.toString(2).length / 2));
  for (;;) {
    const next = (x + target / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** Σ of terms, each of which is the one before times a ratio that depends on its place. */
function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let [sum, term] = [0n, first];
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = next(term, n);
  }
  return sum;
}

/** e^x: the series of e^(x / 2²⁴), squared 24 times. */
function exp(x: bigint): bigint {
  const halvings = 24n;
  let value = series(one, (term, n) => (times(term, x) >> halvings) / n);
  for (let k = 0n; k < halvings; k++) value = times(value, value);
  return value;
}

/** ln x by Newton's method on e^y = x, each step of which triples the digits. */
function log(x: bigint): bigint {
  const shift = Math.max(0, x.toString(2).length - 60);
  const start = Math.log(Number(x >> BigInt(shift))) + (shift - Number(bits)) * Math.LN2;
  let y = exactly(start);
  for (let step = 0; step < 4; step++) {
    const power = exp(y);
    y += 2n * over(x - power, x + power);
  }
  return y;
}

/** arctan(1/n). */
const inverse = (n: bigint) => {
  let [sum, term] = [0n, one / n];
  for (let k = 1n; term !== 0n; k += 2n, term = -term / (n * n)) sum += term / k;
  return sum;
};
/** Machin's formula. */
const pi = 4n * (4n * inverse(5n) - inverse(239n));

/** Sine and cosine of what is left of x beyond its multiples of 2π. */
function turn(x: bigint): readonly [sine: bigint, cosine: bigint] {
  const rest = x % (2n * pi);
  const minusSquare = -times(rest, rest);
  const sine = series(rest, (term, n) => times(term, minusSquare) / (2n * n * (2n * n + 1n)));
  const cosine = series(one, (term, n) => times(term, minusSquare) / (2n * n * (2n * n - 1n)));
  return [sine, cosine];
}

/** arctan x by Newton's method. */
function arctan(x: bigint): bigint {
  const shift = Math.max(0, x.toString(2).length - 60);
  let y = exactly(Math.atan(Number(x >> BigInt(shift)) * 2 ** (shift - Number(bits))));
  for (let step = 0; step < 5; step++) {
    const [sine, cosine] = turn(y);
    y += over(sine - times(x, cosine), -(cosine + times(x, sine)));
  }
  return y;
}

const squared = (x: bigint) => times(x, x);

/** The functions of a number, by their names in `Math`. */
export const exact: Readonly<Record<string, (x: number) => bigint>> = {
  exp: (x) => exp(exactly(x)),
  expm1: (x) => exp(exactly(x)) - one,
  log: (x) => log(exactly(x)),
  log1p: (x) => log(one + exactly(x)),
  log2: (x) => over(log(exactly(x)), log(2n * one)),
  sinh: (x) => (exp(exactly(x)) - exp(-exactly(x))) / 2n,
  cosh: (x) => (exp(exactly(x)) + exp(-exactly(x))) / 2n,
  tanh: (x) => over(exp(2n * exactly(x)) - one, exp(2n * exactly(x)) + one),
  asinh: (x) => log(exactly(x) + root(squared(exactly(x)) + one)),
  acosh: (x) => log(exactly(x) + root(squared(exactly(x)) - one)),
  atanh: (x) => log(over(one + exactly(x), one - exactly(x))) / 2n,
  sin: (x) => turn(exactly(x))[0],
  cos: (x) => turn(exactly(x))[1],
  tan: (x) => over(...turn(exactly(x))),
  asin: (x) => arctan(over(exactly(x), root(one - squared(exactly(x))))),
  acos: (x) => pi / 2n - arctan(over(exactly(x), root(one - squared(exactly(x))))),
  atan: (x) => arctan(exactly(x)),
};

/** base^exponent. */
export function exactPower(base: number, exponent: number): bigint {
  return exp(times(log(exactly(base)), exactly(exponent)));
}

/** √(a² + b²). */
export function exactLength(a: number, b: number): bigint {
  return root(squared(exactly(a)) + squared(exactly(b)));
}
