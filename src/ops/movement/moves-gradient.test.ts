/** @file Gradients of operators that move, repeat, cut and place elements, against finite differences. */
import { describe, it } from "vitest";
import { expectGradient, normals } from "../../../test/support/gradient.ts";
import { type HostTensor, int64Vector, tensorOf } from "../../tensor/host-tensor.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Row = readonly [
  op: string,
  what: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes?: Attributes,
  outputs?: number,
];

const x = (...shape: number[]) => normals(shape, "float64");
const ints = int64Vector;
const indices = (shape: readonly number[], ...values: number[]) => tensorOf("int64", shape, values);
const value = (number: number) => tensorOf("float64", [], [number]);

// biome-ignore format: a table
const rows: readonly Row[] = [
  ["Reshape", "with 0 and -1", [x(2, 3, 4), ints([0, -1])]],
  ["Reshape", "to the same shape", [x(2, 3), ints([2, 3])]],
  ["Flatten", "behind axis 2", [x(2, 3, 4), ], { axis: 2 }],
  ["Squeeze", "some axes", [x(2, 1, 4, 1), ints([-1])]],
  ["Squeeze", "all axes", [x(2, 1, 4, 1)]],
  ["Unsqueeze", "two axes", [x(2, 4), ints([0, -2])]],
  ["Transpose", "reversed", [x(2, 3, 4)]],
  ["Transpose", "rotated", [x(2, 3, 4, 2)], { perm: [2, 0, 3, 1] }],
  ["Concat", "channels", [x(2, 3, 4), x(2, 1, 4), x(2, 2, 4)], { axis: 1 }],
  ["Concat", "the last axis, with an empty part", [x(2, 3), x(2, 0), x(2, 2)], { axis: -1 }],
  ["Split", "equal parts", [x(2, 6, 3)], { axis: 1, num_outputs: 3 }, 3],
  ["Split", "uneven equal parts", [x(7, 2)], { num_outputs: 3 }, 3],
  ["Split", "given sizes", [x(2, 6), ints([1, 2, 3])], { axis: -1 }, 3],
  ["Slice", "a run", [x(5, 6), ints([1]), ints([4])]],
  ["Slice", "from the back", [x(5, 6), ints([-3, 2]), ints([-1, 1000]), ints([-1, 0])]],
  ["Slice", "steps", [x(7, 9), ints([1, 0]), ints([7, 9]), ints([0, 1]), ints([2, 4])]],
  ["Slice", "backwards", [x(5, 6), ints([-1]), ints([-1000]), ints([1]), ints([-1])]],
  ["Slice", "backwards with steps", [x(9, 3), ints([7]), ints([0]), ints([0]), ints([-3])]],
  ["Gather", "channels in another order", [x(2, 4, 3), ints([2, 0, 3, 1])], { axis: 1 }],
  ["Gather", "a run", [x(2, 6, 3), ints([1, 2, 3])], { axis: 1 }],
  ["Gather", "many channels once", [x(2, 12), ints([11, 3, -5, 0, 8, 6, 1])], { axis: 1 }],
  ["Gather", "some often", [x(5, 3), indices([2, 3], 4, 0, 4, 1, 4, 0)]],
  ["Gather", "one", [x(2, 4, 3), indices([], -1)], { axis: 1 }],
  ["Gather", "interleaved copies", [x(4, 2), ints([0, 0, 1, 1, 2, 2, 3, 3, 0])]],
  ["GatherElements", "some twice", [x(3, 4), indices([3, 2], 0, 0, 3, -1, 2, 2)], { axis: 1 }],
  ["GatherND", "slices", [x(3, 4, 2), indices([3, 1], 2, 0, -1)]],
  ["GatherND", "elements, one twice", [x(3, 4), indices([2, 2, 2], 0, 1, 2, 3, 0, 1, 1, -2)]],
  ["GatherND", "with batches", [x(2, 3, 4), indices([2, 2, 1], 0, 2, 1, 1)], { batch_dims: 1 }],
  ["ScatterElements", "replacing", [x(3, 4), indices([2, 2], 3, 0, 1, -2), x(2, 2)], { axis: 1 }],
  ["ScatterElements", "adding", [x(3, 4), indices([2, 3], 2, 0, 2, 1, 1, 2), x(2, 3)], { axis: 0, reduction: "add" }],
  ["ScatterND", "replacing", [x(4, 3), indices([2, 1], 3, -4), x(2, 3)]],
  ["ScatterND", "adding", [x(4, 3), indices([3, 2], 0, 1, 2, 2, 3, 0), x(3)], { reduction: "add" }],
  ["Pad", "zeros", [x(2, 3, 4), ints([0, 1, 2, 0, 3, 0])]],
  ["Pad", "a constant", [x(2, 3), ints([1, 0, 0, 2]), value(0.7)]],
  ["Pad", "cutting off", [x(5, 6), ints([-1, 2, 1, -3]), value(0.7)]],
  ["Pad", "some axes", [x(2, 3, 4), ints([1, 2]), undefined, ints([-1])]],
  ["Pad", "reflect", [x(2, 4, 5), ints([0, 2, 1, 0, 1, 3])], { mode: "reflect" }],
  ["Pad", "edge", [x(2, 4, 5), ints([0, 2, 1, 0, 0, 3])], { mode: "edge" }],
  ["Pad", "wrap", [x(2, 4, 5), ints([0, 2, 1, 0, 1, 3])], { mode: "wrap" }],
  ["Pad", "edge, cutting off", [x(6, 5), ints([-2, 1, 2, -1])], { mode: "edge" }],
  ["Expand", "to more axes", [x(3, 1), ints([2, 1, 4])]],
  ["Tile", "two axes", [x(2, 3, 2), ints([3, 1, 2])]],
  ["Tile", "no axis", [x(2, 3), ints([1, 1])]],
  ["DepthToSpace", "DCR", [x(2, 12, 2, 3)], { blocksize: 2 }],
  ["DepthToSpace", "CRD", [x(2, 18, 2, 2)], { blocksize: 3, mode: "CRD" }],
  ["SpaceToDepth", "blocks of 2", [x(2, 3, 4, 6)], { blocksize: 2 }],
];

describe("moving elements", () => {
  for (const [op, what, inputs, attributes = {}, outputs = 1] of rows)
    it(`${op}: ${what}`, () => expectGradient(op, inputs, attributes, { outputs }));

  it("Split: parts that the loss does not read are zeros", () =>
    expectGradient("Split", [x(2, 6)], { axis: 1, num_outputs: 3 }, { outputs: 3, through: [1] }));

  it("Concat: parts that nobody wants are left out", () =>
    expectGradient("Concat", [x(2, 3), x(2, 2)], { axis: 1 }, { check: [1] }));
});
