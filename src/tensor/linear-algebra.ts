/** @file Dense matrices in float64, row-major: products, and what Cholesky's factorisation solves. */
import { assert } from "../errors.ts";
import {
  firstOf,
  type ProductInto,
  type ProductPlan,
  type Rows,
  simdProduct,
  tile,
} from "./simd-product.ts";

/** A Bᵀ of A [n, k] and B [m, k]: [n, m]. */
export function productWithTranspose(
  a: Float64Array,
  b: Float64Array,
  n: number,
  m: number,
  k: number,
): Float64Array {
  const out = new Float64Array(n * m);
  multiplyInto(rowsOf(out, m), rowsOf(a, k), rowsOf(b, k), { ...whole, n, m, k });
  return out;
}

/** A Aᵀ of A [n, k]: [n, n]. Half the work of the general product, since the result is symmetric. */
export function gramMatrix(a: Float64Array, n: number, k: number): Float64Array {
  const out = new Float64Array(n * n);
  addGram(out, a, n, k);
  fillUpper(out, n);
  return out;
}

/** Adds A Aᵀ of A [n, k] to the lower half of `out` [n, n]; what is above the diagonal is undefined afterwards. */
export function addGram(out: Float64Array, a: Float64Array, n: number, k: number): void {
  addGramOf(out, rowsOf(a, k), n, k);
}

/** Adds Aᵀ A of A [k, n] to the lower half of `out` [n, n]; what is above the diagonal is undefined afterwards. */
export function addColumnGram(out: Float64Array, a: Float64Array, n: number, k: number): void {
  addGramOf(out, columnsOf(a, n), n, k);
}

function addGramOf(out: Float64Array, rows: Rows, n: number, k: number): void {
  multiplyInto(rowsOf(out, n), rows, rows, {
    ...whole,
    n,
    m: n,
    k,
    isLower: true,
    effect: "add",
  });
}

/** Side of the squares in which matrices are turned over: the columns that are written stay in the cache. */
const side = 16;

/** Copies the lower half of a matrix [n, n] to the upper. */
export function fillUpper(matrix: Float64Array, n: number): void {
  for (let top = 0; top < n; top += side)
    for (let left = 0; left <= top; left += side)
      for (let i = top; i < Math.min(n, top + side); i++)
        for (let j = left; j < Math.min(i, left + side); j++) matrix[j * n + i] = matrix[i * n + j];
}

/** A L of A [n, k] and a lower triangular L [k, k]: [n, k]. The zeros above the diagonal cost nothing. */
export function productWithLower(
  a: Float64Array,
  l: Float64Array,
  n: number,
  k: number,
): Float64Array {
  const out = a.slice();
  multiplyByLower(out, l, n, k);
  return out;
}

/** Rows of a matrix that are laid aside while the product takes their place. */
const aside = 512;

/** Puts A L in the place of A [n, k], for a lower triangular L [k, k]. */
export function multiplyByLower(a: Float64Array, l: Float64Array, n: number, k: number): void {
  for (let top = 0; top < n; top += aside) {
    const rows = a.slice(top * k, Math.min(n, top + aside) * k);
    multiplyInto(rowsOf(a, k, top * k), rowsOf(rows, k), columnsOf(l, k), {
      ...whole,
      n: rows.length / k,
      m: k,
      k,
      from: "column",
    });
  }
}

/** Rows of a matrix that fills its array, or begins in it at an element. */
export function rowsOf(data: Float64Array, stride: number, at = 0): Rows {
  return { data, at, stride, step: 1 };
}

/** The columns of a matrix with rows of `length`, as rows; they begin at an element. */
export function columnsOf(data: Float64Array, length: number, at = 0): Rows {
  return { data, at, stride: 1, step: length };
}

const whole = { isLower: false, from: "first", effect: "set" } as const;

/** Products of fewer multiplications are over before vectors are laid out. */
const leastForVectors = 2 ** 12;

/** Made when it is first needed; what a product leaves in it is never read. */
const vectors: { product?: ProductInto } = {};

/** The product by vector instructions where there are some and they pay; the numbers are the same. */
export const multiplyInto: ProductInto = (out, a, b, plan) => {
  if (plan.n * plan.m * plan.k < leastForVectors) return scalarProduct(out, a, b, plan);
  vectors.product ??= simdProduct() ?? scalarProduct;
  vectors.product(out, a, b, plan);
};

