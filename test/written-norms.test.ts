/**
 * @file Normalisations and attention written as single operators, as exporters do: which channels may
 * go is counted by hand, and those that go leave no trace. The proof asks no mask: it sets every number
 * that goes to 0 in the original, and compares.
 */
import { describe, expect, test } from "vitest";
import { type AttributeValue, GraphBuilder } from "../src/ir/builder.ts";
import type { Graph } from "../src/ir/graph.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { withSession } from "../src/runtime/session.ts";
import { maskReads } from "../src/structure/change/masks.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import { int64Vector, sizeOf, tensorOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { withDeadUnits } from "./support/dead-units.ts";

/** A network under construction, of 8 channels of 4 x 4 positions in two samples. */
class Net {
  readonly b = new GraphBuilder("net");
  readonly #random = randomOf(5, "weights");

  weights(...shape: number[]): string {
    const values = Array.from({ length: sizeOf(shape) }, () => 0.5 * this.#random.normal());
    return this.b.constant(undefined, tensorOf("float32", shape, values));
  }

  number(value: number): string {
    return this.b.constant(undefined, tensorOf("float32", [], [value]));
  }

  ints(...values: number[]): string {
    return this.b.constant(undefined, int64Vector(values));
  }

  op(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.b.node(opType, inputs, attributes)[0];
  }

  conv(x: string, from: number, to: number): string {
    return this.op("Conv", [x, this.weights(to, from, 1, 1), this.weights(to)]);
  }

  /** Axes other than the reduced ones stay; these have size 1. */
  reduce(op: string, x: string, ...axes: number[]): string {
    return this.op(op, [x, this.ints(...axes)], { keepdims: 1 });
  }

  /** (x - mean) / √(variance + ε) over axes, each step a node of its own. */
  standardised(x: string, ...axes: number[]): string {
    const centered = this.op("Sub", [x, this.reduce("ReduceMean", x, ...axes)]);
    const square = this.op("Pow", [centered, this.number(2)]);
    const variance = this.reduce("ReduceMean", square, ...axes);
    const deviation = this.op("Sqrt", [this.op("Add", [variance, this.number(1e-5)])]);
    return this.op("Div", [centered, deviation]);
  }

  affine(x: string, ...shape: number[]): string {
    const scaled = this.op("Mul", [x, this.weights(...shape)]);
    return this.op("Add", [scaled, this.weights(...shape)]);
  }
}

/** From 8 channels, 0 where their filters are, to 8 channels that a last convolution reads. */
type Body = (net: Net, x: string) => string;

function networkOf(body: Body): Graph {
  const net = new Net();
  const x = net.b.input("x", "float32", [2, 3, 4, 4]);
  net.b.output(net.conv(body(net, net.op("Relu", [net.conv(x, 3, 8)])), 8, 2));
  return net.b.build();
}

const tokens = (n: Net, x: string) =>
  n.op("Transpose", [n.op("Reshape", [x, n.ints(2, 8, 16)])], { perm: [0, 2, 1] });
const maps = (n: Net, x: string) =>
  n.op("Reshape", [n.op("Transpose", [x], { perm: [0, 2, 1] }), n.ints(2, 8, 4, 4)]);
const linear = (n: Net, x: string) =>
  n.op("Add", [n.op("MatMul", [x, n.weights(8, 8)]), n.weights(8)]);

/** softmax(q kᵀ / √8) v over positions, where `f` stands before the product. */
function attention(n: Net, x: string, f: (y: string) => string = (y) => y): string {
  const t = tokens(n, x);
  const [q, k, v] = [f(linear(n, t)), f(linear(n, t)), linear(n, t)];
  const scores = n.op("MatMul", [q, n.op("Transpose", [k], { perm: [0, 2, 1] })]);
  const weights = n.op("Softmax", [n.op("Div", [scores, n.number(Math.sqrt(8))])], { axis: -1 });
  return maps(n, linear(n, n.op("MatMul", [weights, v])));
}

/** Channels times a sigmoid of what `statistics` computes from them. */
function gated(n: Net, x: string, statistics: string): string {
  return n.op("Mul", [x, n.op("Sigmoid", [statistics])]);
}

/** Subtracting 0 - mean where nothing is: the second mean counts it. */
const uneven: readonly (readonly [string, Body])[] = [
  [
    "layer normalisation, channels last",
    (n, x) => {
      const last = n.op("Transpose", [x], { perm: [0, 2, 3, 1] });
      const normed = n.affine(n.standardised(last, -1), 8);
      return n.op("Transpose", [normed], { perm: [0, 3, 1, 2] });
    },
  ],
  ["layer normalisation, channels first", (n, x) => n.affine(n.standardised(x, 1), 1, 8, 1, 1)],
  [
    "layer normalisation over channels and positions",
    (n, x) => n.affine(n.standardised(x, 1, 2, 3), 8, 1, 1),
  ],
  [
    "the mean distance from the mean",
    (n, x) => {
      const centered = n.op("Sub", [x, n.reduce("ReduceMean", x, 1)]);
      return gated(n, x, n.reduce("ReduceMean", n.op("Abs", [centered]), 1));
    },
  ],
  [
    "a norm of channels to which a map was added",
    (n, x) => {
      const map = n.conv(x, 8, 1);
      return gated(n, x, n.reduce("ReduceL2", n.op("Add", [x, map]), 1));
    },
  ],
  ["a mean of sigmoids", (n, x) => gated(n, x, n.reduce("ReduceMean", n.op("Sigmoid", [x]), 1))],
  [
    "a mean over softmaxes of positions",
    (n, x) => {
      const flat = n.op("Softmax", [n.op("Reshape", [x, n.ints(2, 8, 16)])], { axis: -1 });
      const mean = n.op("Reshape", [n.reduce("ReduceMean", flat, 1), n.ints(2, 1, 4, 4)]);
      return gated(n, x, mean);
    },
  ],
  [
    "a sum of what is padded with ones",
    (n, x) => {
      const padded = n.op("Pad", [x, n.ints(0, 0, 1, 1, 0, 0, 1, 1), n.number(1)]);
      const sum = n.reduce("ReduceSum", n.op("AveragePool", [padded], { kernel_shape: [3, 3] }), 1);
      return gated(n, x, sum);
    },
  ],
];

/** Zeros stay zeros up to every sum: [name, prunable units by hand, network]. */
const exact: readonly (readonly [string, number, Body])[] = [
  ["instance normalisation", 8, (n, x) => n.affine(n.standardised(x, 2, 3), 8, 1, 1)],
  [
    "group normalisation: whole groups of two",
    4,
    (n, x) => {
      const groups = n.op("Reshape", [x, n.ints(2, 4, 2, 4, 4)]);
      const normed = n.op("Reshape", [n.standardised(groups, 2, 3, 4), n.ints(2, 8, 4, 4)]);
      return n.affine(normed, 8, 1, 1);
    },
  ],
  [
    "RMS normalisation",
    8,
    (n, x) => {
      const mean = n.reduce("ReduceMean", n.op("Pow", [x, n.number(2)]), 1);
      const root = n.op("Sqrt", [n.op("Add", [mean, n.number(1e-5)])]);
      return n.op("Mul", [n.op("Div", [x, root]), n.weights(8, 1, 1)]);
    },
  ],
  [
    "L2 normalisation by ReduceL2",
    8,
    (n, x) => {
      const norm = n.op("Clip", [n.reduce("ReduceL2", x, 1), n.number(1e-6)]);
      return n.op("Div", [x, norm]);
    },
  ],
  [
    "L2 normalisation by ReduceSumSquare",
    8,
    (n, x) => {
      const squares = n.op("Add", [n.reduce("ReduceSumSquare", x, 1), n.number(1e-6)]);
      return n.op("Div", [x, n.op("Sqrt", [squares])]);
    },
  ],
  [
    "layer normalisation by the mean of squares",
    8,
    (n, x) => {
      const mean = n.reduce("ReduceMean", x, 1);
      const squares = n.reduce("ReduceMean", n.op("Mul", [x, x]), 1);
      const variance = n.op("Sub", [squares, n.op("Mul", [mean, mean])]);
      const root = n.op("Sqrt", [n.op("Add", [variance, n.number(1e-2)])]);
      return n.affine(n.op("Div", [n.op("Sub", [x, mean]), root]), 8, 1, 1);
    },
  ],
  [
    "global response normalisation",
    8,
    (n, x) => {
      const norms = n.reduce("ReduceL2", x, 2, 3);
      const mean = n.op("Add", [n.reduce("ReduceMean", norms, 1), n.number(1e-6)]);
      const scaled = n.op("Mul", [x, n.op("Div", [norms, mean])]);
      return n.op("Add", [x, n.affine(scaled, 8, 1, 1)]);
    },
  ],
  ["attention by a softmax: channels, q with k, v", 8 + 8 + 8 + 8, (n, x) => attention(n, x)],
  [
    "attention by rectified products",
    8 + 8 + 8 + 8,
    (n, x) => attention(n, x, (y) => n.op("Relu", [y])),
  ],
  [
    "attention by products of sigmoids: q and k stay",
    8 + 8 + 8,
    (n, x) => attention(n, x, (y) => n.op("Sigmoid", [y])),
  ],
  [
    "weight standardisation: its filters are one network, what they read another",
    8,
    (n, x) => {
      const weight = n.standardised(n.weights(8, 8, 3, 3), 1, 2, 3);
      return n.op("Relu", [n.op("Conv", [x, weight, n.weights(8)], { pads: [1, 1, 1, 1] })]);
    },
  ],
  ["a gate by the mean over channels", 8, (n, x) => gated(n, x, n.reduce("ReduceMean", x, 1))],
  [
    "spatial attention by mean and maximum keeps its channels, but for the map's own",
    1,
    (n, x) => {
      const both = [n.reduce("ReduceMean", x, 1), n.reduce("ReduceMax", x, 1)];
      const map = n.op("Conv", [n.op("Concat", both, { axis: 1 }), n.weights(1, 2, 3, 3)], {
        pads: [1, 1, 1, 1],
      });
      return gated(n, x, map);
    },
  ],
  [
    "squeeze and excitation behind a mean over channels",
    8 + 2,
    (n, x) => {
      const shared = gated(n, x, n.reduce("ReduceMean", x, 1, 2, 3));
      const pooled = n.op("GlobalAveragePool", [shared]);
      const inner = n.op("Relu", [n.conv(pooled, 8, 2)]);
      return gated(n, shared, n.conv(inner, 2, 8));
    },
  ],
  [
    "swish and a shift with weights before a mean",
    8,
    (n, x) => {
      const swish = n.op("Mul", [x, n.op("Sigmoid", [x])]);
      const shifted = n.op("Relu", [n.affine(swish, 8, 1, 1)]);
      return gated(n, x, n.reduce("ReduceMean", shifted, 1));
    },
  ],
  [
    "batch normalisation before a norm",
    8,
    (n, x) => {
      const ones = n.b.constant(undefined, tensorOf("float32", [8], new Array(8).fill(1)));
      const vectors = [n.weights(8), n.weights(8), n.weights(8), ones];
      const normed = n.op("BatchNormalization", [x, ...vectors]);
      return gated(n, normed, n.reduce("ReduceL2", normed, 1));
    },
  ],
];

const prunable = ({ units }: Structure) =>
  units.flatMap(({ index, reason }) => (reason === undefined ? [index] : []));

describe("channels whose numbers are all 0 leave no trace behind", () => {
  test.each(exact)("%s: %i units", async (_, count, body) => {
    const structure = structureOf(networkOf(body));
    const free = prunable(structure);
    expect(free).toHaveLength(count);
    for (const seed of [1, 2, 3]) {
      const random = randomOf(seed, "removed");
      const removed = new Uint8Array(structure.units.length);
      for (const unit of free) {
        const { units } = structure.groups[structure.units[unit].group];
        if (units.length > 1 && random.uniform() < 0.4) removed[unit] = 1;
      }
      const small = await outputOf(removeUnits(structure, removed));
      expect(apart(await outputOf(withDeadUnits(structure, removed)), small)).toBeLessThan(1e-5);
      // What verification runs says the same of channels that are alive.
      expect(apart(await outputOf(maskReads(structure, removed)), small)).toBeLessThan(1e-5);
    }
  });
});

describe("channels that would leave a trace stay", () => {
  test.each(uneven)("%s", async (_, body) => {
    const structure = structureOf(networkOf(body));
    const first = structure.groups.find(({ id }) => id === "Conv_0")?.units ?? [];
    expect(first).toHaveLength(8);
    for (const unit of first)
      expect(structure.units[unit].reason).toMatch(
        /^under \w+: adds to a sum even where its own weights are 0$/,
      );
    // Were they removed nevertheless, verification would see it, as the oracle does.
    const removed = new Uint8Array(structure.units.length);
    for (const unit of first.slice(0, 4)) removed[unit] = 1;
    const small = await outputOf(removeUnits(structure, removed));
    expect(apart(await outputOf(withDeadUnits(structure, removed)), small)).toBeGreaterThan(1e-3);
    expect(apart(await outputOf(maskReads(structure, removed)), small)).toBeGreaterThan(1e-3);
  });
});

/** The largest difference, over the largest magnitude. */
function apart(expected: Float64Array, actual: Float64Array): number {
  expect(actual).toHaveLength(expected.length);
  const largest = Math.max(...expected.map((value, i) => Math.abs(value - actual[i])));
  return largest / Math.max(...expected.map(Math.abs));
}

async function outputOf(graph: Graph): Promise<Float64Array> {
  const random = randomOf(3, "image");
  const values = Float64Array.from({ length: 2 * 3 * 16 }, () => random.normal());
  const feeds = new Map([["x", tensorOf("float32", [2, 3, 4, 4], values)]]);
  const { chunks } = encodeGraph(graph);
  const options = { threads: 1, optimization: "disabled" } as const;
  return withSession(chunks, options, async (session) => {
    const [[, result]] = await session.run(feeds);
    return toNumbers(result);
  });
}
