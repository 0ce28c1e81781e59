/** @file The measure by which other tests compare what networks compute. */
import { expect, test } from "vitest";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { differenceOf } from "./support/difference.ts";

test.each([
  { name: "equal", a: [1, 2, 3], b: [1, 2, 3], largest: 0, range: 2 },
  { name: "apart", a: [1, 2, 5], b: [1, 2.5, 5], largest: 0.5, range: 4 },
  { name: "NaN on both sides", a: [1, Number.NaN, 2], b: [1, Number.NaN, 2], largest: 0, range: 1 },
  { name: "NaN on one side", a: [1, 2], b: [1, Number.NaN], largest: Infinity, range: 1 },
  { name: "infinities", a: [1, Infinity], b: [1, Infinity], largest: 0, range: 1 },
  { name: "a constant output", a: [3, 3], b: [3, 4], largest: 1, range: 3 },
])("differences: $name", ({ a, b, largest, range }) => {
  const tensor = (values: number[]) => tensorOf("float32", [values.length], values);
  expect(differenceOf([tensor(a)], [tensor(b)])).toEqual({ largest, range });
});

test("another shape is an infinite difference", () => {
  const a = tensorOf("float32", [2], [1, 2]);
  const b = tensorOf("float32", [1, 2], [1, 2]);
  expect(differenceOf([a], [b]).largest).toBe(Infinity);
});
