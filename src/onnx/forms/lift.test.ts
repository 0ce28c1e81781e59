/** @file Lifting against onnxruntime: the old form at its opset and the canonical form compute the same. */
import { describe, expect, it } from "vitest";
import {
  f32,
  float,
  floats,
  inputFor,
  modelOf,
  type OldForm,
  run,
} from "../../../test/support/old-forms.ts";
import { expectSameElements } from "../../../test/support/one-node.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { int64Vector } from "../../tensor/host-tensor.ts";
import { readModel } from "../reading/read.ts";
import { encodeGraph } from "../writing/encode-graph.ts";
import { concatBytes, writeModel } from "../writing/write.ts";

const reductions = [
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
  "ReduceSumSquare",
];

const cases: readonly OldForm[] = [
  ...reductions.flatMap((op): OldForm[] => [
    { op, opset: 7, x: [2, 3, 4], attributes: { axes: [1, 2], keepdims: 0 } },
    { op, opset: 11, x: [2, 3, 4], attributes: { axes: [-1] } },
    { op, opset: 12, x: [2, 3, 4] },
  ]),
  { op: "ReduceMean", opset: 17, x: [2, 3, 4], attributes: { axes: [0] } },
  { op: "Squeeze", opset: 7, x: [1, 3, 1], attributes: { axes: [0] } },
  { op: "Squeeze", opset: 12, x: [1, 3, 1] },
  { op: "Unsqueeze", opset: 11, x: [3], attributes: { axes: [0, 2] } },
  { op: "Clip", opset: 7, x: [2, 5], attributes: { min: float(-0.5), max: float(0.25) } },
  { op: "Clip", opset: 10, x: [2, 5], attributes: { max: float(0.25) } },
  { op: "Clip", opset: 8, x: [2, 5] },
  { op: "Dropout", opset: 7, x: [2, 5], attributes: { ratio: float(0.3) } },
  { op: "Dropout", opset: 10, x: [2, 5] },
  { op: "Slice", opset: 7, x: [4, 5], attributes: { starts: [1, -3], ends: [3, 99] } },
  { op: "Slice", opset: 9, x: [4, 5], attributes: { starts: [-3], ends: [-1], axes: [1] } },
  { op: "Split", opset: 7, x: [4, 6], attributes: { axis: 1 }, outputs: ["float32", "float32"] },
  {
    op: "Split",
    opset: 11,
    x: [4, 6],
    attributes: { axis: 1, split: [2, 4] },
    outputs: ["float32", "float32"],
  },
  { op: "Split", opset: 13, x: [4, 6], outputs: ["float32", "float32"] },
  {
    op: "Split",
    opset: 13,
    x: [4, 6],
    constants: [int64Vector([1, 3])],
    outputs: ["float32", "float32"],
  },
  { op: "Pad", opset: 7, x: [2, 3], attributes: { pads: [0, 1, 0, 2], value: float(1.5) } },
  { op: "Pad", opset: 10, x: [2, 3], attributes: { pads: [0, 1, 0, 2] } },
  { op: "Pad", opset: 7, x: [2, 3], attributes: { pads: [0, 1, 0, 2], mode: "reflect" } },
  { op: "TopK", opset: 7, x: [2, 5], attributes: { k: 2, axis: 1 }, outputs: ["float32", "int64"] },
  {
    op: "Upsample",
    opset: 7,
    x: [1, 2, 3, 3],
    attributes: { scales: floats(1, 1, 2, 2), mode: "nearest" },
  },
  {
    op: "Upsample",
    opset: 9,
    x: [1, 2, 3, 3],
    constants: [f32([4], [1, 1, 2, 3])],
    attributes: { mode: "linear" },
  },
  { op: "Resize", opset: 10, x: [1, 2, 3, 3], constants: [f32([4], [1, 1, 2, 2])] },
  {
    op: "Resize",
    opset: 10,
    x: [1, 2, 4, 4],
    constants: [f32([4], [1, 1, 1.5, 1.5])],
    attributes: { mode: "linear" },
  },
  { op: "Softmax", opset: 11, x: [2, 5] },
  { op: "Softmax", opset: 7, x: [2, 5, 1, 1] },
  { op: "LogSoftmax", opset: 11, x: [2, 3, 4], attributes: { axis: -1 } },
  { op: "Hardmax", opset: 12, x: [2, 3, 4], attributes: { axis: 2 } },
  {
    op: "GridSample",
    opset: 16,
    x: [1, 1, 3, 3],
    constants: [f32([1, 1, 2, 2], [0.1, -0.3, 0.7, 0.9])],
    attributes: { mode: "bilinear" },
  },
  {
    op: "GridSample",
    opset: 16,
    x: [1, 1, 3, 3],
    constants: [f32([1, 1, 2, 2], [0.1, -0.3, 0.7, 0.9])],
    attributes: { mode: "bicubic" },
  },
  {
    op: "Scatter",
    opset: 9,
    x: [3],
    constants: [int64Vector([0, 2]), f32([2], [5, 6])],
  },
  { op: "Gemm", opset: 7, x: [2, 3], constants: [f32([3, 1], [1, 2, 3]), f32([1], [4])] },
  {
    op: "BatchNormalization",
    opset: 7,
    x: [2, 2, 3],
    constants: [f32([2], [1, 2]), f32([2], [0, 1]), f32([2], [0.5, 0]), f32([2], [1, 4])],
  },
  {
    op: "DepthToSpace",
    opset: 7,
    x: [1, 4, 2, 2],
    attributes: { blocksize: 2 },
  },
  { op: "AveragePool", opset: 7, x: [1, 2, 4, 4], attributes: { kernel_shape: [2, 2] } },
  { op: "MaxPool", opset: 7, x: [1, 2, 4, 4], attributes: { kernel_shape: [2, 2] } },
  { op: "LRN", opset: 7, x: [1, 4, 3, 3], attributes: { size: 3 } },
  { op: "Flatten", opset: 7, x: [2, 3, 4] },
  { op: "ArgMax", opset: 7, x: [2, 5], attributes: { axis: 1 }, outputs: ["int64"] },
  { op: "Cast", opset: 7, x: [2, 2], attributes: { to: 7 }, outputs: ["int64"] },
];

