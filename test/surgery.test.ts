/**
 * @file Removal on the graph forms that pruners get wrong, through the whole path: read, prune with
 * random scores, write, read again, run in onnxruntime, compare with the masked original.
 */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../src/ir/builder.ts";
import { compareModels } from "../src/measure/equality/compare.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { finishPruning, referenceFor } from "../src/prune/prune.ts";
import { partsOf } from "../src/prune/pruned.ts";
import { verifyPruned } from "../src/prune/verify.ts";
import { selectUnits } from "../src/structure/choice/select.ts";
import { costModel } from "../src/structure/cost/cost.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import type { DType } from "../src/tensor/dtype.ts";
import { int64Vector, sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

/** Shorthand for building small networks with seeded weights. */
class Net {
  readonly b = new GraphBuilder("net");
  readonly random = randomOf(7, "weights");
  readonly dtype: DType;

  constructor(dtype: DType = "float32") {
    this.dtype = dtype;
  }

  input(shape: readonly (number | string)[] = ["N", 3, 8, 8]): string {
    return this.b.input("x", this.dtype, shape);
  }

  normal(shape: readonly number[], scale = 0.3): string {
    const values = Array.from({ length: sizeOf(shape) }, () => scale * this.random.normal());
    return this.b.constant(undefined, tensorOf(this.dtype, shape, values));
  }

  ints(values: readonly number[]): string {
    return this.b.constant(undefined, int64Vector(values));
  }

  node(...args: Parameters<GraphBuilder["node"]>): string {
    return this.b.node(...args)[0];
  }

  conv(x: string, inputs: number, filters: number, group = 1): string {
    const weight = this.normal([filters, inputs / group, 3, 3]);
    return this.node("Conv", [x, weight, this.normal([filters])], { pads: [1, 1, 1, 1], group });
  }

  model(...outputs: readonly string[]): Model {
    for (const name of outputs) this.b.output(name, { dtype: this.dtype, shape: undefined });
    return readModel(concatBytes(encodeGraph(this.b.build())));
  }
}

/** Prunes to about half of the parameters with random scores and verifies; returns what was left. */
async function halve(model: Model, fraction = 0.5) {
  const structure = structureOf(model.graph);
  const random = randomOf(3, "scores");
  const scores = Float64Array.from(structure.units, () => random.uniform());
  const totals = costModel(structure);
  const before = totals(new Uint8Array(scores.length)).params;
  const { removed } = selectUnits(structure, scores, [
    { name: "params", fraction, remaining: (r) => totals(r).params / before },
  ]);
  const choice = { method: "random", removed, edits: [], isReached: true, missed: [], notes: [] };
  const pruned = finishPruning(model, structure, choice);
  const verification = await verifyPruned(model, pruned, { samples: 2 });
  const reread = readModel(concatBytes(pruned.bytes));
  return { structure, pruned, verification, reread, removedUnits: removed.filter(Boolean).length };
}

function prunable(structure: Structure): number {
  return structure.units.filter((unit) => unit.reason === undefined).length;
}

const cases: readonly {
  readonly name: string;
  readonly build: () => Model;
  /** Counted by hand. */
  readonly prunableUnits: number;
  readonly fraction?: number;
}[] = [
  {
    name: "concatenation of a tensor with itself",
    prunableUnits: 8 + 6,
    build() {
      const net = new Net();
      const x = net.conv(net.input(), 3, 8);
      const twice = net.node("Concat", [x, x], { axis: 1 });
      return net.model(net.conv(net.conv(twice, 16, 6), 6, 2));
    },
  },
  {
    name: "an option-A shortcut: strided spatial Slice and channel Pad",
    prunableUnits: 8 + 16 + 8 + 4,
    build() {
      const net = new Net();
      const x = net.node("Relu", [net.conv(net.input(), 3, 8)]);
      const pooled = net.node("Slice", [
        x,
        net.ints([0, 0]),
        net.ints([8, 8]),
        net.ints([2, 3]),
        net.ints([2, 2]),
      ]);
      const shortcut = net.node("Pad", [pooled, net.ints([0, 4, 0, 0, 0, 4, 0, 0])]);
      const inner = net.node("Relu", [net.conv(x, 8, 16)]);
      const down = net.node("MaxPool", [inner], { kernel_shape: [2, 2], strides: [2, 2] });
      const branch = net.conv(down, 16, 16);
      const sum = net.node("Relu", [net.node("Add", [branch, shortcut])]);
      return net.model(net.conv(net.conv(sum, 16, 4), 4, 2));
    },
  },
  {
    name: "group normalization: whole groups only",
    prunableUnits: 4 + 6,
    build() {
      const net = new Net();
      const x = net.conv(net.input(), 3, 16);
      const normal = net.node("GroupNormalization", [x, net.normal([16]), net.normal([16])], {
        num_groups: 4,
      });
      return net.model(net.conv(net.conv(normal, 16, 6), 6, 2));
    },
  },
  {
    name: "depthwise convolution with a multiplier of two",
    prunableUnits: 8 + 6,
    build() {
      const net = new Net();
      const x = net.node("Sigmoid", [net.conv(net.input(), 3, 8)]);
      const deep = net.node("Conv", [x, net.normal([16, 1, 3, 3])], { group: 8 });
      return net.model(net.conv(net.conv(deep, 16, 6), 6, 2));
    },
  },
  {
    name: "a convolution with one output channel and group 1 is not depthwise",
    prunableUnits: 1 + 6,
    build() {
      const net = new Net();
      const x = net.conv(net.input(), 3, 1);
      return net.model(net.conv(net.conv(x, 1, 6), 6, 2));
    },
  },
  {
    name: "flatten in channels-last order before a fully connected layer",
    prunableUnits: 8 + 5,
    build() {
      const net = new Net();
      const x = net.conv(net.input([1, 3, 4, 4]), 3, 8);
      const last = net.node("Transpose", [x], { perm: [0, 2, 3, 1] });
      const flat = net.node("Flatten", [last]);
      const hidden = net.node("MatMul", [flat, net.normal([128, 5])]);
      return net.model(net.node("Gemm", [hidden, net.normal([5, 3])]));
    },
  },
  {
    name: "layer normalization over channels is a barrier",
    prunableUnits: 6,
    build() {
      const net = new Net();
      const x = net.conv(net.input(), 3, 8);
      const last = net.node("Transpose", [x], { perm: [0, 2, 3, 1] });
      const normal = net.node("LayerNormalization", [last, net.normal([8]), net.normal([8])]);
      const back = net.node("Transpose", [normal], { perm: [0, 3, 1, 2] });
      return net.model(net.conv(net.conv(back, 8, 6), 6, 2));
    },
  },
  {
    name: "pixel shuffle: the four channels of a pixel go together",
    prunableUnits: 4 + 6,
    build() {
      const net = new Net();
      const x = net.conv(net.input(), 3, 16);
      const wide = net.node("DepthToSpace", [x], { blocksize: 2, mode: "CRD" });
      return net.model(net.conv(net.conv(wide, 4, 6), 6, 2));
    },
  },
];

describe("graph forms", () => {
  for (const { name, build, prunableUnits, fraction } of cases) {
    test(name, async () => {
      const { structure, verification, removedUnits } = await halve(build(), fraction);
      expect(prunable(structure)).toBe(prunableUnits);
      expect(removedUnits).toBeGreaterThan(0);
      expect(verification).toMatchObject({ passed: true });
    });
  }
});

test("float16 networks are cut exactly", async () => {
  const net = new Net("float16");
  const x = net.node("Relu", [net.conv(net.input(), 3, 8)]);
  const { verification, removedUnits } = await halve(net.model(net.conv(net.conv(x, 8, 6), 6, 2)));
  expect(removedUnits).toBeGreaterThan(0);
  expect(verification).toMatchObject({ passed: true });
});

test("quantised weights are cut with their scales and zero points", async () => {
  const net = new Net();
  const int8 = (shape: readonly number[]) => {
    const values = Array.from({ length: sizeOf(shape) }, () => net.random.integer(200) - 100);
    return net.b.constant(undefined, tensorOf("int8", shape, values));
  };
  const positive = (count: number) => {
    const values = Array.from({ length: count }, () => 0.001 * (1 + net.random.uniform()));
    return net.b.constant(undefined, tensorOf("float32", [count], values));
  };
  const weight = (filters: number, inputs: number) =>
    net.node(
      "DequantizeLinear",
      [int8([filters, inputs, 3, 3]), positive(filters), int8([filters])],
      {
        axis: 0,
      },
    );
  const quantised = (x: string) => {
    const scale = net.b.constant(undefined, tensorOf("float32", [], [0.05]));
    const zero = net.b.constant(undefined, tensorOf("uint8", [], [128]));
    const q = net.node("QuantizeLinear", [x, scale, zero]);
    return net.node("DequantizeLinear", [q, scale, zero]);
  };
  const first = net.node("Conv", [quantised(net.input()), weight(8, 3)], { pads: [1, 1, 1, 1] });
  const second = net.node("Conv", [quantised(first), weight(6, 8)], { pads: [1, 1, 1, 1] });
  const model = net.model(net.conv(second, 6, 2));
  const { structure, verification, removedUnits } = await halve(model);
  expect(prunable(structure)).toBe(14);
  expect(removedUnits).toBeGreaterThan(0);
  expect(verification).toMatchObject({ passed: true });
});

test("a vector that de-duplication shares is cloned, not tied", async () => {
  const net = new Net();
  const shared = net.normal([8]);
  const conv = (x: string, inputs: number) =>
    net.node("Conv", [x, net.normal([8, inputs, 1, 1]), shared]);
  const model = net.model(net.conv(conv(conv(net.input(), 3), 8), 8, 2));
  const { structure, verification, pruned } = await halve(model);
  expect(structure.groups).toHaveLength(3);
  expect(prunable(structure)).toBe(16);
  expect(verification).toMatchObject({ passed: true });
  expect([...pruned.graph.constants.keys()].filter((name) => name.startsWith(shared))).toHaveLength(
    2,
  );
});

test("a weight that two convolutions share is tied and stays shared", async () => {
  const net = new Net();
  const shared = net.normal([8, 8, 3, 3]);
  const conv = (x: string) => net.node("Conv", [x, shared], { pads: [1, 1, 1, 1] });
  const model = net.model(net.conv(conv(conv(net.conv(net.input(), 3, 8))), 8, 2));
  const { structure, verification, pruned } = await halve(model);
  expect(prunable(structure)).toBe(8);
  expect(verification).toMatchObject({ passed: true });
  const readers = pruned.graph.nodes.filter((node) => node.inputs[1] === shared);
  expect(readers).toHaveLength(2);
});

test("a channel shuffle that loses channels unevenly becomes one Gather", async () => {
  const net = new Net();
  const x = net.node("Relu", [net.conv(net.input([1, 3, 8, 8]), 3, 8)]);
  const split = net.node("Reshape", [x, net.ints([1, 2, 4, 8, 8])]);
  const swapped = net.node("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
  const shuffled = net.node("Reshape", [swapped, net.ints([1, 8, 8, 8])]);
  const model = net.model(net.conv(shuffled, 8, 2));
  const { structure, verification, pruned } = await halve(model, 0.7);
  expect(prunable(structure)).toBe(8);
  expect(verification).toMatchObject({ passed: true });
  expect(pruned.graph.nodes.map((node) => node.opType)).toEqual(["Conv", "Relu", "Gather", "Conv"]);
});

test("channel shuffles that undo each other leave a free batch size free", async () => {
  const net = new Net();
  const x = net.conv(net.input(), 3, 8);
  // Three shuffles of 2 x 4 channels are none.
  let y = x;
  for (let k = 0; k < 3; k++) {
    const split = net.node("Reshape", [y, net.ints([0, 2, 4, 8, 8])]);
    const swapped = net.node("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
    y = net.node("Reshape", [swapped, net.ints([0, -1, 8, 8])]);
  }
  const model = net.model(net.conv(y, 8, 2));
  const { pruned } = await halve(model);
  const dims = new Map([["N", 3]]);
  const reference = referenceFor(model, partsOf(pruned));
  const { passed } = await compareModels(model, reference, pruned.bytes, dims, { samples: 1 });
  expect(partsOf(pruned).removed).toContain(1);
  expect(passed).toBe(true);
});

test("every output keeps its shape, and unused outputs their values", async () => {
  const net = new Net();
  const x = net.node("Relu", [net.conv(net.input(), 3, 8)]);
  const model = net.model(net.conv(x, 8, 2), net.conv(x, 8, 3));
  const { verification, reread, pruned } = await halve(model);
  expect(verification.checks).toHaveLength(4);
  expect(verification).toMatchObject({ passed: true });
  expect(reread.graph.outputs).toEqual(model.graph.outputs);
  expect(pruned.after.params).toBeLessThan(pruned.before.params);
});

test("an operator that Espalier doesn't know fixes what it touches, and nothing else", () => {
  const net = new Net();
  const x = net.conv(net.input(), 3, 8);
  const [odd] = net.b.node("Mystery", [x], {}, { domain: "com.example" });
  net.b.output(net.conv(net.conv(x, 8, 6), 6, 2), { dtype: "float32", shape: undefined });
  net.b.output(odd, { dtype: "float32", shape: ["N", 8, 8, 8] });
  const structure = structureOf(net.b.build());
  expect(prunable(structure)).toBe(6);
  const reasons = structure.units.slice(0, 8).map((unit) => unit.reason);
  expect(new Set(reasons)).toEqual(
    new Set([`com.example.Mystery "Mystery_1" is not an operator that Espalier knows`]),
  );
});
