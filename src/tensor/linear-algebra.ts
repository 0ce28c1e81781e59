/** @file Dense matrices in float64, row-major: products, and what Cholesky's factorisation solves. */
import { assert } from "../errors.ts";

/** A Bᵀ of A [n, k] and B [m, k]: [n, m]. Both are read along rows. */
export function productWithTranspose(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j++) out[i * m + j] = dot(a, i * k, b, j * k, k);
  return out;
}

/** A B of A [n, k] and B [k, m]: [n, m]. */
export function product(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < k; j++) addRow(out, i * m, a[i * k + j], b, j * m, m);
  return out;
}

/** The identity of size n. */
export function identity(n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) out[i * n + i] = 1;
  return out;
}

/** The rows and columns `indices` of a square matrix of size n. */
export function subMatrix(
  matrix: Float64Array,
  n: number,
  rows: readonly number[],
  columns: readonly number[],
): Float64Array {
  const out = new Float64Array(rows.length * columns.length);
  for (const [i, row] of rows.entries())
    for (const [j, column] of columns.entries())
      out[i * columns.length + j] = matrix[row * n + column];
  return out;
}

/**
 * L with L Lᵀ = A, for a symmetric positive definite A [n, n] of which only the lower half is read.
 * A pivot that rounding has made smaller than 1e-13 of its diagonal element is raised to that.
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  assert(a.length === n * n, `a square matrix of size ${n}`);
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++)
      l[i * n + j] = (a[i * n + j] - dot(l, i * n, l, j * n, j)) / l[j * n + j];
    const diagonal = a[i * n + i];
    const pivot = diagonal - dot(l, i * n, l, i * n, i);
    l[i * n + i] = Math.sqrt(Math.max(pivot, 1e-13 * diagonal, Number.MIN_VALUE));
  }
  return l;
}

/** X with L Lᵀ X = B, for L from `cholesky` [n, n] and B [n, m]. */
export function choleskySolve(
  l: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
): Float64Array {
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) addRow(x, i * m, -l[i * n + k], x, k * m, m);
    scaleRow(x, i * m, 1 / l[i * n + i], m);
  }
  for (let i = n - 1; i >= 0; i--) {
    scaleRow(x, i * m, 1 / l[i * n + i], m);
    // Column i of Lᵀ's solution is final: take it out of the rows above.
    for (let k = 0; k < i; k++) addRow(x, k * m, -l[i * n + k], x, i * m, m);
  }
  return x;
}

/** The inverse of a symmetric positive definite matrix [n, n]. */
export function inverse(a: Float64Array, n: number): Float64Array {
  return choleskySolve(cholesky(a, n), identity(n), n, n);
}

function dot(a: Float64Array, from: number, b: Float64Array, at: number, count: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let i = 0;
  for (; i + 1 < count; i += 2) {
    sum0 += a[from + i] * b[at + i];
    sum1 += a[from + i + 1] * b[at + i + 1];
  }
  return i < count ? sum0 + sum1 + a[from + i] * b[at + i] : sum0 + sum1;
}

/** out[to..] += factor · row[at..] */
function addRow(
  out: Float64Array,
  to: number,
  factor: number,
  row: Float64Array,
  at: number,
  count: number,
): void {
  if (factor === 0) return;
  for (let i = 0; i < count; i++) out[to + i] += factor * row[at + i];
}

function scaleRow(out: Float64Array, to: number, factor: number, count: number): void {
  for (let i = 0; i < count; i++) out[to + i] *= factor;
}
