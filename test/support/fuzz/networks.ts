/** @file The networks that fuzzes start from: random ones, and every operator that rearranges sizes. */
import fc from "fast-check";
import { type AttributeValue, GraphBuilder } from "../../../src/ir/builder.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { encodeGraph } from "../../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../../src/onnx/writing/write.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../../src/tensor/host-tensor.ts";
import { randomOf } from "../../../src/tensor/random.ts";
import { buildProgram, programs } from "../../random-graphs.ts";
import type { Pick } from "./fuzz.ts";

type Shape = readonly number[];

/** Operator, shapes of its inputs (a tensor is a constant), attributes, number of outputs. */
type One = readonly [
  opType: string,
  inputs: readonly (Shape | HostTensor | "")[],
  attributes?: Readonly<Record<string, AttributeValue>>,
  outputs?: number,
];

const ints = (...values: number[]): HostTensor => int64Vector(values);
const scalar = (value: number): HostTensor => tensorOf("int64", [], [value]);
const filled = (...shape: number[]): HostTensor =>
  tensorOf("float32", shape, new Float32Array(sizeOf(shape)).fill(0.5));
const map: Shape = [1, 8, 6, 6];
const floats = (...value: number[]): AttributeValue => ({ kind: "floats", value });

/** Operators around sizes and channels; each stands between two convolutions where its output is a map. */
const single: readonly One[] = [
  ["Reshape", [map, ints(0, 2, 4, -1)]],
  ["Reshape", [map, ints(1, 288)]],
  ["Flatten", [map], { axis: 2 }],
  ["Squeeze", [[1, 8, 1, 1], ints(2, 3)]],
  ["Squeeze", [[1, 8, 1, 1]]],
  ["Unsqueeze", [[8, 6], ints(0, 3)]],
  ["Transpose", [map], { perm: [0, 2, 3, 1] }],
  ["Concat", [map, map], { axis: 1 }],
  ["Split", [map, ints(3, 5)], { axis: 1 }, 2],
  ["Split", [map], { axis: 1, num_outputs: 2 }, 2],
  ["Slice", [map, ints(1, 0), ints(7, 2 ** 31), ints(1, 2), ints(2, 1)]],
  ["Gather", [map, ints(0, 3, 3)], { axis: 1 }],
  ["Gather", [map, scalar(2)], { axis: 1 }],
  ["GatherElements", [[3, 4], tensorOf("int64", [2, 4], [0, 1, 2, 0, 1, 1, 0, 0])], { axis: 0 }],
  ["GatherND", [[3, 4], tensorOf("int64", [2, 2], [0, 1, 2, 0])]],
  ["ScatterElements", [[3, 4], tensorOf("int64", [1, 4], [0, 1, 2, 0]), [1, 4]], { axis: 0 }],
  ["Pad", [map, ints(0, 1, 1, 1, 0, 2, 1, 1)]],
  ["Pad", [map, ints(0, 0, 1, 1, 0, 0, 1, 1)], { mode: "reflect" }],
  ["Tile", [map, ints(1, 2, 1, 1)]],
  ["Expand", [[1, 8, 1, 1], ints(2, 8, 4, 4)]],
  ["Resize", [map, "", tensorOf("float32", [4], [1, 1, 2, 2])], { mode: "linear" }],
  ["Resize", [map, "", "", ints(1, 8, 12, 9)]],
  ["DepthToSpace", [map], { blocksize: 2 }],
  ["SpaceToDepth", [map], { blocksize: 2 }],
  ["ConstantOfShape", [ints(1, 8, 6, 6)]],
  ["Range", [scalar(0), scalar(9), scalar(2)]],
  ["OneHot", [tensorOf("int64", [3], [0, 1, 2]), scalar(4), tensorOf("float32", [2], [0, 1])]],
  ["EyeLike", [[4, 4]]],
  ["NonZero", [[4, 4]]],
  ["Shape", [map], { start: 1 }],
  ["Size", [map]],
  ["ArgMax", [map], { axis: 1, keepdims: 0 }],
  ["TopK", [map, ints(3)], { axis: 1 }, 2],
  ["CumSum", [map, scalar(1)]],
  ["Trilu", [[5, 5]]],
  ["ReduceMean", [map, ints(2, 3)], { keepdims: 0 }],
  ["ReduceSum", [map, ints(1)]],
  ["MaxPool", [map], { kernel_shape: [2, 2], strides: [2, 2] }, 2],
  ["AveragePool", [map], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 }],
  ["LpPool", [map], { kernel_shape: [2, 2] }],
  ["GlobalAveragePool", [map]],
  ["ConvTranspose", [map, filled(8, 4, 3, 3)], { strides: [2, 2], output_shape: [13, 13] }],
  ["ConvTranspose", [map, filled(8, 4, 2, 2)], { strides: [2, 2], auto_pad: "SAME_UPPER" }],
  ["Conv", [map, filled(8, 2, 3, 3)], { group: 4, dilations: [2, 2], auto_pad: "SAME_LOWER" }],
  ["MatMul", [[2, 3, 4], filled(4, 5)]],
  ["Gemm", [[3, 4], filled(5, 4), filled(5)], { transB: 1 }],
  ["Softmax", [map], { axis: 1 }],
  ["LRN", [map], { size: 3 }],
  ["BatchNormalization", [map, filled(8), filled(8), filled(8), filled(8)]],
  ["InstanceNormalization", [map, filled(8), filled(8)]],
  ["GroupNormalization", [map, filled(8), filled(8)], { num_groups: 2 }],
  ["LayerNormalization", [map, filled(6), filled(6)]],
  ["QuantizeLinear", [map, filled(8), tensorOf("uint8", [8], new Uint8Array(8))], { axis: 1 }],
  ["DequantizeLinear", [tensorOf("int8", [4, 8], new Int8Array(32)), filled(4)], { axis: 0 }],
  ["GridSample", [map, [1, 4, 4, 2]]],
  ["Where", [tensorOf("bool", [1, 8, 1, 1], new Uint8Array(8)), map, map]],
  ["Cast", [map], { to: 10 }],
  ["Clip", [map, filled(), filled()]],
  ["PRelu", [map, filled(8, 1, 1)]],
  ["Dropout", [map], {}, 2],
  ["Mean", [map, map, [8, 1, 1]]],
  [
    "Einsum",
    [
      [2, 3],
      [3, 4],
    ],
    { equation: "ij,jk->ik" },
  ],
  ["GRU", [[2, 1, 4], filled(1, 9, 4), filled(1, 9, 3)], { hidden_size: 3 }, 2],
  ["Upsample", [map, tensorOf("float32", [4], [1, 1, 2, 2])], { scales: floats(1, 1, 2, 2) }],
];