/** The product without vector instructions, 4 by 2 sums at a time: each element read serves several. */
export const scalarProduct: ProductInto = (out, a, b, plan) => {
  const { n, m, k, isLower } = plan;
  for (let j = 0; j < m; j += 2) {
    for (let i = isLower ? j - (j % tile) : 0; i < n; i += tile) {
      const first = firstOf(plan, i, j - (j % tile));
      if (first >= k) continue;
      if (i + tile > n || j + 2 > m) addEdge(out, i, j, a, b, plan, first);
      else addTile(out, i, j, a, b, plan, first);
    }
  }
};

/** The sums at the edge that fill no tile, each in the order of the rows as well. */
function addEdge(
  out: Rows,
  i: number,
  j: number,
  a: Rows,
  b: Rows,
  { n, m, k, effect }: ProductPlan,
  first: number,
): void {
  const sign = effect === "subtract" ? -1 : 1;
  for (let row = i; row < Math.min(i + tile, n); row++)
    for (let column = j; column < Math.min(j + 2, m); column++) {
      const to = out.at + row * out.stride + column;
      const [left, right] = [a.at + row * a.stride, b.at + column * b.stride];
      let sum = effect === "set" ? 0 : sign * out.data[to];
      for (let p = first; p < k; p++) sum += a.data[left + p * a.step] * b.data[right + p * b.step];
      out.data[to] = sign * sum;
    }
}

/** 4 by 2 sums at once, from element `first` of each row on. */
function addTile(
  out: Rows,
  i: number,
  j: number,
  { data: a, at: startOfA, stride: strideOfA, step: stepOfA }: Rows,
  { data: b, at: startOfB, stride: strideOfB, step: stepOfB }: Rows,
  { k, effect }: ProductPlan,
  first: number,
): void {
  const { data, stride } = out;
  const a0 = startOfA + i * strideOfA;
  const [a1, a2, a3] = [a0 + strideOfA, a0 + 2 * strideOfA, a0 + 3 * strideOfA];
  const b0 = startOfB + j * strideOfB;
  const b1 = b0 + strideOfB;
  const r0 = out.at + i * stride + j;
  const [r1, r2, r3] = [r0 + stride, r0 + 2 * stride, r0 + 3 * stride];
  const sign = effect === "subtract" ? -1 : 1;
  const start = (at: number) => (effect === "set" ? 0 : sign * data[at]);
  let [s00, s01, s10, s11] = [start(r0), start(r0 + 1), start(r1), start(r1 + 1)];
  let [s20, s21, s30, s31] = [start(r2), start(r2 + 1), start(r3), start(r3 + 1)];
  for (let p = first; p < k; p++) {
    const [inA, inB] = [p * stepOfA, p * stepOfB];
    const x = b[b0 + inB];
    const y = b[b1 + inB];
    const u = a[a0 + inA];
    const v = a[a1 + inA];
    const w = a[a2 + inA];
    const z = a[a3 + inA];
    s00 += u * x;
    s01 += u * y;
    s10 += v * x;
    s11 += v * y;
    s20 += w * x;
    s21 += w * y;
    s30 += z * x;
    s31 += z * y;
  }
  data[r0] = sign * s00;
  data[r0 + 1] = sign * s01;
  data[r1] = sign * s10;
  data[r1 + 1] = sign * s11;
  data[r2] = sign * s20;
  data[r2 + 1] = sign * s21;
  data[r3] = sign * s30;
  data[r3 + 1] = sign * s31;
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
  for (let top = 0; top < n; top += side)
    for (let left = 0; left < m; left += side)
      for (let i = top; i < Math.min(n, top + side); i++)
        for (let j = left; j < Math.min(m, left + side); j++) out[j * n + i] = a[i * m + j];
  return out;
}

/** The diagonal of a matrix [n, n]. */
export function diagonalOf(matrix: Float64Array, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]);
}

/** The identity of size n. */
export function identity(n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) out[i * n + i] = 1;
  return out;
}

/** Some rows and columns of a square matrix of size n. */
export function subMatrix(
  matrix: Float64Array,
  n: number,
  rows: ArrayLike<number>,
  columns: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(rows.length * columns.length);
  for (let i = 0, to = 0; i < rows.length; i++)
    for (let j = 0; j < columns.length; j++, to++) out[to] = matrix[rows[i] * n + columns[j]];
  return out;
}

/** Rows and columns of a factorisation that are dealt with one by one; what lies before them is one product. */
const panel = 32;

