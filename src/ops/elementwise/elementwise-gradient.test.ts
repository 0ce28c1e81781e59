/** @file Gradients of the elementwise operators: central differences, and closed forms at the kinks. */
import { describe, expect, it } from "vitest";
import {
  distinct,
  expectGradient,
  nodeGradients,
  normals,
  uniforms,
} from "../../../test/support/gradient.ts";
import type { Attribute } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";

const float = (value: number): Attribute => ({ kind: "float", value });
const scalar = (value: number, dtype: DType = "float32") => tensorOf(dtype, [], [value]);
const vector = (...values: number[]) => tensorOf("float32", [values.length], values);
/** Elementwise functions are measured well even in single precision. */
const tight = { tolerance: 1e-3 };

interface Row {
  readonly op: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly low?: number;
  readonly high?: number;
  readonly kinks?: readonly number[];
  /** Whether onnxruntime also computes it in double precision. */
  readonly double?: boolean;
}

// biome-ignore format: a table
const unary: readonly Row[] = [
  { op: "Relu", kinks: [0], double: true },
  { op: "LeakyRelu", kinks: [0] },
  { op: "LeakyRelu", attributes: { alpha: float(-0.5) }, kinks: [0] },
  { op: "HardSigmoid", kinks: [-2.5, 2.5], low: -4, high: 4 },
  { op: "HardSigmoid", attributes: { alpha: float(-1), beta: float(0.25) }, kinks: [-0.75, 0.25] },
  { op: "ThresholdedRelu", attributes: { alpha: float(0.3) }, kinks: [0.3] },
  { op: "ThresholdedRelu", attributes: { alpha: float(-0.3) }, kinks: [-0.3] },
  { op: "Shrink", attributes: { lambd: float(0.5), bias: float(0.2) }, kinks: [-0.5, 0.5] },
  { op: "Abs", kinks: [0], double: true },
  { op: "Neg", double: true },
  { op: "Sigmoid", double: true },
  { op: "Tanh", double: true },
  { op: "HardSwish", kinks: [-3, 3], low: -5, high: 5 },
  { op: "Elu", kinks: [0] },
  { op: "Elu", attributes: { alpha: float(0.3) }, kinks: [0] },
  { op: "Elu", attributes: { alpha: float(-0.3) }, kinks: [0] },
  { op: "Selu", kinks: [0] },
  { op: "Selu", attributes: { alpha: float(0.5), gamma: float(2) }, kinks: [0] },
  { op: "Celu", attributes: { alpha: float(0.4) }, kinks: [0] },
  { op: "Gelu" },
  { op: "Gelu", attributes: { approximate: { kind: "string", value: "tanh" } } },
  { op: "Softplus" },
  { op: "Softsign", kinks: [0] },
  { op: "Mish" },
  { op: "Erf" },
  { op: "Atan" },
  { op: "Asinh" },
  { op: "Exp", double: true },
  { op: "Sqrt", low: 0.5, double: true },
  { op: "Reciprocal", low: 0.5, double: true },
  { op: "Log", low: 0.5, double: true },
  { op: "Sin", double: true },
  { op: "Cos", double: true },
  { op: "Tan", low: -1, high: 1 },
  { op: "Asin", low: -0.7, high: 0.7 },
  { op: "Acos", low: -0.7, high: 0.7 },
  { op: "Sinh" },
  { op: "Cosh" },
  { op: "Acosh", low: 1.5 },
  { op: "Atanh", low: -0.7, high: 0.7 },
  { op: "Identity", double: true },
];