/** One operator; a map goes through a convolution before it and, where it still is one, behind it. */
function around([opType, operands, attributes, outputs = 1]: One, isFed: boolean): Graph {
  const b = new GraphBuilder("one");
  const names = operands.map((operand, i) => {
    if (operand === "") return "";
    if (!("length" in operand))
      return isFed && operand.dtype === "int64"
        ? b.input(`x${i}`, operand.dtype, operand.shape)
        : b.constant(undefined, operand);
    const x = b.input(`x${i}`, "float32", operand);
    if (operand !== map) return x;
    return b.node("Relu", b.node("Conv", [x, b.constant(undefined, filled(8, 8, 1, 1))]))[0];
  });
  const results = b.node(opType, names, attributes, { outputs });
  const [y] = results;
  b.output(b.node("Relu", [y])[0]);
  for (const other of results.slice(1)) b.output(other);
  return b.build();
}

/** Conv, shape arithmetic, a shuffle and two heads: a little of everything that exporters write. */
function shapeArithmetic(): Graph {
  const b = new GraphBuilder("arithmetic");
  const random = randomOf(5, "arithmetic");
  const weights = (...shape: number[]) =>
    b.constant(undefined, tensorOf("float32", shape, random.normals(sizeOf(shape))));
  const constant = (...values: number[]) => b.constant(undefined, int64Vector(values));
  const op = (
    opType: string,
    inputs: readonly string[],
    attributes?: Record<string, AttributeValue>,
  ) => b.node(opType, inputs, attributes)[0];
  const x = b.input("x", "float32", ["N", 3, "H", "W"]);
  const pads = { pads: [1, 1, 1, 1] };
  const a = op("Relu", [op("Conv", [x, weights(8, 3, 3, 3), weights(8)], pads)]);
  const size = (axis: number) => op("Gather", [op("Shape", [a]), constant(axis)], { axis: 0 });
  const half = op("Div", [size(1), constant(2)]);
  const target = op("Concat", [size(0), constant(2), half, size(2), size(3)], { axis: 0 });
  const apart = op("Transpose", [op("Reshape", [a, target])], { perm: [0, 2, 1, 3, 4] });
  const back = op("Concat", [size(0), constant(-1), size(2), size(3)], { axis: 0 });
  const mixed = op("Conv", [op("Reshape", [apart, back]), weights(8, 8, 3, 3)], pads);
  const both = op("Add", [mixed, a]);
  const doubled = op("Cast", [op("Slice", [op("Shape", [both]), constant(2), constant(4)])], {
    to: 7,
  });
  const sizes = op("Concat", [size(0), size(1), op("Mul", [doubled, constant(2)])], { axis: 0 });
  const large = op("Resize", [both, "", "", sizes]);
  const pooled = op("ReduceMean", [large, constant(2, 3)], { keepdims: 0 });
  b.output(op("Gemm", [pooled, weights(4, 8), weights(4)], { transB: 1 }));
  b.output(op("Expand", [op("Unsqueeze", [pooled, constant(2)]), constant(1, 1, 3)]));
  return b.build();
}

/** Random networks are drawn from as many programs as this. */
const programCount = 400;
const drawn = fc.sample(programs(8), { seed: 1, numRuns: programCount });

/** A network to start from, as the bytes of a valid file. */
export function networkFor(pick: Pick): Uint8Array {
  return concatBytes(encodeGraph(graphFor(pick), { opset: pick.from([19, 20, 21]) }));
}

function graphFor(pick: Pick): Graph {
  switch (pick.below(5)) {
    case 0:
    case 1:
      return around(pick.from(single), pick.onceIn(4));
    case 2:
      return shapeArithmetic();
    default:
      return buildProgram(pick.from(drawn));
  }
}
