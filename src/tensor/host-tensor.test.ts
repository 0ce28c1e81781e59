/** @file Cutting tensors and reading their elements. */
import { expect, test } from "vitest";
import type { DType } from "./dtype.ts";
import { elementReader, sizeOf, takeAlong, takeGrid, tensorOf, toNumbers } from "./host-tensor.ts";

const counting = (dtype: DType, shape: readonly number[]) =>
  tensorOf(
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  );

test.each([
  { shape: [3, 4], axis: 1, indices: [2, 0], expected: [2, 0, 6, 4, 10, 8] },
  { shape: [3, 4], axis: 0, indices: [1], expected: [4, 5, 6, 7] },
  { shape: [2, 2, 2], axis: 1, indices: [1, 1], expected: [2, 3, 2, 3, 6, 7, 6, 7] },
  { shape: [2, 3], axis: 1, indices: [], expected: [] },
])("takes $indices along axis $axis of $shape", ({ shape, axis, indices, expected }) => {
  for (const dtype of ["float32", "float16", "int64", "uint8", "float64"] as const) {
    const taken = takeAlong(counting(dtype, shape), axis, indices);
    expect([...toNumbers(taken)]).toEqual(expected);
    expect(taken.shape).toEqual(shape.map((size, i) => (i === axis ? indices.length : size)));
  }
});

test("a grid equals one axis after the other", () => {
  const tensor = counting("float32", [3, 4, 5, 30]);
  const lists = [[0, 2], undefined, [4, 1, 1], undefined];
  const expected = takeAlong(takeAlong(tensor, 0, [0, 2]), 2, [4, 1, 1]);
  expect(takeGrid(tensor, lists)).toEqual(expected);
  expect(takeGrid(tensor, [undefined, undefined, undefined, undefined])).toEqual(tensor);
});

test("strings are taken like numbers", () => {
  const tensor = { dtype: "string", shape: [2, 2], data: ["a", "b", "c", "d"] } as const;
  expect(takeAlong(tensor, 1, [1]).data).toEqual(["b", "d"]);
});

test.each(["float32", "float64", "float16", "bfloat16", "int8", "int64"] as const)(
  "reads single elements of %s as toNumbers converts them",
  (dtype) => {
    const tensor = tensorOf(dtype, [5], [0, 1, -2, 100, -128]);
    const at = elementReader(tensor);
    expect([0, 1, 2, 3, 4].map(at)).toEqual([...toNumbers(tensor)]);
  },
);
