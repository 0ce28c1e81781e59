/** @file Channel ties: removing a unit computes the same as zeroing what is read of it; barriers say why. */
import { describe, expect, it } from "vitest";
import { type AttributeValue, GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { withSession } from "../runtime/session.ts";
import { maskReads } from "../structure/change/masks.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import { removeNothing } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import {
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../tensor/host-tensor.ts";

/** Deterministic values in (-1, 1). */
function noise(shape: readonly number[], seed = 1): HostTensor {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
  return tensorOf("float32", shape, values);
}

type Build = (b: GraphBuilder, features: string) => string;

/** A 3x3 convolution to 6 channels of 5x5, what `build` does, and a 1x1 convolution or nothing. */
function network(build: Build, reader: "conv" | "nothing"): Graph {
  const b = new GraphBuilder();
  const x = b.input("x", "float32", [2, 3, 5, 5]);
  const w1 = b.constant("w1", noise([6, 3, 3, 3]));
  const b1 = b.constant("b1", noise([6], 2));
  const [features] = b.node("Conv", [x, w1, b1], { pads: [1, 1, 1, 1] }, { name: "first" });
  const y = build(b, features);
  const w2 = b.constant("w2", noise([4, 6, 1, 1], 3));
  const [out] = b.node(
    reader === "conv" ? "Conv" : "Identity",
    reader === "conv" ? [y, w2] : [y],
    {},
    { outputs: ["out"] },
  );
  b.output(out, { dtype: "float32", shape: undefined });
  return b.build();
}

async function run(graph: Graph): Promise<HostTensor> {
  const feeds = new Map([["x", noise([2, 3, 5, 5], 9)]]);
  const { chunks } = encodeGraph(graph);
  const results = await withSession(chunks, { optimization: "disabled" }, (s) => s.run(feeds));
  return results.get("out") ?? noise([0]);
}

/** Removes two of the six units and compares with zeroing them where they are read. */
async function expectExact(graph: Graph): Promise<void> {
  const structure = structureOf(graph);
  const free = unitsOf(structure).filter(({ reason }) => reason === undefined);
  expect(free).toHaveLength(6);
  const removed = removeNothing(structure);
  for (const { index } of [free[1], free[4]]) removed[index] = 1;
  const smaller = removeUnits(structure, removed);
  expect(smaller.constants.get("w1")?.shape).toEqual([4, 3, 3, 3]);
  const [got, want] = [await run(smaller), await run(maskReads(structure, removed))];
  expect(got.shape).toEqual(want.shape);
  const [a, b] = [toNumbers(got), toNumbers(want)];
  const top = Math.max(...b.map(Math.abs));
  expect(Math.max(...a.map((value, i) => Math.abs(value - b[i])))).toBeLessThanOrEqual(1e-5 * top);
}

function unitsOf(structure: Structure) {
  const group = structure.groups.find(({ id }) => id === "first");
  return (group?.units ?? []).map((index) => structure.units[index]);
}

const one =
  (op: string, attributes: Readonly<Record<string, AttributeValue>> = {}): Build =>
  (b, x) =>
    b.node(op, [x], attributes)[0];

/** The operator with constants behind (or around "x") its input. */
const withConstants =
  (
    op: string,
    inputs: readonly ("x" | "" | HostTensor)[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    outputs = 1,
  ): Build =>
  (b, x) => {
    const names = inputs.map((input) => {
      if (input === "x") return x;
      return input === "" ? "" : b.constant(undefined, input);
    });
    return b.node(op, names, attributes, { outputs })[0];
  };

const perChannel = noise([6, 1, 1], 5);
const scalar = (value: number) => tensorOf("float32", [], [value]);
const axes = (...values: number[]) => int64Vector(values);

/** Through another operator first. */
const after =
  (first: Build, then: Build): Build =>
  (b, x) =>
    then(b, first(b, x));

describe("units pass through", () => {
  const unary = [
    ...["Relu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Shrink", "Abs", "Neg", "Sign"],
    ...["Sigmoid", "Tanh", "HardSwish", "Elu", "Selu", "Celu", "Gelu", "Softplus", "Softsign"],
    ...["Mish", "Erf", "Exp", "Sin", "Cos", "Atan", "Floor", "Ceil", "Round", "Identity"],
    ...["Dropout", "Clip"],
  ];
  it.each(unary)("%s", (op) => expectExact(network(one(op), "conv")));

  it.each<readonly [string, Build]>([
    ["PRelu by channel", withConstants("PRelu", ["x", perChannel])],
    ["PRelu of one slope", withConstants("PRelu", ["x", noise([1])])],
    ["Clip with limits", withConstants("Clip", ["x", scalar(0), scalar(0.5)])],
    ["Clip with one limit", withConstants("Clip", ["x", "", scalar(0.5)])],
    ["Add by channel", withConstants("Add", ["x", perChannel])],
    ["Add of all places", withConstants("Add", [noise([1, 6, 5, 5]), "x"])],
    ["Sub from a scalar", withConstants("Sub", [scalar(1), "x"])],
    ["Mul by channel", withConstants("Mul", [perChannel, "x"])],
    ["Div by a row", withConstants("Div", ["x", tensorOf("float32", [5], [1, 2, 3, 4, 5])])],
    ["Pow", withConstants("Pow", ["x", scalar(2)])],
    ["Max", withConstants("Max", ["x", perChannel, scalar(0.1)])],
    ["Min", withConstants("Min", [scalar(0.1), "x"])],
    ["Mean", withConstants("Mean", ["x", perChannel])],
    ["Sum with itself", (b, x) => b.node("Sum", [x, x, x])[0]],
    ["Mul with its sigmoid", (b, x) => b.node("Mul", [x, b.node("Sigmoid", [x])[0]])[0]],
    [
      "Where it is positive",
      (b, x) => {
        const zero = b.constant(undefined, scalar(0));
        const [positive] = b.node("Greater", [x, zero]);
        return b.node("Where", [positive, x, b.constant(undefined, perChannel)])[0];
      },
    ],
    ["Cast there and back", after(one("Cast", { to: 11 }), one("Cast", { to: 1 }))],
    ["comparison", after(withConstants("Less", ["x", perChannel]), one("Cast", { to: 1 }))],
    ["IsNaN", after(one("IsNaN"), one("Cast", { to: 1 }))],
    ["Softmax over columns", one("Softmax", { axis: -1 })],
    ["LogSoftmax over rows", one("LogSoftmax", { axis: 2 })],
    [
      "ReduceMean over channels",
      (b, x) => {
        const over = b.constant(undefined, axes(1, 2));
        return b.node("Mul", [x, b.node("ReduceMean", [x, over])[0]])[0];
      },
    ],
    ["ReduceMean over positions", withConstants("ReduceMean", ["x", axes(2, 3)])],
    ["ReduceMax over rows", withConstants("ReduceMax", ["x", axes(-2)])],
    ["TopK of columns", withConstants("TopK", ["x", axes(2)], {}, 2)],
    ["CumSum over rows", withConstants("CumSum", ["x", tensorOf("int64", [], [2])])],
    ["Trilu", one("Trilu")],
    ["LpNormalization over channels", one("LpNormalization", { axis: 1 })],
    ["LpNormalization over columns", one("LpNormalization", { axis: -1, p: 1 })],
    ["MeanVarianceNormalization", one("MeanVarianceNormalization")],
    ["ReduceMean without axes that means none", one("ReduceMean", { noop_with_empty_axes: 1 })],
    [
      "a tensor made of its shape",
      (b, x) => {
        const [shape] = b.node("Shape", [x]);
        const value = { kind: "tensor", value: tensorOf("float32", [1], [0.5]) } as const;
        return b.node("Add", [x, b.node("ConstantOfShape", [shape], { value })[0]])[0];
      },
    ],
    [
      "a tensor made of constant sizes",
      (b, x) => {
        const sizes = b.constant(undefined, axes(1, 6, 1, 1));
        const value = { kind: "tensor", value: tensorOf("float32", [1], [0.5]) } as const;
        return b.node("Add", [x, b.node("ConstantOfShape", [sizes], { value })[0]])[0];
      },
    ],
  ])("%s", (_, build) => expectExact(network(build, "conv")));

  it.each(["ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare"])(
    "%s over channels reads them",
    async (op) => {
      for (const over of [axes(1), axes(1, 2, 3), axes(-3)])
        for (const keepdims of [0, 1])
          await expectExact(network(withConstants(op, ["x", over], { keepdims }), "nothing"));
    },
  );
});

describe("channels stay, for a reason, under", () => {
  it.each<readonly [string, Build, RegExp]>([
    ["Softmax", one("Softmax", { axis: 1 }), /normalised over by Softmax/],
    ["LogSoftmax", one("LogSoftmax", { axis: -3 }), /normalised over by LogSoftmax/],
    ["Hardmax", one("Hardmax", { axis: 1 }), /normalised over by Hardmax/],
    ["CumSum", withConstants("CumSum", ["x", tensorOf("int64", [], [1])]), /by CumSum/],
    ["TopK", withConstants("TopK", ["x", axes(6)], { axis: 1 }, 2), /ranked by TopK/],
    ["MVN", one("MeanVarianceNormalization", { axes: [1] }), /averaged over by/],
    [
      "ReduceMax",
      (b, x) => {
        const over = b.constant(undefined, axes(1));
        return b.node("Mul", [x, b.node("ReduceMax", [x, over])[0]])[0];
      },
      /under ReduceMax: its largest/,
    ],
    [
      "ArgMax",
      (b, x) => {
        const [index] = b.node("ArgMax", [x], { axis: 1 });
        return b.node("Add", [x, b.node("Cast", [index], { to: 1 })[0]])[0];
      },
      /indices are the answer of ArgMax/,
    ],
    [
      "Range",
      (b, x) => {
        const ends = [0, 6, 1].map((value) => b.constant(undefined, scalar(value)));
        const over = b.constant(undefined, axes(1, 2));
        const [column] = b.node("Unsqueeze", [b.node("Range", ends)[0], over]);
        return b.node("Mul", [x, column])[0];
      },
      /counted up by Range/,
    ],
  ])("%s", async (_, build, reason) => {
    const graph = network(build, "conv");
    expect((await run(graph)).shape).toEqual([2, 4, 5, 5]);
    const units = unitsOf(structureOf(graph));
    expect(units).toHaveLength(6);
    for (const unit of units) expect(unit.reason).toMatch(reason);
  });

  it("an old Softmax that flattens, from whichever axis", () => {
    const reasons = (axis: number) =>
      unitsOf(structureOf(network(one("Softmax", { axis, flatten: 1 }), "conv"))).map(
        ({ reason }) => reason,
      );
    expect(reasons(0)).toEqual(Array(6).fill("normalised over by Softmax"));
    expect(reasons(1)).toEqual(Array(6).fill("normalised over by Softmax"));
    expect(reasons(2)).toEqual(Array(6).fill(undefined));
    expect(reasons(4)).toEqual(Array(6).fill(undefined));
  });

  it.each(["ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp"])("%s", (op) => {
    const units = unitsOf(structureOf(network(withConstants(op, ["x", axes(1)]), "nothing")));
    for (const unit of units) expect(unit.reason).toMatch(`under ${op}: `);
    expect(units).toHaveLength(6);
  });
});
