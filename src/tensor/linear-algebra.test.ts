/** @file Matrices against their definitions: every factorisation multiplied out again. */
import { describe, expect, it } from "vitest";
import {
  addColumnGram,
  cholesky,
  choleskySolve,
  columnsOf,
  fillUpper,
  gramMatrix,
  identity,
  inverse,
  multiplyInto,
  product,
  productWithLower,
  productWithTranspose,
  rowsOf,
  scalarProduct,
  subMatrix,
  transposed,
} from "./linear-algebra.ts";
import { randomOf } from "./random.ts";
import { type ProductPlan, simdProduct } from "./simd-product.ts";

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
  const forms: readonly Pick<ProductPlan, "isLower" | "from">[] = [
    { isLower: false, from: "first" },
    { isLower: true, from: "first" },
    { isLower: false, from: "column" },
    { isLower: false, from: "row" },
    { isLower: true, from: "row" },
  ];
  const effects = ["set", "add", "subtract"] as const;
  const sizes: readonly (readonly [n: number, m: number, k: number])[] = [
    [4, 4, 1],
    [1, 1, 3],
    [9, 7, 5],
    [30, 31, 29],
    [130, 129, 127],
    // More rows than are laid out at once, in blocks of 130 and of 4.
    [301, 6, 501],
    [9, 5, 20_000],
  ];
  const cases = sizes.flatMap(([n, m, k]) =>
    forms.flatMap((form) => effects.map((effect) => ({ n, m, k, ...form, effect }))),
  );
  it.each(cases)("are those of the loop to the bit: %o", (plan) => {
    const vectors = simdProduct();
    if (vectors === undefined) throw new Error("this engine has no vector instructions");
    const { n, m, k, isLower, from, effect } = plan;
    // Rows are longer than what is read of them, and do not begin with the array.
    const rows = (count: number, length: number, key: string) =>
      rowsOf(normals(5 + count * (length + 3), key), length + 3, 5);
    const columns = (count: number, length: number, key: string) =>
      columnsOf(normals(5 + (count + 3) * length, key), count + 3, 5);
    const a = rows(n, k, "a");
    const b = effect === "add" ? columns(m, k, "b") : rows(m, k, "b");
    // Numbers of all sizes, so that an order of sums other than the loop's would show.
    for (const [i, x] of a.data.entries()) a.data[i] = x * 10 ** ((i % 31) - 15);
    if (from !== "first") {
      const [{ data, at, stride, step }, count] = from === "row" ? [a, n] : [b, m];
      for (let i = 0; i < count; i++)
        for (let p = 0; p < Math.min(i, k); p++) data[at + i * stride + p * step] = 0;
    }
    const [got, want] = [rows(n, m, "out"), rows(n, m, "out")];
    vectors(got, a, b, plan);
    scalarProduct(want, a, b, plan);
    for (let i = 0; i < n; i++) {
      const start = got.at + i * got.stride;
      const end = start + (isLower ? Math.min(m, i + 1) : m);
      expect(got.data.subarray(start, end)).toEqual(want.data.subarray(start, end));
    }
  });

  it("give the product, and add it to what is there or take it off", () => {
    const [n, m, k] = [13, 9, 21];
    const [a, b, before] = [normals(n * k, "a"), normals(m * k, "b"), normals(n * m, "before")];
    const plain = productWithTranspose(a, b, n, m, k);
    for (const [effect, sign] of [
      ["add", 1],
      ["subtract", -1],
    ] as const) {
      const out = before.slice();
      const plan = { n, m, k, isLower: false, from: "first", effect } as const;
      multiplyInto(rowsOf(out, m), rowsOf(a, k), rowsOf(b, k), plan);
      expect(
        distance(
          out,
          before.map((x, i) => x + sign * plain[i]),
        ),
      ).toBeLessThan(1e-12);
    }
  });
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
      const columns = new Float64Array(n * n);
      addColumnGram(columns, transposed(a, n, k), n, k);
      fillUpper(columns, n);
      expect(distance(columns, gramMatrix(a, n, k))).toBeLessThan(1e-12);
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
  it.each([1, 2, 7, 40, 100])("of a matrix of size %d multiplies out to it", (n) => {
    const a = positiveDefinite(n);
    const l = cholesky(a, n);
    expect(distance(productWithTranspose(l, l, n, n, n), a)).toBeLessThan(1e-10);
    expect(l.every((x, i) => x === 0 || i % n <= Math.floor(i / n))).toBe(true);
  });

  it.each([1, 5, 33, 97])("solves for several right sides, size %d", (n) => {
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