describe("unary operators", () => {
  it.each(unary)("$op, case %#", async ({ op, attributes, low = -3, high = 3, kinks, double }) => {
    for (const shape of [[2, 3, 4], []])
      await expectGradient(op, [uniforms(shape, low, high, { kinks })], attributes, tight);
    if (double)
      await expectGradient(op, [uniforms([5], low, high, { kinks, dtype: "float64" })], attributes);
  });

  it.each<readonly [string, Readonly<Record<string, Attribute>>, number[], number[]]>([
    ["Relu", {}, [-1, -0, 0, 1e-20, 1], [0, 0, 0, 1, 1]],
    ["LeakyRelu", { alpha: float(0.25) }, [-1, 0, 1], [0.25, 0.25, 1]],
    ["Abs", {}, [-2, -0, 0, 3], [-1, 0, 0, 1]],
    ["HardSigmoid", { alpha: float(0.5), beta: float(0.5) }, [-1, 0, 1], [0, 0.5, 0]],
    ["HardSwish", {}, [-4, 0, 4], [0, 0.5, 1]],
    ["ThresholdedRelu", { alpha: float(0.3) }, [0.2999, 0.3, 0.3001], [0, 0, 1]],
    ["Tanh", {}, [-50, 0, 50], [0, 1, 0]],
    ["Sigmoid", {}, [-200, 0, 200], [0, 0.25, 0]],
    ["Softplus", {}, [-200, 0, 200], [0, 0.5, 1]],
    ["Mish", {}, [-100, 0, 50], [0, 0.6, 1]],
    ["Gelu", {}, [-50, 0, 50], [0, 0.5, 1]],
    ["Gelu", { approximate: { kind: "string", value: "tanh" } }, [-50, 0, 50], [0, 0.5, 1]],
    ["Elu", {}, [-100, 0, 100], [0, 1, 1]],
    ["Softsign", {}, [0], [1]],
  ])("%s, case %#, at kinks and far out", async (op, attributes, x, want) => {
    const [dx] = await nodeGradients(op, [vector(...x)], attributes);
    expect(dx).toHaveLength(want.length);
    for (const [i, slope] of want.entries()) expect(dx?.[i]).toBeCloseTo(slope, 5);
  });
});

describe("operators of several inputs", () => {
  const shapes: readonly (readonly (readonly number[])[])[] = [
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [
      [2, 3, 4],
      [3, 1],
    ],
    [[4], [2, 3, 1]],
    [[], [2, 3]],
    [[2, 3], []],
    [[1, 1], [1]],
  ];
  it.each(["Add", "Sub", "Mul", "Div", "Pow", "Sum", "Max", "Min"])("%s", async (op) => {
    for (const [a, b] of shapes)
      for (const dtype of ["float32", "float64"] as const) {
        // Far enough apart for Max and Min, positive for Pow, away from 0 for Div.
        const x = distinct(a, 0.5, dtype, 1);
        const z = uniforms(b, 0.6, 0.9, { dtype, seed: 2 });
        const positive = uniforms(a, 0.5, 2, { dtype, kinks: [1] });
        await expectGradient(op, [op === "Pow" ? positive : shifted(x, 0.25), z]);
      }
  });
  it.each(["Sum", "Mean", "Max", "Min"])("%s of one and of three", async (op) => {
    await expectGradient(op, [normals([2, 3])], {}, tight);
    const three = [vector(0.1, 1, -2), distinct([4, 3], 0.6), tensorOf("float32", [1], [0.5])];
    await expectGradient(op, three, {}, tight);
  });

  it.each([2, 3, 0.5, -1, 1, 0, 2.5])("Pow by the constant %d", async (exponent) => {
    const x = uniforms([2, 3], 0.5, 2);
    await expectGradient("Pow", [x, scalar(exponent)], {}, { ...tight, check: [0] });
    const ints = tensorOf("int64", [3], [2, 3, 0]);
    await expectGradient("Pow", [x, ints], {}, { ...tight, check: [0] });
  });
  it("Pow at zero is finite", async () => {
    const [dx, dz] = await nodeGradients("Pow", [vector(0, 0, 0, -2), vector(0, 1, 2, 2)]);
    expect(dx).toEqual([0, 1, 0, -4]);
    expect(dz?.slice(0, 3)).toEqual([0, 0, 0]);
  });

  it("Mod with the sign of the dividend", async () => {
    const [x, z] = [vector(5.3, -5.3, 2.2, -0.4), vector(2, 2, -1.5, 3)];
    await expectGradient("Mod", [x, z], { fmod: 1 }, tight);
  });

  it("Max and Min share evenly where inputs are equal", async () => {
    const [a, b] = [vector(1, 2, 3), vector(3, 2, 1)];
    expect(await nodeGradients("Max", [a, b])).toEqual([
      [0, 0.5, 1],
      [1, 0.5, 0],
    ]);
    expect(await nodeGradients("Min", [a, b])).toEqual([
      [1, 0.5, 0],
      [0, 0.5, 1],
    ]);
    const three = await nodeGradients("Max", [a, b, vector(3, 2, 0)]);
    expect(three.map((gradient) => gradient?.[0])).toEqual([0, 0.5, 0.5]);
    expect(three.map((gradient) => gradient?.[1])).toEqual([1 / 3, 1 / 3, 1 / 3].map(Math.fround));
  });

  it("one tensor as both inputs adds up", async () => {
    await expectGradient("Where", [tensorOf("bool", [3], [1, 0, 1]), vector(1, 2, 3), scalar(4)]);
  });
});

