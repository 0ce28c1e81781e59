/** @file Operators along axes, and those that make tensors, against onnxruntime. */
import { describe, expect, it } from "vitest";
import { expectAsOnnxruntime, type OneNode, oneNodeGraph } from "../../../test/support/one-node.ts";
import type { Attribute } from "../../ir/graph.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { inferTypes } from "../passes/infer.ts";

/** Distinct values around `centre`. */
function floats(shape: readonly number[], centre = 0): HostTensor {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => centre + ((i * 7) % 11) / 4 - 1);
  return tensorOf("float32", shape, values);
}

const int64 = (...values: number[]) => int64Vector(values);
const scalar = (value: number) => tensorOf("int64", [], [value]);
const tensor = (value: HostTensor): Attribute => ({ kind: "tensor", value });

describe("reductions", () => {
  const reductions = [
    ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"],
    ...["ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"],
  ];
  const x = floats([2, 3, 4], 2);
  const variants: readonly Omit<OneNode, "op">[] = [
    { inputs: [x] },
    { inputs: [x], attributes: { keepdims: 0 } },
    { inputs: [x, int64(1)] },
    { inputs: [x, int64(-1, 0)], attributes: { keepdims: 0 } },
    { inputs: [x, int64()] },
    { inputs: [x, int64()], attributes: { noop_with_empty_axes: 1 } },
    { inputs: [x], attributes: { noop_with_empty_axes: 1 } },
    { inputs: [floats([])] },
  ];
  it.each(reductions)("%s", async (op) => {
    for (const variant of variants) await expectAsOnnxruntime({ op, ...variant });
  });

  it.each(["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"])("%s of int64", async (op) => {
    await expectAsOnnxruntime({ op, inputs: [tensorOf("int64", [2, 2], [7, -3, 5, 2]), int64(1)] });
  });

  it("ReduceMean of int32 cuts towards zero", () =>
    expectAsOnnxruntime({
      op: "ReduceMean",
      inputs: [tensorOf("int32", [2, 2], [-7, 2, 5, 2]), int64(1)],
    }));

  it.each(["ReduceMax", "ReduceMin"])("%s of 300,000 elements", async (op) => {
    await expectAsOnnxruntime({ op, inputs: [floats([300_000])] });
    const whole = Array.from({ length: 300_000 }, (_, i) => (i * 7) % 1000);
    await expectAsOnnxruntime({ op, inputs: [tensorOf("int64", [300_000], whole)] });
  });

  it.each(["ReduceSum", "ReduceMax"])("%s of nothing", (op) =>
    expectAsOnnxruntime({ op, inputs: [tensorOf("float32", [2, 0, 3], []), int64(1)] }),
  );
});

describe("operators along one axis", () => {
  const x = floats([2, 3, 4]);
  it.each<OneNode>([
    { op: "ArgMax", inputs: [x] },
    { op: "ArgMax", inputs: [x], attributes: { axis: -1, keepdims: 0 } },
    { op: "ArgMin", inputs: [x], attributes: { axis: 1 } },
    { op: "ArgMin", inputs: [x], attributes: { axis: 1, keepdims: 0, select_last_index: 1 } },
    { op: "TopK", inputs: [x, int64(2)], outputs: 2 },
    { op: "TopK", inputs: [x, int64(1)], attributes: { axis: 0, largest: 0 }, outputs: 2 },
    { op: "TopK", inputs: [x, int64(0)], attributes: { axis: 1 }, outputs: 2 },
    { op: "CumSum", inputs: [x, scalar(1)] },
    { op: "CumSum", inputs: [x, scalar(-1)], attributes: { exclusive: 1, reverse: 1 } },
    { op: "Trilu", inputs: [x] },
    { op: "Trilu", inputs: [x, scalar(-1)], attributes: { upper: 0 } },
    { op: "Softmax", inputs: [x] },
    { op: "Softmax", inputs: [x], attributes: { axis: 1 } },
    { op: "LogSoftmax", inputs: [x], attributes: { axis: -2 } },
    { op: "Hardmax", inputs: [x], attributes: { axis: 0 } },
    { op: "LpNormalization", inputs: [x], attributes: { axis: 1, p: 1 } },
    { op: "LpNormalization", inputs: [x] },
    { op: "MeanVarianceNormalization", inputs: [floats([2, 3, 4, 5])] },
    { op: "MeanVarianceNormalization", inputs: [x], attributes: { axes: [0, 2] } },
  ])("$op $attributes, case %#", expectAsOnnxruntime);
});

