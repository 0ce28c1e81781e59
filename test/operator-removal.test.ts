/**
 * @file For each operator that moves, mixes or reshapes channels: how many units a small network
 * around it has (counted by hand), and that removing some equals zeroing what consumers read.
 */
import { expect, test } from "vitest";
import { type AttributeValue, GraphBuilder } from "../src/ir/builder.ts";
import type { Graph } from "../src/ir/graph.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { withSession } from "../src/runtime/session.ts";
import { maskReads } from "../src/structure/change/masks.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import { selectUnits } from "../src/structure/choice/select.ts";
import { costModel } from "../src/structure/cost/cost.ts";
import { structureOf } from "../src/structure/units/units.ts";
import {
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../src/tensor/host-tensor.ts";
import { type Random, randomOf } from "../src/tensor/random.ts";

/** A network under construction: every value comes with its number of channels (axis 1). */
class Net {
  readonly b = new GraphBuilder("net");
  readonly #random: Random = randomOf(7, "weights");

  /** Normal weights; their values don't matter, only that none are special. */
  weights(...shape: number[]): string {
    return this.constant(tensorOf("float32", shape, this.#values(shape)));
  }

  constant(tensor: HostTensor): string {
    return this.b.constant(undefined, tensor);
  }

  ints(...values: number[]): string {
    return this.constant(int64Vector(values));
  }

  op(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.b.node(opType, inputs, attributes)[0];
  }

  /** A 1 x 1 convolution with bias, and an activation that is not zero at zero. */
  conv(x: string, from: number, to: number): string {
    return this.op("Sigmoid", [
      this.op("Conv", [x, this.weights(to, from, 1, 1), this.weights(to)]),
    ]);
  }

  #values(shape: readonly number[]): Float64Array {
    return Float64Array.from({ length: sizeOf(shape) }, () => this.#random.normal());
  }
}

/**
 * From 8 channels of 8 x 8 positions (whose units are counted) to a value and its channels; a last
 * convolution, whose filters are fixed, reads them.
 */
type Body = (net: Net, x: string) => readonly [y: string, channels: number];

function graphOf(body: Body): Graph {
  const net = new Net();
  const x = net.b.input("x", "float32", [2, 3, 8, 8]);
  const [y, channels] = body(net, net.conv(x, 3, 8));
  net.b.output(net.op("Conv", [y, net.weights(2, channels, 1, 1)]));
  return net.b.build();
}

/** [name, prunable units by hand, network]. */
const cases: readonly (readonly [string, number, Body])[] = [
  ["nothing between", 8, (_, x) => [x, 8]],
  [
    "ConvTranspose",
    8 + 6,
    (n, x) => [n.op("ConvTranspose", [x, n.weights(8, 6, 3, 3), n.weights(6)]), 6],
  ],
  [
    "ConvTranspose in 2 groups: 4 inputs and 3 outputs, the same in each",
    4 + 3,
    (n, x) => [
      n.op("ConvTranspose", [x, n.weights(8, 3, 2, 2), n.weights(6)], {
        group: 2,
        strides: [2, 2],
      }),
      6,
    ],
  ],
  [
    "ConvTranspose in 4 groups of 2 to 1: whole groups",
    4,
    (n, x) => [n.op("ConvTranspose", [x, n.weights(8, 1, 2, 2), n.weights(4)], { group: 4 }), 4],
  ],
  [
    "depthwise ConvTranspose with multiplier 2",
    8,
    (n, x) => [n.op("ConvTranspose", [x, n.weights(8, 2, 2, 2), n.weights(16)], { group: 8 }), 16],
  ],
  [
    "Conv in 2 groups of 4 to 3",
    4 + 3,
    (n, x) => [n.op("Conv", [x, n.weights(6, 4, 1, 1), n.weights(6)], { group: 2 }), 6],
  ],
  ["LRN divides by a sum over channels", 0, (n, x) => [n.op("LRN", [x], { size: 3 }), 8]],
  [
    "LayerNormalization over the last axis",
    8,
    (n, x) => [n.op("LayerNormalization", [x, n.weights(8), n.weights(8)]), 8],
  ],
  [
    "LayerNormalization over all but the batch",
    0,
    (n, x) => [n.op("LayerNormalization", [x, n.weights(8, 8, 8)], { axis: 1 }), 8],
  ],
  [
    "InstanceNormalization",
    8,
    (n, x) => [n.op("InstanceNormalization", [x, n.weights(8), n.weights(8)]), 8],
  ],
  [
    "GroupNormalization: whole groups",
    4,
    (n, x) => [n.op("GroupNormalization", [x, n.weights(8), n.weights(8)], { num_groups: 4 }), 8],
  ],
  [
    "GroupNormalization written as Reshape and InstanceNormalization",
    4,
    (n, x) => {
      const grouped = n.op("Reshape", [x, n.ints(0, 4, -1)]);
      const normed = n.op("InstanceNormalization", [grouped, n.weights(4), n.weights(4)]);
      return [n.op("Reshape", [normed, n.ints(2, 8, 8, 8)]), 8];
    },
  ],
  ["Slice of a run", 8, (n, x) => [n.op("Slice", [x, n.ints(2), n.ints(-2), n.ints(1)]), 4]],
  [
    "Slice with a step",
    8,
    (n, x) => [n.op("Slice", [x, n.ints(0), n.ints(2 ** 40), n.ints(1), n.ints(3)]), 3],
  ],
  [
    "Slice backwards",
    8,
    (n, x) => [n.op("Slice", [x, n.ints(-1), n.ints(-(2 ** 40)), n.ints(1), n.ints(-1)]), 8],
  ],
  [
    "Slice of channels and positions",
    8,
    (n, x) => [n.op("Slice", [x, n.ints(1, 2), n.ints(5, 7), n.ints(1, 2)]), 4],
  ],
  [
    "Slice with steps along two axes",
    0,
    (n, x) => [n.op("Slice", [x, n.ints(0, 0), n.ints(8, 8), n.ints(1, 2), n.ints(2, 2)]), 4],
  ],
  [
    "Gather with repeats",
    8,
    (n, x) => [n.op("Gather", [x, n.ints(7, 0, 3, 3, -8)], { axis: 1 }), 5],
  ],
  [
    "Gather of one channel, which must stay",
    7,
    (n, x) => {
      const one = n.constant(tensorOf("int64", [], [3]));
      return [n.op("Unsqueeze", [n.op("Gather", [x, one], { axis: 1 }), n.ints(1)]), 1];
    },
  ],
  [
    "Split into equal parts, joined the other way round",
    8,
    (n, x) => {
      const parts = n.b.node("Split", [x], { axis: 1, num_outputs: 2 }, { outputs: 2 });
      return [n.op("Concat", [parts[1], parts[0]], { axis: 1 }), 8];
    },
  ],
  [
    "Split by sizes, one part unused",
    8,
    (n, x) => [n.b.node("Split", [x, n.ints(3, 5)], { axis: 1 }, { outputs: 2 })[1], 5],
  ],
  [
    "Squeeze of whatever has size 1",
    8,
    (n, x) => {
      const pooled = n.op("Slice", [
        n.op("GlobalAveragePool", [x]),
        n.ints(0),
        n.ints(1),
        n.ints(0),
      ]);
      return [n.op("Unsqueeze", [n.op("Squeeze", [pooled]), n.ints(0, 2, 3)]), 8];
    },
  ],
  [
    "Tile of one channel, added",
    8 + 1,
    (n, x) => {
      const one = n.op("Conv", [x, n.weights(1, 8, 1, 1)]);
      return [n.op("Add", [x, n.op("Tile", [one, n.ints(1, 8, 1, 1)])]), 8];
    },
  ],
  ["Tile of all channels", 8, (n, x) => [n.op("Tile", [x, n.ints(1, 2, 1, 1)]), 16]],
  [
    "Expand of one channel, multiplied",
    8 + 1,
    (n, x) => {
      const one = n.op("Conv", [x, n.weights(1, 8, 1, 1)]);
      return [n.op("Mul", [n.op("Expand", [one, n.ints(2, 8, 1, 1)]), x]), 8];
    },
  ],
  [
    "Pad of channels with a constant, added to others",
    8 + 5,
    (n, x) => {
      const value = n.constant(tensorOf("float32", [], [1.5]));
      const padded = n.op("Pad", [x, n.ints(0, 2, 1, 0, 0, 3, 0, 1), value]);
      const other = n.op("Conv", [x, n.weights(13, 8, 1, 1)], { pads: [1, 0, 0, 1] });
      return [n.op("Add", [padded, other]), 13];
    },
  ],
  [
    "Pad that cuts two channels off",
    8,
    (n, x) => [n.op("Pad", [x, n.ints(-2, 1), "", n.ints(1)]), 7],
  ],
  [
    "Pad that mirrors channels",
    0,
    (n, x) => [n.op("Pad", [x, n.ints(0, 1, 0, 0, 0, 0, 0, 0)], { mode: "reflect" }), 9],
  ],
  [
    "Resize to sizes that name the channels",
    8,
    (n, x) => [n.op("Resize", [x, "", "", n.ints(2, 8, 11, 5)]), 8],
  ],
  [
    "Resize of two axes",
    8,
    (n, x) => [n.op("Resize", [x, "", "", n.ints(11, 5)], { axes: [3, 2], mode: "linear" }), 8],
  ],
  ["Resize of the channels", 0, (n, x) => [n.op("Resize", [x, "", "", n.ints(2, 4, 8, 8)]), 4]],
  [
    "MaxPool whose indices are read",
    0,
    (n, x) => {
      const pooled = n.b.node("MaxPool", [x], { kernel_shape: [2, 2] }, { outputs: 2 });
      const indices = n.op("Cast", [pooled[1]], { to: 1 });
      return [n.op("Add", [pooled[0], indices]), 8];
    },
  ],
  [
    "AveragePool",
    8,
    (n, x) => [
      n.op("AveragePool", [x], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
      8,
    ],
  ],
  ["DepthToSpace, DCR", 2, (n, x) => [n.op("DepthToSpace", [x], { blocksize: 2 }), 2]],
  ["DepthToSpace, CRD", 2, (n, x) => [n.op("DepthToSpace", [x], { blocksize: 2, mode: "CRD" }), 2]],
  ["SpaceToDepth", 8, (n, x) => [n.op("SpaceToDepth", [x], { blocksize: 2 }), 32]],
  [
    "QuantizeLinear and back, a scale for each channel",
    8,
    (n, x) => {
      const scale = n.constant(
        tensorOf(
          "float32",
          [8],
          [1, 2, 3, 4, 5, 6, 7, 8].map((k) => k / 500),
        ),
      );
      const zero = n.constant(tensorOf("uint8", [8], [0, 1, 2, 3, 4, 5, 6, 7]));
      const q = n.op("QuantizeLinear", [x, scale, zero]);
      return [n.op("DequantizeLinear", [q, scale, zero]), 8];
    },
  ],
  [
    "dequantised weights",
    8 + 4,
    (n, x) => {
      const values = Array.from({ length: 32 }, (_, k) => ((k * 37) % 200) - 100);
      const w = n.constant(tensorOf("int8", [4, 8, 1, 1], values));
      const scale = n.constant(tensorOf("float32", [4], [0.01, 0.02, 0.03, 0.04]));
      const weights = n.op("DequantizeLinear", [w, scale], { axis: 0 });
      return [n.op("Sigmoid", [n.op("Conv", [x, weights])]), 4];
    },
  ],
  [
    "channels last, a product, channels first",
    8 + 5,
    (n, x) => {
      const last = n.op("Transpose", [x], { perm: [0, 2, 3, 1] });
      const product = n.op("Add", [n.op("MatMul", [last, n.weights(8, 5)]), n.weights(5)]);
      return [n.op("Transpose", [product], { perm: [0, 3, 1, 2] }), 5];
    },
  ],
  [
    "Flatten, Gemm with both operands transposed",
    8 + 6,
    (n, x) => {
      const flat = n.op("Transpose", [n.op("Flatten", [x])]);
      const full = n.op("Gemm", [flat, n.weights(6, 8 * 64), n.weights(6)], {
        transA: 1,
        transB: 1,
        alpha: 0.1,
      });
      return [n.op("Unsqueeze", [n.op("Tanh", [full]), n.ints(2, 3)]), 6];
    },
  ],
  [
    "Reshape to a computed shape",
    8,
    (n, x) => {
      const batch = n.op("Gather", [n.op("Shape", [x]), n.ints(0)]);
      const shape = n.op("Concat", [batch, n.ints(8, 64, 1)], { axis: 0 });
      return [n.op("Reshape", [x, shape]), 8];
    },
  ],
  [
    "channel shuffle",
    8,
    (n, x) => {
      const split = n.op("Reshape", [x, n.ints(2, 2, 4, 8, 8)]);
      const turned = n.op("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
      return [n.op("Reshape", [turned, n.ints(2, 8, 8, 8)]), 8];
    },
  ],
  [
    "channel attention by a product of two activations",
    8 + 8,
    (n, x) => {
      const flat = n.op("Reshape", [x, n.ints(2, 8, 64)]);
      const linear = n.op("Conv", [x, n.weights(8, 8, 1, 1), n.weights(8)]);
      const other = n.op("Reshape", [n.op("Tanh", [linear]), n.ints(2, 8, 64)]);
      const scores = n.op("MatMul", [flat, n.op("Transpose", [other], { perm: [0, 2, 1] })]);
      return [n.op("Reshape", [n.op("MatMul", [scores, other]), n.ints(0, 0, 8, 8)]), 8];
    },
  ],
  [
    "channel attention over sigmoids, of which a sum would miss 1/2 for each that goes",
    8,
    (n, x) => {
      const flat = n.op("Reshape", [x, n.ints(2, 8, 64)]);
      const other = n.op("Reshape", [n.conv(x, 8, 8), n.ints(2, 8, 64)]);
      const scores = n.op("MatMul", [flat, n.op("Transpose", [other], { perm: [0, 2, 1] })]);
      return [n.op("Reshape", [n.op("MatMul", [scores, other]), n.ints(0, 0, 8, 8)]), 8];
    },
  ],
  [
    "GRU: what a step reads, not its units",
    8,
    (n, x) => {
      const flat = n.op("Reshape", [x, n.ints(2, 8, 64)]);
      const steps = n.op("Transpose", [flat], { perm: [2, 0, 1] });
      const weights = [n.weights(2, 15, 8), n.weights(2, 15, 5), n.weights(2, 30)];
      const gru = { hidden_size: 5, direction: "bidirectional" };
      const y = n.op("Transpose", [n.op("GRU", [steps, ...weights], gru)], { perm: [2, 1, 3, 0] });
      return [n.op("Reshape", [y, n.ints(2, 10, 8, 8)]), 10];
    },
  ],
  [
    "LSTM over rows, with channels and columns as features",
    8,
    (n, x) => {
      const rows = n.op("Transpose", [x], { perm: [2, 0, 1, 3] });
      const steps = n.op("Reshape", [rows, n.ints(8, 2, 64)]);
      const y = n.op("LSTM", [steps, n.weights(1, 12, 64), n.weights(1, 12, 3)], {
        hidden_size: 3,
      });
      return [n.op("Transpose", [y], { perm: [2, 3, 0, 1] }), 3];
    },
  ],
  [
    "RNN with a layer before it",
    8 + 6,
    (n, x) => {
      const flat = n.op("Reshape", [n.conv(x, 8, 6), n.ints(2, 6, 64)]);
      const steps = n.op("Transpose", [flat], { perm: [2, 0, 1] });
      const y = n.op("RNN", [steps, n.weights(1, 4, 6), n.weights(1, 4, 4)], { hidden_size: 4 });
      return [n.op("Transpose", [y], { perm: [2, 3, 0, 1] }), 4];
    },
  ],
  [
    "Einsum as a 1 x 1 convolution",
    8 + 6,
    (n, x) => [n.op("Einsum", [x, n.weights(6, 8)], { equation: "bchw,oc->bohw" }), 6],
  ],
  [
    "Einsum as a depthwise scale",
    8,
    (n, x) => [n.op("Einsum", [x, n.weights(8)], { equation: "bc...,c->bc..." }), 8],
  ],
  [
    "Einsum of two activations, summed over channels that so go together",
    8,
    (n, x) => {
      const equation = "bchw,bcvu->bwuhv";
      const other = n.op("Tanh", [n.op("Conv", [x, n.weights(8, 8, 1, 1), n.weights(8)])]);
      const scores = n.op("Einsum", [x, other], { equation });
      const shape = n.ints(2, 64, 8, 8);
      return [n.op("Reshape", [scores, shape]), 64];
    },
  ],
  [
    "Einsum over a diagonal",
    0,
    (n, x) => {
      const diagonal = n.op("Einsum", [x], { equation: "bihi->bih" });
      return [n.op("Unsqueeze", [diagonal, n.ints(3)]), 8];
    },
  ],
  [
    "batch normalisation",
    8,
    (n, x) => {
      const variance = n.constant(tensorOf("float32", [8], [1, 2, 3, 4, 5, 6, 7, 8]));
      const vectors = [n.weights(8), n.weights(8), n.weights(8), variance];
      return [n.op("Relu", [n.op("BatchNormalization", [x, ...vectors])]), 8];
    },
  ],
];

test.each(cases)("%s: %i units", async (_, prunable, body) => {
  const graph = graphOf(body);
  const structure = structureOf(graph);
  expect(structure.units.filter(({ reason }) => reason === undefined)).toHaveLength(prunable);
  const feeds = new Map([["x", image()]]);
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length)).params;
  for (const [seed, fraction] of [0.8, 0.6, 0.1].entries()) {
    const random = randomOf(seed, "scores");
    const scores = Float64Array.from(structure.units, () => random.uniform());
    const { removed } = selectUnits(structure, scores, [
      { name: "params", fraction, remaining: (r) => totals(r).params / before },
    ]);
    const [[, expected]] = await run(maskReads(structure, removed), feeds);
    const [[, actual]] = await run(removeUnits(structure, removed), feeds);
    expect(removed.includes(1)).toBe(prunable > 0);
    expect(actual.shape).toEqual(expected.shape);
    expect(largestError(toNumbers(expected), toNumbers(actual))).toBeLessThan(1e-5);
  }
});

/** The largest difference, over the largest magnitude. */
function largestError(expected: Float64Array, actual: Float64Array): number {
  const largest = Math.max(...expected.map((value, i) => Math.abs(value - actual[i])));
  return largest / Math.max(...expected.map(Math.abs), Number.MIN_VALUE);
}

function image(): HostTensor {
  const random = randomOf(3, "image");
  const values = Float64Array.from({ length: 2 * 3 * 64 }, () => random.normal());
  return tensorOf("float32", [2, 3, 8, 8], values);
}

function run(graph: Graph, feeds: ReadonlyMap<string, HostTensor>) {
  return withSession(
    encodeGraph(graph).chunks,
    { threads: 1, optimization: "disabled" },
    (session) => session.run(feeds),
  );
}
