/** @file Elementwise operators against onnxruntime: types, folded values, broadcasting. */
import { describe, expect, it } from "vitest";
import { expectAsOnnxruntime, type OneNode, oneNodeGraph } from "../../../test/support/one-node.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { inferTypes } from "../passes/infer.ts";

/** Values that differ, repeat for no short shape, and stay inside [low, high]. */
function spread(dtype: DType, shape: readonly number[], low: number, high: number): HostTensor {
  const whole = dtype !== "float32" && dtype !== "float64" && dtype !== "float16";
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const x = low + (high - low) * ((i * 0.618034 + 0.3) % 1);
    return whole ? Math.round(x) : x;
  });
  return tensorOf(dtype, shape, values);
}

const floats = (shape: readonly number[], low = -3, high = 3) =>
  spread("float32", shape, low, high);
const special = tensorOf("float32", [6], [0, -0, Number.NaN, Infinity, -Infinity, 2.5]);
const halves = tensorOf("float32", [8], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4999, 1e9]);

describe("unary operators", () => {
  const overReals = [
    ...["Relu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Shrink", "Abs", "Neg", "Sign"],
    ...["Sigmoid", "Tanh", "HardSwish", "Elu", "Selu", "Celu", "Gelu", "Softplus", "Softsign"],
    ...["Mish", "Erf", "Exp", "Reciprocal", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh"],
    ...["Floor", "Ceil", "Round", "Identity"],
  ];
  it.each(overReals)("%s of any real", async (op) => {
    for (const shape of [[2, 3, 4], [], [0, 3]])
      await expectAsOnnxruntime({ op, inputs: [floats(shape)] });
  });

  it.each([
    ["Sqrt", 0, 4],
    ["Log", 0.1, 4],
    ["Asin", -1, 1],
    ["Acos", -1, 1],
    ["Atanh", -0.9, 0.9],
    ["Acosh", 1, 5],
  ] as const)("%s from %d to %d", async (op, low, high) => {
    await expectAsOnnxruntime({ op, inputs: [floats([2, 5], low, high)] });
  });

  const cases: readonly OneNode[] = [
    { op: "Elu", inputs: [floats([7])], attributes: { alpha: 0.4 } },
    { op: "Selu", inputs: [floats([7])], attributes: { alpha: 1.5, gamma: 0.5 } },
    { op: "Celu", inputs: [floats([7])], attributes: { alpha: 0.3 } },
    { op: "Gelu", inputs: [floats([7])], attributes: { approximate: "tanh" } },
    { op: "Swish", inputs: [floats([7])], attributes: { alpha: 1.5 }, opset: 24 },
    { op: "Round", inputs: [halves] },
    { op: "IsNaN", inputs: [special] },
    { op: "IsInf", inputs: [special] },
    { op: "IsInf", inputs: [special], attributes: { detect_negative: 0 } },
    { op: "IsInf", inputs: [special], attributes: { detect_positive: 0 } },
    { op: "Not", inputs: [spread("bool", [2, 3], 0, 1)] },
    { op: "BitwiseNot", inputs: [spread("int32", [5], -9, 9)] },
    { op: "BitwiseNot", inputs: [spread("uint8", [5], 0, 255)] },
    { op: "Abs", inputs: [spread("int64", [5], -9, 9)] },
    { op: "Neg", inputs: [spread("int64", [5], -9, 9)] },
    { op: "Neg", inputs: [spread("int8", [5], -128, 127)] },
    { op: "Sign", inputs: [spread("int64", [5], -9, 9)] },
    { op: "Relu", inputs: [spread("int32", [5], -9, 9)] },
    { op: "Sqrt", inputs: [spread("float64", [5], 0, 9)] },
    { op: "Exp", inputs: [spread("float16", [5], -1, 1)] },
  ];
  it.each(cases)("$op with $attributes", expectAsOnnxruntime);
});

describe("operators that pass elements on", () => {
  const int64 = (...values: number[]) => int64Vector(values);
  const scalar = (value: number) => tensorOf("float32", [], [value]);
  const condition = spread("bool", [2, 1, 3], 0, 1);
  const cases: readonly OneNode[] = [
    { op: "Dropout", inputs: [floats([2, 3])] },
    { op: "Dropout", inputs: [floats([2, 3])], outputs: 2 },
    { op: "Dropout", inputs: [floats([2, 3]), scalar(0.3)], outputs: 2 },
    { op: "Clip", inputs: [floats([2, 3])] },
    { op: "Clip", inputs: [floats([2, 3]), scalar(-1)] },
    { op: "Clip", inputs: [floats([2, 3]), undefined, scalar(1)] },
    { op: "Clip", inputs: [floats([2, 3]), scalar(-1), scalar(1)] },
    { op: "Clip", inputs: [floats([2, 3]), scalar(1), scalar(-1)] },
    {
      op: "Clip",
      inputs: [int64(-9, 0, 9), tensorOf("int64", [], [-2]), tensorOf("int64", [], [4])],
    },
    { op: "Cast", inputs: [floats([2, 3], -9, 9)], attributes: { to: 7 } },
    { op: "Cast", inputs: [floats([2, 3])], attributes: { to: 10 } },
    { op: "Cast", inputs: [floats([2, 3])], attributes: { to: 11 } },
    { op: "Cast", inputs: [special], attributes: { to: 9 } },
    { op: "Cast", inputs: [spread("int64", [5], -300, 300)], attributes: { to: 3 } },
    { op: "Cast", inputs: [spread("int64", [5], -300, 300)], attributes: { to: 2 } },
    { op: "Cast", inputs: [spread("int64", [5], -300, 300)], attributes: { to: 1 } },
    { op: "Cast", inputs: [condition], attributes: { to: 6 } },
    { op: "CastLike", inputs: [floats([2, 3], -9, 9), int64(1, 2, 3, 4)] },
    { op: "PRelu", inputs: [floats([2, 3, 4]), floats([3, 1])] },
    { op: "PRelu", inputs: [floats([2, 3, 4]), floats([4])] },
    { op: "PRelu", inputs: [floats([2, 3, 4]), floats([1])] },
    { op: "Where", inputs: [condition, floats([1, 4, 3]), floats([3])] },
    { op: "Where", inputs: [condition, scalar(1), floats([2, 4, 3])] },
    {
      op: "Where",
      inputs: [
        tensorOf("bool", [2], [1, 0]),
        { dtype: "int64", shape: [2], data: BigInt64Array.of(2n ** 62n + 1n, 5n) },
        int64(7, 8),
      ],
    },
  ];
  it.each(cases)("$op, case %#", expectAsOnnxruntime);
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
    [[], []],
    [
      [0, 3],
      [1, 3],
    ],
    [
      [2, 1],
      [1, 5],
    ],
  ];
  it.each(["Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum"])(
    "%s broadcasts",
    async (op) => {
      for (const [a, b] of shapes)
        await expectAsOnnxruntime({ op, inputs: [floats(a), floats(b, 0.5, 2)] });
    },
  );
  it.each(["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])(
    "%s broadcasts",
    async (op) => {
      for (const dtype of ["int64", "float32"] as const)
        for (const [a, b] of shapes)
          await expectAsOnnxruntime({
            op,
            inputs: [spread(dtype, a, 0, 3), spread(dtype, b, 0, 3)],
          });
    },
  );
  it.each(["And", "Or", "Xor"])("%s broadcasts", async (op) => {
    for (const [a, b] of shapes)
      await expectAsOnnxruntime({ op, inputs: [spread("bool", a, 0, 1), spread("bool", b, 0, 1)] });
  });
  it.each(["Sum", "Mean", "Max", "Min"])("%s takes one and three inputs", async (op) => {
    await expectAsOnnxruntime({ op, inputs: [floats([2, 3])] });
    await expectAsOnnxruntime({ op, inputs: [floats([2, 1]), floats([3]), floats([1, 1, 1])] });
  });

  const ints = (dtype: DType, ...values: number[]) => tensorOf(dtype, [values.length], values);
  const signs = [ints("int64", 7, -7, 7, -7, 6), ints("int64", 3, 3, -3, -3, 3)];
  const bits = [ints("uint8", 1, 200, 7), ints("uint8", 3, 2, 0)];
  const big = { dtype: "int64", shape: [2], data: BigInt64Array.of(2n ** 60n + 1n, -5n) } as const;
  const cases: readonly OneNode[] = [
    ...["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"].map((op) => ({ op, inputs: signs })),
    ...["Add", "Sub", "Mul", "Max", "Min"].map((op) => ({
      op,
      inputs: [big, ints("int64", 3, 2)],
    })),
    { op: "Mul", inputs: [ints("int32", 2 ** 30, 7), ints("int32", 6, -3)] },
    { op: "Mod", inputs: signs, attributes: { fmod: 1 } },
    { op: "Mod", inputs: [floats([5]), floats([5], 0.5, 1)], attributes: { fmod: 1 } },
    { op: "Pow", inputs: [floats([5], 0, 3), floats([5], -1, 2)] },
    { op: "Pow", inputs: [floats([5], 0, 3), ints("int64", 0, 1, 2, 3, 4)] },
    { op: "Pow", inputs: [ints("int64", 2, -3, 5), ints("int64", 10, 3, 0)] },
    { op: "BitwiseAnd", inputs: bits },
    { op: "BitwiseOr", inputs: bits },
    { op: "BitwiseXor", inputs: bits },
    { op: "BitShift", inputs: bits, attributes: { direction: "LEFT" } },
    { op: "BitShift", inputs: bits, attributes: { direction: "RIGHT" } },
  ];
  it.each(cases)("$op of integers, case %#", expectAsOnnxruntime);

  it.each<OneNode>([
    { op: "Add", inputs: [floats([2, 3]), floats([2, 4])] },
    { op: "Add", inputs: [floats([2])] },
    { op: "Sum", inputs: [] },
    { op: "Where", inputs: [spread("bool", [2], 0, 1), floats([3]), floats([1])] },
    { op: "PRelu", inputs: [floats([2, 3]), floats([2])] },
    { op: "PRelu", inputs: [floats([3]), floats([2, 3])] },
  ])("$op is refused by name where shapes do not fit, case %#", (node) => {
    const { graph } = oneNodeGraph(node);
    expect(() => inferTypes(graph)).toThrow(
      expect.objectContaining({
        code: "MODEL_BAD_SHAPE",
        message: expect.stringContaining(`${node.op} node "${node.op}_0"`),
      }),
    );
  });
});