describe("operators that make tensors", () => {
  const seven = tensorOf("int64", [1], [7]);
  const half = (...values: number[]) => values.map((value) => tensorOf("float32", [], [value]));
  const onOff = tensorOf("float32", [2], [0, 1]);
  it.each<OneNode>([
    { op: "ConstantOfShape", inputs: [int64(2, 3)] },
    { op: "ConstantOfShape", inputs: [int64(2, 0)], attributes: { value: tensor(seven) } },
    { op: "ConstantOfShape", inputs: [int64()], attributes: { value: tensor(seven) } },
    { op: "Shape", inputs: [floats([2, 3, 4])] },
    { op: "Shape", inputs: [floats([])] },
    { op: "Shape", inputs: [floats([2, 3, 4])], attributes: { start: 1 } },
    { op: "Shape", inputs: [floats([2, 3, 4])], attributes: { start: -2, end: -1 } },
    { op: "Shape", inputs: [floats([2, 3, 4])], attributes: { start: -9, end: 9 } },
    { op: "Shape", inputs: [floats([2, 3, 4])], attributes: { start: 2, end: 1 } },
    { op: "Size", inputs: [floats([2, 3, 4])] },
    { op: "Size", inputs: [floats([2, 0])] },
    { op: "Size", inputs: [floats([])] },
    { op: "Range", inputs: [scalar(2), scalar(9), scalar(3)] },
    { op: "Range", inputs: [scalar(9), scalar(2), scalar(-3)] },
    { op: "Range", inputs: [scalar(2), scalar(2), scalar(1)] },
    { op: "Range", inputs: half(0.5, 2.1, 0.4) },
    { op: "EyeLike", inputs: [floats([2, 3])] },
    { op: "EyeLike", inputs: [floats([2, 3])], attributes: { dtype: 7, k: 1 } },
    { op: "NonZero", inputs: [tensorOf("int64", [2, 3], [0, 4, 0, 1, 0, 9])] },
    { op: "NonZero", inputs: [tensorOf("float32", [2, 2], [0, 0, 0, 0])] },
    { op: "OneHot", inputs: [tensorOf("int64", [2, 2], [0, 3, 1, -1]), int64(4), onOff] },
    { op: "OneHot", inputs: [int64(0, 2), scalar(3), onOff], attributes: { axis: 0 } },
    { op: "Constant", inputs: [], attributes: { value: tensor(floats([2, 3])) } },
    {
      op: "Constant",
      inputs: [],
      attributes: { value_floats: { kind: "floats", value: [0.5, 2] } },
    },
    { op: "Constant", inputs: [], attributes: { value_float: 0.5 } },
    { op: "Constant", inputs: [], attributes: { value_int: 5 } },
    { op: "Constant", inputs: [], attributes: { value_ints: [1, 2] } },
  ])("$op $attributes, case %#", expectAsOnnxruntime);
});

describe("what does not fit is refused by name", () => {
  const x = floats([2, 3]);
  it.each<readonly [OneNode, string]>([
    [{ op: "ReduceSum", inputs: [x, int64(2)] }, "axis 2 is outside a tensor of rank 2"],
    [{ op: "ArgMax", inputs: [x], attributes: { axis: -3 } }, "axis -3 is outside"],
    [{ op: "Softmax", inputs: [x], attributes: { axis: 2 } }, "axis 2 is outside"],
    [{ op: "TopK", inputs: [x, int64(4)], outputs: 2 }, "K is 4, the axis has 3 elements"],
    [{ op: "TopK", inputs: [x] }, "input 1 is missing"],
    [{ op: "CumSum", inputs: [x, scalar(5)] }, "axis 5 is outside"],
    [{ op: "Trilu", inputs: [floats([3])] }, "X has rank 1, at least 2 expected"],
    [{ op: "EyeLike", inputs: [floats([3])] }, "X has rank 1, expected 2"],
    [{ op: "Range", inputs: [scalar(0), scalar(1), scalar(0)] }, "by steps of 0"],
    [{ op: "ConstantOfShape", inputs: [int64(2, -1)] }, "the sizes are [2, -1]"],
    [{ op: "OneHot", inputs: [int64(1), scalar(-2), x] }, "depth is -2"],
    [{ op: "ReduceSum", inputs: [], outputs: 1 }, "input 0 is missing"],
    [{ op: "Relu", inputs: [x], outputs: 2 }, "names 2 outputs, the operator has 1"],
  ])("$0.op, case %#", (node, message) => {
    const { graph, feeds } = oneNodeGraph(node);
    const wanted = { code: "MODEL_BAD_SHAPE", message: expect.stringContaining(message) };
    expect(() => inferTypes(graph, { inputs: feeds })).toThrow(expect.objectContaining(wanted));
  });

  it.each<readonly [OneNode, string]>([
    [{ op: "Cast", inputs: [x], attributes: { to: 99 } }, '"to" is 99'],
    [{ op: "Cast", inputs: [x] }, '"to" is missing'],
    [{ op: "ArgMax", inputs: [x], attributes: { axis: 0.5 } }, '"axis" is float, expected int'],
    [{ op: "Constant", inputs: [] }, "it holds none of the values"],
    [{ op: "ConstantOfShape", inputs: [int64(1)], attributes: { value: tensor(x) } }, "6 elements"],
  ])("attributes of $0.op, case %#", (node, message) => {
    const { graph, feeds } = oneNodeGraph(node);
    const wanted = { code: "MODEL_BAD_ATTRIBUTE", message: expect.stringContaining(message) };
    expect(() => inferTypes(graph, { inputs: feeds })).toThrow(expect.objectContaining(wanted));
  });
});
