/** @file Operators that move, repeat, normalise and quantise elements, against onnxruntime. */
import { describe, it } from "vitest";
import { expectAsOnnxruntime, type OneNode } from "../../../test/support/one-node.ts";
import type { AttributeValue } from "../../ir/builder.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";

function floats(shape: readonly number[]): HostTensor {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7) % 11) / 4 - 1);
  return tensorOf("float32", shape, values);
}

const int64 = (...values: number[]) => int64Vector(values);
const reals = (...values: number[]) => tensorOf("float32", [values.length], values);
const far = 2 ** 53;

type Case = readonly [
  op: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes?: Readonly<Record<string, AttributeValue>>,
  outputs?: number,
];

function check(cases: readonly Case[]): void {
  const named = cases.map(([op, inputs, attributes = {}, outputs = 1]) => {
    const node: OneNode = { op, inputs, attributes, outputs };
    const shown = inputs.map((x) => (x ? `[${x.dtype === "int64" ? x.data : x.shape}]` : "-"));
    return [`${op} ${shown.join(" ")} ${JSON.stringify(attributes)}`, node] as const;
  });
  it.each(named)("%s", (_, node) => expectAsOnnxruntime(node));
}

describe("new shapes", () => {
  const x = floats([2, 3, 4]);
  check([
    ["Reshape", [x, int64(4, 6)]],
    ["Reshape", [x, int64(0, -1)]],
    ["Reshape", [x, int64(-1)]],
    ["Reshape", [x, int64(2, 0, 2, -1)]],
    ["Reshape", [floats([0, 3]), int64(3, 0)], { allowzero: 1 }],
    ["Reshape", [floats([1]), int64()]],
    ["Flatten", [x]],
    ["Flatten", [x], { axis: 0 }],
    ["Flatten", [x], { axis: 3 }],
    ["Flatten", [x], { axis: -1 }],
    ["Squeeze", [floats([1, 3, 1, 2])]],
    ["Squeeze", [floats([1, 3, 1, 2]), int64(-2)]],
    ["Unsqueeze", [x, int64(0)]],
    ["Unsqueeze", [x, int64(-1, 1, 3)]],
    ["Transpose", [x]],
    ["Transpose", [x], { perm: [1, 2, 0] }],
  ]);
});

describe("parts", () => {
  const x = floats([5, 6]);
  check([
    ["Split", [x], { num_outputs: 2 }, 2],
    ["Split", [floats([2, 7])], { axis: -1, num_outputs: 4 }, 4],
    ["Split", [x, int64(1, 4, 0)], {}, 3],
    ["Split", [int64(7, 8, 9), int64(1, 2)], {}, 2],
    ["Slice", [x, int64(1), int64(3)]],
    ["Slice", [x, int64(-4, 1), int64(far, -1)]],
    ["Slice", [x, int64(0), int64(far), int64(-1), int64(2)]],
    ["Slice", [x, int64(-1), int64(-far), int64(1), int64(-2)]],
    ["Slice", [x, int64(20), int64(30), int64(1)]],
    ["Slice", [x, int64(4), int64(1), int64(0)]],
    ["Slice", [int64(5, 6, 7, 8), int64(-1), int64(0), int64(0), int64(-1)]],
    ["Gather", [x, int64(0, -1, 2, 2)]],
    ["Gather", [x, tensorOf("int64", [], [1])], { axis: 1 }],
    ["Gather", [x, tensorOf("int32", [2, 2], [1, 0, 3, -2])], { axis: 1 }],
    ["Gather", [int64(5, 6, 7), tensorOf("int64", [], [-1])]],
    ["GatherElements", [x, tensorOf("int64", [2, 2], [0, 1, 1, 0])], { axis: 1 }],
    ["GatherND", [x, tensorOf("int64", [3, 1], [0, 1, 4])]],
    ["GatherND", [floats([2, 3, 4]), tensorOf("int64", [2, 1], [0, 2])], { batch_dims: 1 }],
    ["ScatterElements", [x, tensorOf("int64", [1, 2], [0, 1]), floats([1, 2])]],
    ["ScatterND", [x, tensorOf("int64", [2, 1], [0, 3]), floats([2, 6])]],
  ]);
});

