/** @file Matrices against their definitions: every factorisation multiplied out again. */
import { describe, expect, it } from "vitest";
import {
  cholesky,
  choleskySolve,
  gramMatrix,
  identity,
  inverse,
  product,
  productWithLower,
  productWithTranspose,
  scalarProduct,
  subMatrix,
  transposed,
} from "./linear-algebra.ts";
import { randomOf } from "./random.ts";
import { type ProductForm, simdProduct } from "./simd-product.ts";

const normals = (length: number, key: string) =>
  Float64Array.from(randomOf(7, key).normals(length));
const distance = (a: Float64Array, b: Float64Array) =>
  a.reduce((largest, x, i) => Math.max(largest, Math.abs(x - b[i])), 0);

/** M Mᵀ + I of a random M. */
function positiveDefinite(n: number): Float64Array {
  const m = normals(n * n, `spd${n}`);
  const out = productWithTranspose(m, m, n, n, n);
  for (let i = 0; i < n; i++) out[i * n + i] += 1;
  return out;
}

describe("products by vector instructions", () => {
  const forms: readonly ProductForm[] = ["all", "lower", "from-diagonal"];
  const sizes: readonly (readonly [n: number, m: number, k: number])[] = [
    [4, 4, 1],
    [1, 1, 3],
    [9, 7, 5],
    [30, 31, 29],
    [130, 129, 127],
    // More rows than are laid out at once, in blocks of 260 and of 4.
    [601, 6, 501],
    [9, 5, 40_000],
  ];
  it.each(sizes.flatMap(([n, m, k]) => forms.map((form) => [n, m, k, form] as const)))(
    "are those of the loop to the bit: [%d, %d, %d] %s",
    (n, m, k, form) => {
      const vectors = simdProduct();
      if (vectors === undefined) throw new Error("this engine has no vector instructions");
      const [rows, steps] = form === "all" ? [m, k] : form === "lower" ? [n, k] : [m, m];
      const a = normals(n * steps, "a");
      const b = normals(rows * steps, "b");
      // Numbers of all sizes, so that an order of sums other than the loop's would show.
      for (const [i, x] of a.entries()) a[i] = x * 10 ** ((i % 31) - 15);
      if (form === "from-diagonal")
        for (let i = 0; i < rows; i++) b.fill(0, i * steps, i * steps + i);
      const [got, want] = [new Float64Array(n * rows), new Float64Array(n * rows)];
      const shape = { n, m: rows, k: steps, form };
      vectors(got, a, b, shape);
      scalarProduct(want, a, b, shape);
      const isWanted = (i: number) => form !== "lower" || i % rows <= Math.floor(i / rows);
      expect(got.filter((_, i) => isWanted(i))).toEqual(want.filter((_, i) => isWanted(i)));
    },
  );
});

describe("products", () => {
  it("multiply rows with columns", () => {
    const a = Float64Array.of(1, 2, 3, 4, 5, 6);
    const b = Float64Array.of(7, 8, 9, 10, 11, 12);
    expect([...product(a, b, 2, 2, 3)]).toEqual([58, 64, 139, 154]);
    expect([...productWithTranspose(a, b, 2, 2, 3)]).toEqual([50, 68, 122, 167]);
  });

  it.each([
    [1, 1, 1],
    [4, 2, 3],
    [5, 3, 7],
    [9, 8, 2],
    [3, 1, 5],
  ])("equal the sums of products for sizes %d, %d, %d", (n, m, k) => {
    const [a, b] = [normals(n * k, "a"), normals(k * m, "b")];
    const want = new Float64Array(n * m);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < m; j++)
        for (let p = 0; p < k; p++) want[i * m + j] += a[i * k + p] * b[p * m + j];
    expect(distance(product(a, b, n, m, k), want)).toBeLessThan(1e-12);
    expect(distance(productWithTranspose(a, transposed(b, k, m), n, m, k), want)).toBeLessThan(
      1e-12,
    );
  });

  it.each([
    [1, 1],
    [4, 3],
    [7, 5],
    [10, 8],
  ])(
    "of a matrix with itself, and with a lower half, are those of whole matrices: %d, %d",
    (n, k) => {
      const a = normals(n * k, "a");
      expect(distance(gramMatrix(a, n, k), productWithTranspose(a, a, n, n, k))).toBeLessThan(
        1e-12,
      );
      const lower = normals(k * k, "l").map((x, i) => (i % k > Math.floor(i / k) ? 0 : x));
      expect(distance(productWithLower(a, lower, n, k), product(a, lower, n, k, k))).toBeLessThan(
        1e-12,
      );
    },
  );

  it("select rows and columns", () => {
    const a = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    expect([...subMatrix(a, 3, [2, 0], [1])]).toEqual([8, 2]);
  });
});

describe("Cholesky's factorisation", () => {
  it.each([1, 2, 7, 40])("of a matrix of size %d multiplies out to it", (n) => {
    const a = positiveDefinite(n);
    const l = cholesky(a, n);
    expect(distance(productWithTranspose(l, l, n, n, n), a)).toBeLessThan(1e-10);
  });

  it.each([1, 5, 33])("solves for several right sides, size %d", (n) => {
    const a = positiveDefinite(n);
    const x = normals(n * 3, "x");
    const b = product(a, x, n, 3, n);
    expect(distance(choleskySolve(cholesky(a, n), b, n, 3), x)).toBeLessThan(1e-9);
    expect(distance(product(a, inverse(a, n), n, n, n), identity(n))).toBeLessThan(1e-9);
  });

  it("stays finite for a singular matrix", () => {
    const ones = new Float64Array(9).fill(1);
    expect(cholesky(ones, 3).every(Number.isFinite)).toBe(true);
  });
});
