/** @file Convolutions, pools and matrix products against onnxruntime. */
import { describe, expect, it } from "vitest";
import { expectAsOnnxruntime, type OneNode, oneNodeGraph } from "../../../test/support/one-node.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { inferTypes } from "../passes/infer.ts";

function floats(shape: readonly number[]): HostTensor {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7) % 11) / 4 - 1);
  return tensorOf("float32", shape, values);
}

const shown = ({ op, inputs, attributes }: OneNode) =>
  `${op} ${inputs.map((x) => `[${x?.shape}]`).join(" ")} ${JSON.stringify(attributes ?? {})}`;
const named = (cases: readonly OneNode[]) => cases.map((node) => [shown(node), node] as const);

describe("convolutions", () => {
  const x = floats([2, 4, 9, 8]);
  const w = floats([6, 4, 3, 2]);
  const cases: OneNode[] = [
    { op: "Conv", inputs: [x, w] },
    { op: "Conv", inputs: [x, w, floats([6])], attributes: { pads: [1, 0, 2, 1] } },
    { op: "Conv", inputs: [x, w], attributes: { strides: [2, 3], dilations: [2, 1] } },
    { op: "Conv", inputs: [x, floats([6, 2, 3, 3])], attributes: { group: 2 } },
    { op: "Conv", inputs: [x, floats([8, 1, 3, 3])], attributes: { group: 4 } },
    { op: "Conv", inputs: [floats([1, 2, 7]), floats([3, 2, 4])] },
    { op: "Conv", inputs: [floats([1, 2, 4, 5, 6]), floats([3, 2, 2, 3, 2])] },
    ...["SAME_UPPER", "SAME_LOWER", "VALID"].flatMap((auto_pad): OneNode[] => [
      { op: "Conv", inputs: [x, w], attributes: { auto_pad } },
      { op: "Conv", inputs: [x, w], attributes: { auto_pad, strides: [2, 3] } },
    ]),
    { op: "ConvTranspose", inputs: [x, floats([4, 3, 3, 2])] },
    {
      op: "ConvTranspose",
      inputs: [x, floats([4, 3, 3, 2]), floats([3])],
      attributes: { strides: [2, 3], pads: [1, 0, 0, 1], output_padding: [1, 2] },
    },
    { op: "ConvTranspose", inputs: [x, floats([4, 3, 3, 3])], attributes: { dilations: [2, 1] } },
    { op: "ConvTranspose", inputs: [x, floats([4, 3, 3, 3])], attributes: { group: 2 } },
    { op: "ConvTranspose", inputs: [x, floats([4, 1, 3, 3])], attributes: { group: 4 } },
    {
      op: "ConvTranspose",
      inputs: [x, floats([4, 3, 3, 3])],
      attributes: { strides: [3, 2], output_shape: [28, 17] },
    },
    ...["SAME_UPPER", "SAME_LOWER", "VALID"].map(
      (auto_pad): OneNode => ({
        op: "ConvTranspose",
        inputs: [x, floats([4, 3, 3, 3])],
        attributes: { auto_pad, strides: [2, 3] },
      }),
    ),
    { op: "ConvTranspose", inputs: [floats([1, 2, 7]), floats([2, 3, 4])] },
    { op: "ConvTranspose", inputs: [floats([1, 2, 3, 4, 5]), floats([2, 3, 2, 2, 2])] },
  ];
  it.each(named(cases))("%s", (_, node) => expectAsOnnxruntime(node));
});