describe("more positions", () => {
  const x = floats([2, 3, 4]);
  check([
    ["Pad", [x, int64(0, 1, 2, 1, 0, 3)]],
    ["Pad", [x, int64(0, -1, 2, 0, 0, -3), reals(1.5)]],
    ["Pad", [x, int64(1, 2), undefined, int64(-1)]],
    ["Pad", [x, int64(0, 1, 2, 0, 1, 1)], { mode: "reflect" }],
    ["Pad", [x, int64(0, 1, 2, 0, 1, 1)], { mode: "edge" }],
    ["Pad", [x, int64(0, 1, 2, 0, 1, 1)], { mode: "wrap" }],
    ["Expand", [floats([3, 1]), int64(2, 1, 4)]],
    ["Expand", [x, int64(1)]],
    ["Expand", [int64(7), int64(3)]],
    ["Tile", [x, int64(1, 2, 3)]],
    ["Tile", [int64(4, 5), int64(2)]],
    ["DepthToSpace", [floats([1, 8, 2, 3])], { blocksize: 2 }],
    ["DepthToSpace", [floats([1, 8, 2, 3])], { blocksize: 2, mode: "CRD" }],
    ["SpaceToDepth", [floats([1, 2, 4, 6])], { blocksize: 2 }],
  ]);
});

describe("other resolutions", () => {
  const x = floats([1, 2, 5, 6]);
  const none = reals();
  check([
    ["Resize", [x, undefined, reals(1, 1, 2, 2)]],
    ["Resize", [x, none, reals(1, 1, 0.7, 1.3)], { mode: "linear" }],
    ["Resize", [x, undefined, undefined, int64(1, 2, 8, 3)], { mode: "cubic" }],
    ["Resize", [x, undefined, reals(0.6, 3)], { axes: [3, 2] }],
    ["Resize", [x, undefined, undefined, int64(7, 9)], { axes: [2, 3] }],
    ...["not_larger", "not_smaller"].map(
      (keep_aspect_ratio_policy): Case => [
        "Resize",
        [x, undefined, undefined, int64(7, 9)],
        { axes: [2, 3], keep_aspect_ratio_policy },
      ],
    ),
    [
      "Resize",
      [x, reals(0, 0, 0.2, 0.1, 1, 1, 0.8, 0.9), undefined, int64(1, 2, 3, 3)],
      { mode: "linear", coordinate_transformation_mode: "tf_crop_and_resize" },
    ],
    ["GridSample", [x, floats([1, 3, 4, 2])]],
  ]);
});

describe("normalisations", () => {
  const x = floats([2, 4, 3, 3]);
  const one = floats([4]);
  const positive = reals(0.5, 1, 2, 3);
  check([
    ["BatchNormalization", [x, one, one, one, positive]],
    ["BatchNormalization", [x, one, one, one, positive], { training_mode: 1 }, 3],
    ["InstanceNormalization", [x, one, one]],
    ["GroupNormalization", [x, one, one], { num_groups: 2 }],
    ["LayerNormalization", [x, floats([3])]],
    ["LayerNormalization", [x, floats([4, 3, 3]), floats([4, 3, 3])], { axis: 1 }, 3],
    ["LRN", [x], { size: 3 }],
  ]);
});

describe("quantisation", () => {
  const x = floats([2, 4]);
  const zero = tensorOf("int8", [], [3]);
  const scale = tensorOf("float32", [], [0.05]);
  check([
    ["QuantizeLinear", [x, scale]],
    ["QuantizeLinear", [x, scale, zero]],
    ["QuantizeLinear", [x, scale], { output_dtype: 5 }],
    ["QuantizeLinear", [x, reals(0.1, 0.2, 0.3, 0.4), tensorOf("uint8", [4], [1, 2, 3, 4])]],
    ["QuantizeLinear", [x, reals(0.1, 0.2)], { axis: 0 }],
    [
      "QuantizeLinear",
      [x, tensorOf("float32", [2, 2], [0.1, 0.2, 0.3, 0.4])],
      { axis: 1, block_size: 2 },
    ],
    ["DequantizeLinear", [tensorOf("int8", [3], [1, -2, 3]), scale, zero], { axis: 0 }],
    ["DequantizeLinear", [tensorOf("uint8", [1, 2], [1, 200]), reals(0.1, 0.2)]],
    ["DynamicQuantizeLinear", [x], {}, 3],
  ]);
});
