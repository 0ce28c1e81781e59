/** @file What a comparison shows, on numbers made up for each case. */
import { expect, test } from "vitest";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { type Finding, findingWhenOptimised, judge } from "./judgement.ts";

const vector = (...values: number[]) => tensorOf("float32", [values.length], values);
const tolerance = 1e-4;

test("values within the tolerance are equal, those beyond it different, as a share of their range", () => {
  const expected = [vector(0, 10), vector(0, 20)];
  const near = judge(
    { expected, actual: [vector(0, 10.0005), vector(0, 20)], again: [] },
    tolerance,
  );
  expect(near).toMatchObject({ finding: "equal" });
  expect(near.maxError).toBeCloseTo(5e-5, 7);
  const far = judge({ expected, actual: [vector(0, 10.005), vector(0, 20)], again: [] }, tolerance);
  expect(far).toMatchObject({ finding: "different" });
  expect(far.maxError).toBeCloseTo(5e-4, 6);
});

test("each input is measured by its own range, so that a large one hides nothing", () => {
  const expected = [vector(0, 1), vector(0, 200)];
  const actual = [vector(0, 1.001), vector(0, 200)];
  expect(judge({ expected, actual, again: [] }, tolerance).finding).toBe("different");
});

test("what rounding does to the reference explains a few times as much, and no more", () => {
  const expected = [vector(0, 1), vector(0, 2)];
  const again = [[vector(0, 1.0001), vector(0, 2)]];
  const series = (error: number) => ({
    expected,
    actual: [vector(0, 1 + error), vector(0, 2)],
    again,
  });
  const explained = judge(series(5e-4), tolerance);
  expect(explained).toMatchObject({ finding: "equal", maxError: 0 });
  expect(explained.noise).toBeCloseTo(1e-4, 6);
  expect(judge(series(2e-3), tolerance).finding).toBe("different");
});

test("where rounding alone moves values a lot, nothing is told from it", () => {
  const expected = [vector(0, 1), vector(0, 1.5)];
  const again = [[vector(0, 1.05), vector(0, 1.55)]];
  const actual = [vector(0, 1.3), vector(0, 1.8)];
  expect(judge({ expected, actual, again }, tolerance).finding).toBe("rounding");
});

test.each([
  { name: "the same on every input", values: [vector(3, 4), vector(3, 4)], finding: "constant" },
  {
    name: "different by rounding only",
    values: [vector(3, 4), vector(3, 4.000001)],
    finding: "constant",
  },
  { name: "without elements", values: [vector(), vector()], finding: "empty" },
  { name: "whole numbers", values: [int64Vector([1]), int64Vector([7])], finding: "coarse" },
  { name: "NaN everywhere", values: [vector(Number.NaN), vector(Number.NaN)], finding: "constant" },
  { name: "of different sizes", values: [vector(1), vector(1, 2)], finding: "equal" },
  { name: "one input, two values", values: [vector(1, 2)], finding: "equal" },
  { name: "one input, one value", values: [vector(2, 2)], finding: "constant" },
])("equal values: $name", ({ values, finding }) => {
  expect(judge({ expected: values, actual: values, again: [] }, tolerance)).toMatchObject({
    maxError: 0,
    finding,
  });
});

test.each<[Finding, Finding, boolean, string]>([
  ["equal", "different", true, "runtime"],
  ["constant", "different", true, "runtime"],
  ["equal", "different", false, "different"],
  ["different", "different", true, "different"],
  ["rounding", "different", true, "different"],
  ["equal", "equal", true, "equal"],
  ["different", "equal", true, "equal"],
])("exactly %s, optimised %s, quantised: %s", (exact, optimised, isQuantised, finding) => {
  expect(findingWhenOptimised(exact, optimised, isQuantised)).toBe(finding);
});

test.each([
  { name: "another shape", actual: [vector(1), vector(2, 3)] },
  { name: "NaN on one side", actual: [vector(1, Number.NaN), vector(2, 3)] },
  { name: "missing", actual: [undefined, vector(2, 3)] },
])("infinitely far apart: $name", ({ actual }) => {
  const expected = [vector(1, 2), vector(2, 3)];
  const { maxError, finding } = judge({ expected, actual, again: [] }, tolerance);
  expect({ maxError, finding }).toEqual({
    maxError: Number.POSITIVE_INFINITY,
    finding: "different",
  });
});
