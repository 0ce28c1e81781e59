/** @file Dense matrices in float64, row-major: products, and what Cholesky's factorisation solves. */
import { assert } from "../errors.ts";
import { type ProductInto, simdProduct } from "./simd-product.ts";

/** A Bᵀ of A [n, k] and B [m, k]: [n, m]. */
export function productWithTranspose(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array {
  const out = new Float64Array(n * m);
  multiplyInto(out, a, b, { n, m, k, form: "all" });
  return out;
}

/** A Aᵀ of A [n, k]: [n, n]. Half the work of the general product, since the result is symmetric. */
export function gramMatrix(a: Float64Array, n: number, k: number): Float64Array {
  const out = new Float64Array(n * n);
  multiplyInto(out, a, a, { n, m: n, k, form: "lower" });
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out[j * n + i] = out[i * n + j];
  return out;
}

/** A L of A [n, k] and a lower triangular L [k, k]: [n, k]. The zeros above the diagonal cost nothing. */
export function productWithLower(
  a: Float64Array,
  l: Float64Array,
  n: number,
  k: number,
): Float64Array {
  const out = new Float64Array(n * k);
  multiplyInto(out, a, transposed(l, k, k), { n, m: k, k, form: "from-diagonal" });
  return out;
}

/** Products of fewer multiplications are over before vectors are laid out. */
const leastForVectors = 2 ** 13;

/** Made when it is first needed; what a product leaves in it is never read. */
const vectors: { product?: ProductInto } = {};

/** The product by vector instructions where there are some and they pay; the numbers are the same. */
const multiplyInto: ProductInto = (out, a, b, sizes) => {
  if (sizes.n * sizes.m * sizes.k < leastForVectors) return scalarProduct(out, a, b, sizes);
  vectors.product ??= simdProduct() ?? scalarProduct;
  vectors.product(out, a, b, sizes);
};

/** The product without vector instructions, 4 by 2 sums at a time: each element read serves several. */
export const scalarProduct: ProductInto = (out, a, b, { n, m, k, form }) => {
  for (let j = 0; j < m; j += 2) {
    const first = form === "from-diagonal" ? j : 0;
    for (let i = form === "lower" ? j - (j % 4) : 0; i < n; i += 4)
      if (i + 4 > n || j + 2 > m) addEdge(out, i, j, n, m, a, b, k, first);
      else addTile(out, i, j, m, a, b, k, first);
  }
};

/** The sums at the edge that fill no tile, each in the order of the rows as well. */
function addEdge(
  out: Float64Array,
  i: number,
  j: number,
  n: number,
  m: number,
  a: Float64Array,
  b: Float64Array,
  k: number,
  first: number,
): void {
  for (let row = i; row < Math.min(i + 4, n); row++)
    for (let column = j; column < Math.min(j + 2, m); column++) {
      let sum = 0;
      for (let p = first; p < k; p++) sum += a[row * k + p] * b[column * k + p];
      out[row * m + column] = sum;
    }
}

/** 4 by 2 sums at once, from element `first` of each row on. */
function addTile(
  out: Float64Array,
  i: number,
  j: number,
  m: number,
  a: Float64Array,
  b: Float64Array,
  k: number,
  first: number,
): void {
  const [a0, a1, a2, a3] = [i * k, (i + 1) * k, (i + 2) * k, (i + 3) * k];
  const [b0, b1] = [j * k, (j + 1) * k];
  let [s00, s01, s10, s11, s20, s21, s30, s31] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let p = first; p < k; p++) {
    const x = b[b0 + p];
    const y = b[b1 + p];
    const u = a[a0 + p];
    const v = a[a1 + p];
    const w = a[a2 + p];
    const z = a[a3 + p];
    s00 += u * x;
    s01 += u * y;
    s10 += v * x;
    s11 += v * y;
    s20 += w * x;
    s21 += w * y;
    s30 += z * x;
    s31 += z * y;
  }
  const at = i * m + j;
  out[at] = s00;
  out[at + 1] = s01;
  out[at + m] = s10;
  out[at + m + 1] = s11;
  out[at + 2 * m] = s20;
  out[at + 2 * m + 1] = s21;
  out[at + 3 * m] = s30;
  out[at + 3 * m + 1] = s31;
}

/** A B of A [n, k] and B [k, m]: [n, m]. */
export function product(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array {
  return productWithTranspose(a, transposed(b, k, m), n, m, k);
}

/** The transpose of A [n, m]: [m, n]. */
export function transposed(a: Float64Array, n: number, m: number): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out[j * n + i] = a[i * m + j];
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
  return inverseFromFactor(cholesky(a, n), n);
}

/** The inverse of L Lᵀ, for L from `cholesky` [n, n]: M Mᵀ of the transpose M of L's inverse. */
export function inverseFromFactor(l: Float64Array, n: number): Float64Array {
  const below = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    below[i * n + i] = 1;
    for (let k = 0; k < i; k++) addRow(below, i * n, -l[i * n + k], below, k * n, k + 1);
    scaleRow(below, i * n, 1 / l[i * n + i], i + 1);
  }
  return gramMatrix(transposed(below, n, n), n, n);
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
