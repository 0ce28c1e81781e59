/** @file Gradients of operators along axes: reductions, sums, ranking, normalisation, one-hot. */
import { describe, expect, it } from "vitest";
import {
  distinct,
  expectGradient,
  nodeGradients,
  normals,
  uniforms,
} from "../../../test/support/gradient.ts";
import type { Attribute } from "../../ir/graph.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";

const tight = { tolerance: 2e-3 };

describe("reductions", () => {
  const positive = ["ReduceLogSum", "ReduceL1", "ReduceL2", "ReduceProd"];
  const extreme = ["ReduceMax", "ReduceMin"];
  it.each([
    ...["ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceLogSumExp"],
    ...positive,
    ...extreme,
  ])("%s", async (op) => {
    for (const dtype of ["float32", "float64"] as const) {
      const x = positive.includes(op)
        ? uniforms([2, 3, 4], 0.5, 1.5, { dtype })
        : extreme.includes(op)
          ? distinct([2, 3, 4], 0.25, dtype)
          : normals([2, 3, 4], dtype);
      const options = dtype === "float32" ? tight : {};
      for (const keepdims of [0, 1]) {
        for (const axes of [[1], [-1, 0], [0, 1, 2]])
          await expectGradient(op, [x, int64Vector(axes)], { keepdims }, options);
        await expectGradient(op, [x], { keepdims }, options);
      }
    }
  });

  it.each([
    ["ReduceMax", [3, 1, 3, 2], [0.5, 0, 0.5, 0]],
    ["ReduceMin", [3, 1, 1, 1], [0, 1 / 3, 1 / 3, 1 / 3]],
    ["ReduceProd", [2, 0, 3, 4], [0, 24, 0, 0]],
    ["ReduceProd", [2, 0, 0, 4], [0, 0, 0, 0]],
    ["ReduceL2", [0, 0, 0, 0], [0, 0, 0, 0]],
    ["ReduceL1", [-2, 0, 1, 0], [-1, 0, 1, 0]],
    ["ReduceLogSumExp", [8, 8, -1000, -50], [0.5, 0.5, 0, 0]],
  ])("%s of %j has the gradient %j", async (op, x, want) => {
    const [dx] = await nodeGradients(op, [tensorOf("float32", [4], x)]);
    expect(dx).toHaveLength(4);
    for (const [i, value] of want.entries()) expect(dx?.[i]).toBeCloseTo(value, 5);
  });

  it("over no axes on purpose is the identity", () =>
    expectGradient("ReduceSum", [normals([2, 3])], { noop_with_empty_axes: 1 }, tight));
});

describe("along one axis", () => {
  it.each([
    [{}, 0],
    [{ exclusive: 1 }, 1],
    [{ reverse: 1 }, -1],
    [{ exclusive: 1, reverse: 1 }, 2],
  ])("CumSum %j", async (attributes, axis) => {
    const inputs = [normals([2, 3, 4], "float64"), tensorOf("int64", [], [axis])];
    await expectGradient("CumSum", inputs, attributes);
  });

  it.each([
    [{}, 2],
    [{ axis: 0, largest: 0 }, 1],
    [{ axis: -2, sorted: 0 }, 3],
  ])("TopK %j", async (attributes, k) => {
    const inputs = [distinct([2, 3, 4]), int64Vector([k])];
    await expectGradient("TopK", inputs, attributes, { ...tight, outputs: 2 });
    await expectGradient("TopK", inputs, attributes, { ...tight, outputs: 2, through: [0] });
  });

  it.each([[{}], [{ upper: 0 }]])("Trilu %j", async (attributes) => {
    await expectGradient("Trilu", [normals([2, 3, 4])], attributes, tight);
    await expectGradient("Trilu", [normals([3, 3]), tensorOf("int64", [], [1])], attributes, tight);
  });

  it.each([0, 1, -1])("Softmax and LogSoftmax along %d", async (axis) => {
    for (const op of ["Softmax", "LogSoftmax"]) {
      await expectGradient(op, [normals([2, 5, 3])], { axis }, tight);
      await expectGradient(op, [normals([2, 5, 3], "float64")], { axis });
    }
  });

  it.each([1, 2, -2])("Softmax and LogSoftmax over all axes from %d on, as one", async (axis) => {
    for (const op of ["Softmax", "LogSoftmax"])
      await expectGradient(op, [normals([2, 3, 2, 2])], { axis, flatten: 1 }, tight);
    const [dx] = await nodeGradients("LogSoftmax", [normals([2, 3, 2])], { axis: 0, flatten: 1 });
    // Each of the 12 elements gives 1, and takes its share of 12.
    expect(dx?.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
  });

  it("LogSoftmax stays finite far out", async () => {
    const [dx] = await nodeGradients("LogSoftmax", [tensorOf("float32", [3], [1000, 0, -1000])]);
    expect(dx).toEqual([-2, 1, 1]);
  });

  it.each([1, 2])("LpNormalization, p = %d", async (p) => {
    const x = uniforms([2, 4, 3], -2, 2, { kinks: [0] });
    await expectGradient("LpNormalization", [x], { p, axis: 1 }, tight);
    await expectGradient("LpNormalization", [x], { p }, tight);
    const [dx] = await nodeGradients("LpNormalization", [tensorOf("float32", [2], [0, 0])], { p });
    expect(dx).toEqual([0, 0]);
  });

  it.each<Readonly<Record<string, Attribute>>>([{}, { axes: { kind: "ints", value: [1, -1] } }])(
    "MeanVarianceNormalization %j",
    async (attributes) => {
      const x = normals([2, 3, 3, 4]);
      await expectGradient("MeanVarianceNormalization", [x], attributes, tight);
    },
  );

  it("OneHot of values", async () => {
    const inputs = [int64Vector([2, 0, 9]), int64Vector([4]), normals([2])];
    await expectGradient("OneHot", inputs, { axis: 0 }, tight);
  });
});