describe("pools", () => {
  const x = floats([1, 2, 9, 8]);
  const kernel_shape = [3, 2];
  const windows: readonly NonNullable<OneNode["attributes"]>[] = [
    {},
    { strides: [2, 3] },
    { strides: [2, 3], ceil_mode: 1 },
    { pads: [1, 0, 2, 1], strides: [2, 2], ceil_mode: 1 },
    { pads: [0, 0, 2, 1], strides: [4, 4], ceil_mode: 1 },
    { auto_pad: "SAME_UPPER", strides: [2, 3] },
    { auto_pad: "SAME_LOWER", strides: [2, 3] },
    { auto_pad: "VALID", strides: [2, 3] },
    { dilations: [2, 3] },
  ];
  const cases: OneNode[] = [
    ...["MaxPool", "AveragePool", "LpPool"].flatMap((op) =>
      windows.map(
        (window): OneNode => ({
          op,
          inputs: [x],
          attributes: { kernel_shape, ...window },
          ...(op === "LpPool" && "ceil_mode" in window ? { opset: 22 } : {}),
        }),
      ),
    ),
    { op: "MaxPool", inputs: [x], attributes: { kernel_shape }, outputs: 2 },
    { op: "AveragePool", inputs: [x], attributes: { kernel_shape, count_include_pad: 1 } },
    { op: "MaxPool", inputs: [floats([1, 2, 7])], attributes: { kernel_shape: [3] } },
    {
      op: "MaxUnpool",
      inputs: [floats([1, 1, 2, 2]), tensorOf("int64", [1, 1, 2, 2], [0, 3, 8, 11])],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    ...["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"].flatMap((op): OneNode[] => [
      { op, inputs: [x] },
      { op, inputs: [floats([2, 3, 5])] },
    ]),
  ];
  it.each(named(cases))("%s", (_, node) => expectAsOnnxruntime(node));
});

describe("matrix products", () => {
  const product = (a: readonly number[], b: readonly number[]): OneNode => ({
    op: "MatMul",
    inputs: [floats(a), floats(b)],
  });
  const cases: OneNode[] = [
    product([2, 3], [3, 4]),
    product([5, 1, 2, 3], [4, 3, 6]),
    product([3], [3, 4]),
    product([2, 3], [3]),
    product([3], [3]),
    product([5, 2, 3], [3]),
    product([3], [5, 3, 2]),
    { op: "Gemm", inputs: [floats([2, 3]), floats([3, 4])] },
    {
      op: "Gemm",
      inputs: [floats([3, 2]), floats([4, 3]), floats([4])],
      attributes: { transA: 1, transB: 1, alpha: 0.5, beta: 1.5 },
    },
    { op: "Gemm", inputs: [floats([2, 3]), floats([3, 4]), floats([2, 1])] },
    { op: "Gemm", inputs: [floats([2, 3]), floats([3, 4]), floats([])] },
  ];
  it.each(named(cases))("%s", (_, node) => expectAsOnnxruntime(node));
});

describe("shapes that do not fit are refused by name", () => {
  const cases: OneNode[] = [
    { op: "Conv", inputs: [floats([1, 3, 8, 8]), floats([4, 4, 3, 3])] },
    { op: "Conv", inputs: [floats([1, 3, 2, 2]), floats([4, 3, 3, 3])] },
    { op: "Conv", inputs: [floats([1, 4, 8, 8]), floats([3, 2, 3, 3])], attributes: { group: 2 } },
    { op: "Conv", inputs: [floats([1, 3, 8]), floats([4, 3, 3, 3])] },
    { op: "Conv", inputs: [floats([1, 3, 8, 8]), floats([4, 3, 3, 3]), floats([5])] },
    { op: "ConvTranspose", inputs: [floats([1, 3, 8, 8]), floats([4, 3, 3, 3])] },
    { op: "MaxPool", inputs: [floats([1, 3, 8, 8])], attributes: { kernel_shape: [2] } },
    { op: "MatMul", inputs: [floats([2, 3]), floats([4, 2])] },
    { op: "Gemm", inputs: [floats([2, 3]), floats([3, 4]), floats([3])] },
    { op: "Reshape", inputs: [floats([2, 3]), int64Vector([4, 2])] },
    { op: "Split", inputs: [floats([2, 3]), int64Vector([1, 3])], outputs: 2 },
    { op: "Gather", inputs: [floats([2, 3]), int64Vector([2])] },
    { op: "Squeeze", inputs: [floats([2, 3]), int64Vector([0])] },
    { op: "Transpose", inputs: [floats([2, 3])], attributes: { perm: [0, 0] } },
    { op: "DepthToSpace", inputs: [floats([1, 6, 2, 2])], attributes: { blocksize: 2 } },
  ];
  it.each(named(cases))("%s", (_, node) => {
    const { graph, feeds } = oneNodeGraph(node);
    expect(() => inferTypes(graph, { inputs: feeds })).toThrowError(
      expect.objectContaining({
        code: "MODEL_BAD_SHAPE",
        message: expect.stringContaining(node.op),
      }),
    );
  });
});