describe("operators that pass elements on", () => {
  it.each<readonly [HostTensor | undefined, HostTensor | undefined]>([
    [scalar(-1), scalar(1)],
    [undefined, scalar(0.5)],
    [scalar(-0.5), undefined],
    [undefined, undefined],
    [scalar(-3.4e38), scalar(3.4e38)],
  ])("Clip, case %#", async (low, high) => {
    const x = uniforms([2, 3, 4], -2, 2, { kinks: [-1, -0.5, 0.5, 1] });
    await expectGradient("Clip", [x, low, high], {}, { ...tight, check: [0] });
    if (low?.data[0] !== scalar(-3.4e38).data[0]) await expectGradient("Clip", [x, low, high]);
  });
  it("Clip as ReLU6 passes nothing at its limits", async () => {
    const x = vector(-1, 0, 1, 6, 7);
    const [dx] = await nodeGradients("Clip", [x, scalar(0), scalar(6)], {}, { check: [0] });
    expect(dx).toEqual([0, 0, 1, 0, 0]);
  });
  it("Clip of doubles", () =>
    expectGradient("Clip", [
      uniforms([6], -2, 2, { kinks: [-1, 1], dtype: "float64" }),
      scalar(-1, "float64"),
      scalar(1, "float64"),
    ]));

  it.each([[[3, 1, 1]], [[1]], [[2, 3, 2, 2]]])("PRelu with slope %j", async (slope) => {
    const x = uniforms([2, 3, 2, 2], -2, 2, { kinks: [0] });
    await expectGradient("PRelu", [x, normals(slope, "float32", 1)], {}, tight);
  });

  it("Where", async () => {
    const condition = tensorOf("bool", [2, 1, 2], [1, 0, 0, 1]);
    const [x, y] = [normals([2, 3, 2]), normals([3, 1], "float32", 1)];
    await expectGradient("Where", [condition, x, y], {}, tight);
    await expectGradient("Where", [condition, y, x], {}, tight);
  });

  it("Cast to a double and back", async () => {
    await expectGradient("Cast", [normals([5])], { to: 11 }, tight);
    await expectGradient(
      "Cast",
      [normals([5], "float64")],
      { to: 1 },
      { tolerance: 1e-3, step: 0.1 },
    );
    await expectGradient("CastLike", [normals([5]), scalar(0, "float64")], {}, { check: [0] });
  });

  it("Dropout at inference", async () => {
    await expectGradient("Dropout", [normals([5])], {}, tight);
    await expectGradient("Dropout", [normals([5]), scalar(0.3)], {}, { ...tight, check: [0] });
    const off = tensorOf("bool", [], [0]);
    await expectGradient("Dropout", [normals([5]), scalar(0.3), off], {}, { ...tight, check: [0] });
  });
  it("Dropout in training gives back what the mask kept, scaled", async () => {
    const on = tensorOf("bool", [], [1]);
    const inputs = [normals([64]), scalar(0.75), on];
    const [dx] = await nodeGradients("Dropout", inputs, { seed: 7 }, { outputs: 2, check: [0] });
    const kept = dx?.filter((value) => value === 4).length ?? 0;
    expect(dx?.filter((value) => value === 0)).toHaveLength(64 - kept);
    expect(kept).toBeGreaterThan(4);
    expect(kept).toBeLessThan(32);
    await expect(nodeGradients("Dropout", inputs, {}, { check: [0] })).rejects.toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
    );
  });
});

function shifted(x: HostTensor, by: number): HostTensor {
  const values = toNumbers(x).map((value) => value + by);
  return tensorOf(x.dtype, x.shape, values);
}
