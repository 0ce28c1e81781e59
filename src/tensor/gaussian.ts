/**
 * @file The normal distribution, and what functions do to it.
 *
 * Everything here is closed form or quadrature, never sampled: mean and variance of f(X) for a
 * Gaussian X. No result is NaN for a finite mean and a variance >= 0, zero included.
 */
import { exp, pow } from "./elementary.ts";
import { cos } from "./trigonometry.ts";

/** Mean and variance of a scalar random variable. */
export interface MeanVariance {
  readonly mean: number;
  readonly variance: number;
}

/** Below this erfc is 1 - erf (series), above it is a continued fraction. */
const seriesLimit = 2;

/** erf for small |x|: 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms all have one sign. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * exp(-x * x) * sum;
}

/** erfc for x >= 2: e^(-x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))). */
function erfcFraction(x: number): number {
  const depth = 8 + Math.ceil(240 / (x * x)); // enough for 1e-16 at x = 2
  let tail = x;
  for (let n = depth; n >= 1; n--) tail = x + n / 2 / tail;
  return exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}

/** The error function. */
export function erf(x: number): number {
  return Math.abs(x) < seriesLimit ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(Math.abs(x)));
}

/** The complementary error function, to about 1e-13 in *relative* error down to underflow. */
export function erfc(x: number): number {
  if (x < 0) return 1 + erf(-x);
  return x < seriesLimit ? 1 - erfSeries(x) : erfcFraction(x);
}

