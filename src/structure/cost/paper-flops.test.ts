/** @file FLOPs in the convention of papers, against what they print for LeNet-5-Caffe. */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { buildNetwork } from "../../models/registry.ts";
import { int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { removeUnits } from "../change/surgery.ts";
import { removeNothing } from "../units/removal.ts";
import { structureOf } from "../units/units.ts";
import { costOf } from "./cost.ts";
import { paperFlops } from "./paper-flops.ts";

const dims = new Map([["N", 1]]);

/** LeNet-5-Caffe with a and b filters, c of the flattened features, and d hidden units. */
function leNet([a, b, c, d]: readonly number[]) {
  const g = new GraphBuilder("lenet");
  const zeros = (...shape: number[]) =>
    g.constant(undefined, tensorOf("float32", shape, new Float32Array(sizeOf(shape))));
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  const x = g.input("x", "float32", ["N", 1, 28, 28]);
  const [first] = g.node("Conv", [x, zeros(a, 1, 5, 5), zeros(a)]);
  const [second] = g.node("Conv", [...g.node("MaxPool", [first], pool), zeros(b, a, 5, 5)]);
  const [flat] = g.node("Flatten", g.node("MaxPool", [second], pool), { axis: 1 });
  const chosen = g.constant(undefined, int64Vector(Array.from({ length: c }, (_, i) => i)));
  const [some] = g.node("Gather", [flat, chosen], { axis: 1 });
  const [hidden] = g.node("Gemm", [some, zeros(c, d), zeros(d)]);
  g.output(g.node("Gemm", [hidden, zeros(d, 10), zeros(10)])[0]);
  return g.build();
}

describe("FLOPs as papers count them", () => {
  it.each([
    ["GD", [7, 13, 208, 16], 254.8],
    ["SBP", [3, 18, 284, 283], 216.0],
    ["BC-GNJ", [8, 13, 88, 13], 288.3],
    ["BC-GHS", [5, 10, 76, 16], 156.9],
    ["L0-sep", [9, 18, 65, 25], 397],
  ] as const)("of %s with %j are %f thousand", (_, widths, thousands) => {
    const flops = paperFlops(costOf(leNet(widths), dims)) / 1000;
    expect(Math.abs(flops - thousands)).toBeLessThan(thousands === 397 ? 0.5 : 0.06);
  });

  it("take the features that a layer selects for what it reads", () => {
    // BC-GHS, pruned out of the whole network: of 10 filters' 160 features 76 are selected.
    const structure = structureOf(buildNetwork("lenet5-caffe", { seed: 0 }), {
      selectsInputs: true,
    });
    const widths = new Map(Object.entries({ conv1: 5, conv2: 10, "fc1/inputs": 76, fc1: 16 }));
    const removed = removeNothing(structure);
    for (const { id, units } of structure.groups)
      for (const unit of units.slice(widths.get(id) ?? units.length)) removed[unit] = 1;
    const cost = costOf(removeUnits(structure, removed), dims);
    expect(paperFlops(cost)).toBe(paperFlops(costOf(leNet([5, 10, 76, 16]), dims)));
  });

  it("count the MACs of the dense network and its biases", () => {
    const cost = costOf(buildNetwork("lenet5-caffe", { seed: 0 }), dims);
    expect(cost.macs).toBe(2_293_000);
    expect(paperFlops(cost)).toBe(2_293_000 + 576 * 20 + 64 * 50 + 500 + 10);
  });
});