describe("the canonical form computes what the old form computes", () => {
  const titled = cases.map((form) => {
    const shown = JSON.stringify(form.attributes ?? {}, (_, value) => value?.value ?? value);
    return { title: `${form.op}-${form.opset} ${shown} of [${form.x}]`, form };
  });
  it.each(titled)("$title", async ({ form }) => {
    const model = modelOf(form);
    const x = inputFor(form.x);
    const old = await run([model.file.bytes], x);
    const lifted = await run(encodeGraph(model.graph).chunks, x);
    expect(lifted).toHaveLength(old.length);
    for (const [i, tensor] of lifted.entries()) expectSameElements(tensor, old[i]);
    expect(concatBytes(writeModel(model))).toEqual(model.file.bytes);
  });
});

describe("lifting", () => {
  it("keeps nodes of the canonical opset as they are", () => {
    const model = modelOf({ op: "Softmax", opset: 13, x: [2, 3, 4], attributes: { axis: 1 } });
    expect([...model.graph.nodes[0].attributes.keys()]).toEqual(["axis"]);
    expect(model.graph.constants.size).toBe(0);
  });

  it("marks a Softmax that flattens", () => {
    const [node] = modelOf({ op: "Softmax", opset: 11, x: [2, 3, 4] }).graph.nodes;
    expect(node.attributes.get("flatten")).toEqual({ kind: "int", value: 1 });
    expect(node.attributes.get("axis")).toEqual({ kind: "int", value: 1 });
  });

  it("makes constants of the type of the data", () => {
    const builder = new GraphBuilder();
    builder.input("x", "float16", [2]);
    // The type of y is not declared: it follows from x through two nodes.
    const [a] = builder.node("Relu", ["x"]);
    const [b] = builder.node("Relu", [a]);
    const [y] = builder.node("Clip", [b], { max: float(6) });
    builder.output(y);
    const { graph } = readModel(concatBytes(encodeGraph(builder.build(), { opset: 9 })));
    const constant = [...graph.constants.values()][0];
    expect(constant.dtype).toBe("float16");
    expect(constant.read().data).toEqual(Uint16Array.of(0x4600));
    expect(constant.origin).toEqual({ kind: "attribute", node: 2, attribute: "max" });
  });

  it("never makes a name that the file has", () => {
    const builder = new GraphBuilder();
    builder.input("c.max", "float32", [2]);
    builder.node("Clip", ["c.max"], { max: float(6) }, { name: "c", outputs: ["c.max'"] });
    builder.output("c.max'");
    const { graph } = readModel(concatBytes(encodeGraph(builder.build(), { opset: 9 })));
    expect([...graph.constants.keys()]).toEqual(["c.max''"]);
  });

  const bn = [f32([2], [1, 2]), f32([2], [0, 1]), f32([2], [0.5, 0]), f32([2], [1, 4])];
  const unknown: readonly { what: string; form: OldForm; opType: string }[] = [
    {
      what: "spatial=0",
      form: {
        op: "BatchNormalization",
        opset: 7,
        x: [1, 2],
        constants: bn,
        attributes: { spatial: 0 },
      },
      opType: "BatchNormalization:spatial=0",
    },
    {
      what: "training outputs",
      form: {
        op: "BatchNormalization",
        opset: 9,
        x: [1, 2],
        constants: bn,
        outputs: ["float32", "float32", "float32", "float32", "float32"],
      },
      opType: "BatchNormalization:training",
    },
    {
      what: "per-group scales",
      form: {
        op: "GroupNormalization",
        opset: 18,
        x: [1, 4, 2],
        constants: bn.slice(0, 2),
        attributes: { num_groups: 2 },
      },
      opType: "GroupNormalization:18",
    },
  ];
  it.each(unknown)(
    "leaves what has no canonical form as an unknown operator: $what",
    ({ form, opType }) => {
      expect(modelOf(form).graph.nodes[0].opType).toBe(opType);
    },
  );

  it.each([6, 1, 0])("refuses opset %d", (opset) => {
    expect(() => modelOf({ op: "Relu", opset, x: [1] })).toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
    );
  });
});