/** Density φ of the standard normal. */
function normalPdf(z: number): number {
  return exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** Distribution function Φ of the standard normal; exact in relative error in the lower tail. */
export function normalCdf(z: number): number {
  return 0.5 * erfc(-z / Math.SQRT2);
}

/** One piece of a piecewise-linear function: `intercept + slope · x` from `from` to the next piece. */
export interface LinearPiece {
  readonly from: number;
  readonly slope: number;
  readonly intercept: number;
}

/** The value at x of a piecewise-linear function: sorted pieces, of which the first begins at -Infinity. */
export function pieceAt(pieces: readonly LinearPiece[], x: number): number {
  const piece = pieces.findLast(({ from }) => from <= x) ?? pieces[0];
  return piece.intercept + piece.slope * x;
}

/**
 * Moments of f(X) for X ~ N(mean, variance) and a piecewise-linear f, in closed form. Pieces are
 * sorted; the first begins at -Infinity. f may jump.
 */
export function piecewiseLinearMoments(
  pieces: readonly LinearPiece[],
  { mean, variance }: MeanVariance,
): MeanVariance {
  // Moments about f(mean) rather than 0: nothing cancels where f is all but linear.
  const centre = pieceAt(pieces, mean);
  const sigma = Math.sqrt(Math.max(0, variance));
  if (sigma === 0) return { mean: centre, variance: 0 };
  let first = 0;
  let second = 0;
  for (const [k, { from, slope, intercept }] of pieces.entries()) {
    const a = (from - mean) / sigma;
    const b =
      k + 1 < pieces.length ? (pieces[k + 1].from - mean) / sigma : Number.POSITIVE_INFINITY;
    const height = intercept + slope * mean - centre;
    const rise = slope * sigma;
    // Integrals of φ, zφ and z²φ over [a, b].
    const i0 = mass(a, b);
    const i1 = normalPdf(a) - normalPdf(b);
    const i2 = i0 + moment1(a) - moment1(b);
    first += height * i0 + rise * i1;
    second += height * height * i0 + 2 * height * rise * i1 + rise * rise * i2;
  }
  return { mean: centre + first, variance: Math.max(0, second - first * first) };
}

/** Φ(b) - Φ(a), from the tail in which both lie. */
function mass(a: number, b: number): number {
  return a > 0 ? normalCdf(-a) - normalCdf(-b) : normalCdf(b) - normalCdf(a);
}

/** z φ(z), also at the ends of the line. */
function moment1(z: number): number {
  return Number.isFinite(z) ? z * normalPdf(z) : 0;
}

/** Half the range of standard deviations that quadrature covers: 1e-23 of the mass lies outside. */
const reach = 10;

/**
 * Moments of f(X) for X ~ N(mean, variance), by Gauss-Legendre pieces that meet at the kinks of f
 * and get finer towards 0, where activations bend. f is smooth between kinks and grows at most like
 * a low power.
 */
export function smoothMoments(
  f: (x: number) => number,
  kinks: readonly number[],
  { mean, variance }: MeanVariance,
): MeanVariance {
  const centre = f(mean);
  const sigma = Math.sqrt(Math.max(0, variance));
  if (sigma === 0) return { mean: centre, variance: 0 };
  const cuts = standardCuts();
  const bends = [0, ...kinks];
  for (let scale = 0.5; scale < 2 * reach * sigma; scale *= 2) bends.push(-scale, scale);
  for (const bend of bends) {
    const z = (bend - mean) / sigma;
    if (Math.abs(z) < reach) cuts.push(z);
  }
  let first = 0;
  let second = 0;
  integrate(cuts, (z, weight) => {
    const value = f(mean + sigma * z) - centre;
    first += weight * normalPdf(z) * value;
    second += weight * normalPdf(z) * value * value;
  });
  return { mean: centre + first, variance: Math.max(0, second - first * first) };
}

/**
 * The moments of the largest of `count` independent draws, as a function of the mean and the variance that they are drawn
 * with. All Gaussians have the same quadrature, which is made here.
 */
export function maxOfGaussians(count: number): (x: MeanVariance) => MeanVariance {
  const largest = count > 1 ? largestOfStandard(count) : { mean: 0, variance: 1 };
  return ({ mean, variance }) =>
    variance <= 0
      ? { mean, variance: 0 }
      : {
          mean: mean + Math.sqrt(variance) * largest.mean,
          variance: variance * largest.variance,
        };
}

/** Mean and variance of the largest of `count` independent standard normal draws. */
function largestOfStandard(count: number): MeanVariance {
  let first = 0;
  let second = 0;
  integrate(standardCuts(), (z, weight) => {
    // The density of the maximum: n φ(z) Φ(z)^(n-1).
    const density = count * normalPdf(z) * pow(normalCdf(z), count - 1);
    first += weight * density * z;
    second += weight * density * z * z;
  });
  return { mean: first, variance: Math.max(0, second - first * first) };
}

/** -reach, -reach + 1, ..., reach. */
function standardCuts(): number[] {
  return Array.from({ length: 2 * reach + 1 }, (_, k) => k - reach);
}

/** Visits the nodes and weights of a Gauss-Legendre rule on every interval between the cuts. */
function integrate(cuts: readonly number[], visit: (z: number, weight: number) => void): void {
  const sorted = [...cuts].sort((a, b) => a - b);
  for (let k = 1; k < sorted.length; k++) {
    const half = (sorted[k] - sorted[k - 1]) / 2;
    if (half === 0) continue;
    const middle = (sorted[k] + sorted[k - 1]) / 2;
    for (const { node, weight } of legendre) visit(middle + half * node, half * weight);
  }
}

const legendre = gaussLegendre(16);

/** Nodes and weights on [-1, 1]: the roots of the Legendre polynomial by Newton's method. */
function gaussLegendre(
  order: number,
): readonly { readonly node: number; readonly weight: number }[] {
  return Array.from({ length: order }, (_, i) => {
    let x = cos((Math.PI * (i + 0.75)) / (order + 0.5));
    let slope = 1;
    for (let step = 0; step < 20; step++) {
      let before = 1;
      let value = x;
      for (let n = 2; n <= order; n++)
        [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
      slope = (order * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    return { node: x, weight: 2 / ((1 - x * x) * slope * slope) };
  });
}
