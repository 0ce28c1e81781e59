/** @file Extremes as Math.max and Math.min have them, of lists that are too long for these. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { largestOf, smallestOf } from "./extremes.ts";

it("are those of Math.max and Math.min", () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      expect(largestOf(values)).toBe(Math.max(...values));
      expect(smallestOf(values)).toBe(Math.min(...values));
    }),
  );
});

it("are found in lists of a million elements", () => {
  const values = Array.from({ length: 1_000_000 }, (_, i) => i);
  expect([smallestOf(values), largestOf(values)]).toEqual([0, 999_999]);
});
