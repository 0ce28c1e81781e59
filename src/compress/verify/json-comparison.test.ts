/** @file Written against recomputed values. */
import { expect, it } from "vitest";
import { compareJson } from "./json-comparison.ts";

it("finds equal what differs by rounding, and what is left out", () => {
  const written = { a: [1, 0.1 + 0.2], b: { c: "x", d: null }, big: 1e9 };
  const recomputed = { a: [1, 0.3], b: { c: "x", d: null, e: undefined }, big: 1e9 + 1e-4 };
  expect(compareJson(written, recomputed)).toEqual({
    compared: 6,
    differences: [],
    largestDifference: expect.closeTo(1e-4, 6),
  });
});

it.each([
  [
    { a: { b: [1, 2] } },
    { a: { b: [1, 2 + 1e-11] } },
    "a.b.1 is written as 2, but is 2.00000000001",
  ],
  [{ a: 1 }, {}, "a is written as 1, but is missing"],
  [{}, { a: [] }, "a is written as missing, but is []"],
  [{ a: [1] }, { a: [1, 2] }, "a.1 is written as missing, but is 2"],
  [{ a: [] }, { a: {} }, "a is written as [], but is {}"],
  [{ a: null }, { a: 0 }, "a is written as null, but is 0"],
  [{ a: "1" }, { a: 1 }, 'a is written as "1", but is 1'],
  [{ a: 1 }, { a: Number.NaN }, "a is written as 1, but is null"],
])("tells %j from %j", (written, recomputed, words) => {
  expect(compareJson(written, recomputed).differences).toEqual([words]);
});