/**
 * L with L Lᵀ = A, for a symmetric positive definite A [n, n] of which only the lower half is read.
 * A pivot that rounding has made smaller than 1e-13 of its diagonal element is raised to that.
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  assert(a.length === n * n, `a square matrix of size ${n}`);
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) l.set(a.subarray(i * n, i * n + i + 1), i * n);
  for (let left = 0; left < n; left += panel) {
    const right = Math.min(n, left + panel);
    const below = rowsOf(l, n, left * n);
    multiplyInto(rowsOf(l, n, left * n + left), below, below, {
      ...whole,
      n: n - left,
      m: right - left,
      k: left,
      isLower: true,
      effect: "subtract",
    });
    for (let i = left; i < n; i++) {
      const row = i * n + left;
      for (let j = left; j < Math.min(i, right); j++)
        l[i * n + j] = (l[i * n + j] - dot(l, row, l, j * n + left, j - left)) / l[j * n + j];
      if (i >= right) continue;
      const pivot = l[i * n + i] - dot(l, row, l, row, i - left);
      l[i * n + i] = Math.sqrt(Math.max(pivot, 1e-13 * a[i * n + i], Number.MIN_VALUE));
      // The product has filled the square on the diagonal.
      l.fill(0, i * n + i + 1, i * n + right);
    }
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
  // The right sides lie in rows, one after the other.
  const x = transposed(b, n, m);
  /** Takes what the unknowns from `first` on contribute off those from `left` to `right`. */
  const takeOff = (left: number, right: number, first: number, k: number, factor: Rows) =>
    multiplyInto(rowsOf(x, n, left), rowsOf(x, n, first), factor, {
      ...whole,
      n: m,
      m: right - left,
      k,
      effect: "subtract",
    });
  for (let left = 0; left < n; left += panel) {
    const right = Math.min(n, left + panel);
    takeOff(left, right, 0, left, rowsOf(l, n, left * n));
    for (let side = 0; side < m * n; side += n)
      for (let i = left; i < right; i++) {
        const rest = x[side + i] - dot(l, i * n + left, x, side + left, i - left);
        x[side + i] = rest / l[i * n + i];
      }
  }
  for (let right = n; right > 0; right -= panel) {
    const left = Math.max(0, right - panel);
    takeOff(left, right, right, n - right, columnsOf(l, n, right * n + left));
    for (let side = 0; side < m * n; side += n)
      for (let i = right - 1; i >= left; i--) {
        let rest = x[side + i];
        for (let k = i + 1; k < right; k++) rest -= l[k * n + i] * x[side + k];
        x[side + i] = rest / l[i * n + i];
      }
  }
  return transposed(x, m, n);
}

/** The inverse of a symmetric positive definite matrix [n, n]. */
export function inverse(a: Float64Array, n: number): Float64Array {
  return inverseFromFactor(cholesky(a, n), n);
}

/** The inverse of L Lᵀ, for L from `cholesky` [n, n]: M Mᵀ of the transpose M of L's inverse. */
export function inverseFromFactor(l: Float64Array, n: number): Float64Array {
  const m = transposedInverse(l, n);
  const out = new Float64Array(n * n);
  multiplyInto(rowsOf(out, n), rowsOf(m, n), rowsOf(m, n), {
    ...whole,
    n,
    m: n,
    k: n,
    isLower: true,
    from: "row",
  });
  fillUpper(out, n);
  return out;
}

/** The transpose of the inverse of a lower triangular L [n, n]: upper triangular. */
function transposedInverse(l: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  const own = new Float64Array(panel * panel);
  for (let left = 0; left < n; left += panel) {
    const right = Math.min(n, left + panel);
    const size = right - left;
    // (L⁻¹)_own, and then (L⁻¹)_before = -(L⁻¹)_own L_before (L⁻¹) of the rows before, each as its transpose.
    own.fill(0);
    for (let i = 0; i < size; i++) {
      own[i * panel + i] = 1;
      for (let k = 0; k < i; k++)
        addRow(own, i * panel, -l[(left + i) * n + left + k], own, k * panel, k + 1);
      scaleRow(own, i * panel, 1 / l[(left + i) * n + left + i], i + 1);
    }
    const before = new Float64Array(left * size);
    multiplyInto(rowsOf(before, size), rowsOf(out, n), rowsOf(l, n, left * n), {
      ...whole,
      n: left,
      m: size,
      k: left,
      from: "row",
    });
    multiplyInto(rowsOf(out, n, left), rowsOf(before, size), rowsOf(own, panel), {
      ...whole,
      n: left,
      m: size,
      k: size,
      effect: "subtract",
    });
    for (let i = 0; i < size; i++)
      for (let j = 0; j <= i; j++) out[(left + j) * n + left + i] = own[i * panel + j];
  }
  return out;
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
