/** @file Moments of activations that exporters write as several nodes, against integrals of what onnxruntime computes. */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { momentsOf } from "../../methods/compensation/statistics.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withSession } from "../../runtime/session.ts";
import { analyze } from "../../structure/analysis/analysis.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";

/** Mean and standard deviation of each channel: kinks in the middle, in the tails and far away. */
const channels = [
  [0, 1],
  [1.2, 0.3],
  [-2.5, 2],
  [3, 0.05],
  [0.5, 4],
] as const;
const points = 8001;
const reach = 7;
const zs = Array.from({ length: points }, (_, i) => (2 * reach * i) / (points - 1) - reach);

interface Chain {
  readonly name: string;
  /** The result, of a graph whose value `x` is what batch normalization gives. */
  readonly build: (b: GraphBuilder, x: string) => string;
}

const number = (b: GraphBuilder, value: number) =>
  b.constant(undefined, tensorOf("float32", [], [value]));
const op = (b: GraphBuilder, type: string, ...inputs: string[]) => b.node(type, inputs)[0];

const chains: readonly Chain[] = [
  { name: "SiLU: x · sigmoid(x)", build: (b, x) => op(b, "Mul", x, op(b, "Sigmoid", x)) },
  { name: "SiLU, the other way round", build: (b, x) => op(b, "Mul", op(b, "Sigmoid", x), x) },
  {
    name: "Swish with beta 1.7",
    build: (b, x) => op(b, "Mul", x, op(b, "Sigmoid", op(b, "Mul", x, number(b, 1.7)))),
  },
  {
    name: "hard-swish: x · HardSigmoid(x)",
    build: (b, x) => op(b, "Mul", x, b.node("HardSigmoid", [x], { alpha: 1 / 6, beta: 0.5 })[0]),
  },
  {
    name: "hard-swish: x · clip(x + 3, 0, 6) / 6",
    build: (b, x) => {
      const lifted = op(b, "Add", x, number(b, 3));
      const clipped = op(b, "Clip", lifted, number(b, 0), number(b, 6));
      return op(b, "Div", op(b, "Mul", x, clipped), number(b, 6));
    },
  },
  {
    name: "hard-swish: x · (relu6(x + 3) / 6)",
    build: (b, x) => {
      const clipped = op(b, "Min", op(b, "Relu", op(b, "Add", number(b, 3), x)), number(b, 6));
      return op(b, "Mul", op(b, "Div", clipped, number(b, 6)), x);
    },
  },
  {
    name: "Mish: x · tanh(softplus(x))",
    build: (b, x) => op(b, "Mul", x, op(b, "Tanh", op(b, "Softplus", x))),
  },
  {
    name: "GELU: x · (erf(x / √2) + 1) / 2",
    build: (b, x) => {
      const erf = op(b, "Erf", op(b, "Div", x, number(b, Math.SQRT2)));
      return op(b, "Mul", op(b, "Mul", x, op(b, "Add", erf, number(b, 1))), number(b, 0.5));
    },
  },
  {
    name: "behind Identity and Dropout",
    build: (b, x) => op(b, "Mul", op(b, "Identity", x), op(b, "Sigmoid", op(b, "Dropout", x))),
  },
  {
    name: "a branch around an activation: x + relu(x)",
    build: (b, x) => op(b, "Add", x, op(b, "Relu", x)),
  },
  { name: "fused HardSwish", build: (b, x) => op(b, "HardSwish", x) },
];

describe("mean and variance of", () => {
  it.each(chains)("$name", async ({ build }) => {
    const b = new GraphBuilder();
    const input = b.input("in", "float32", [1, channels.length, points]);
    const vector = (values: readonly number[]) =>
      b.constant(undefined, tensorOf("float32", [channels.length], values));
    const zeros = channels.map(() => 0);
    const parameters = [
      channels.map(([, deviation]) => deviation),
      channels.map(([mean]) => mean),
      zeros,
      zeros.map(() => 1),
    ].map(vector);
    const [x] = b.node("BatchNormalization", [input, ...parameters], {
      epsilon: { kind: "float", value: 0 },
    });
    const y = build(b, x);
    b.output(y);
    const graph = b.build();
    const grid = tensorOf(
      "float32",
      [1, channels.length, points],
      channels.flatMap(() => zs),
    );
    const got = momentsOf(analyze(graph)).get(y);
    const values = await withSession(encodeGraph(graph).chunks, {}, async ({ run }) => {
      const result = (await run(new Map([["in", grid]]))).get(y);
      return result ? toNumbers(result) : new Float64Array();
    });
    const weights = zs.map((z) => Math.exp((-z * z) / 2));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [c, [mean, deviation]] of channels.entries()) {
      const expectation = (f: (value: number) => number) =>
        weights.reduce((sum, weight, i) => sum + weight * f(values[c * points + i]), 0) / total;
      const wantMean = expectation((value) => value);
      const wantVariance = expectation((value) => (value - wantMean) ** 2);
      const scale = 1e-5 * (Math.abs(mean) + deviation);
      expect(Math.abs((got?.mean[c] ?? Number.NaN) - wantMean)).toBeLessThan(scale);
      expect(Math.abs((got?.variance[c] ?? Number.NaN) - wantVariance)).toBeLessThan(
        10 * scale * (Math.abs(mean) + deviation),
      );
    }
  });

  it("a product across places is that of independent factors, even if both come from one value", () => {
    const b = new GraphBuilder();
    const input = b.input("in", "float32", [1, 1, 4, 4]);
    const one = (value: number) => b.constant(undefined, tensorOf("float32", [1], [value]));
    const [x] = b.node("BatchNormalization", [input, one(2), one(3), one(0), one(1)]);
    const axes = b.constant(undefined, tensorOf("int64", [2], [2, 3]));
    const from = b.constant(undefined, tensorOf("int64", [2], [1, 0]));
    const to = b.constant(undefined, tensorOf("int64", [2], [4, 4]));
    const before = b.constant(undefined, tensorOf("int64", [2], [0, 0]));
    const end = b.constant(undefined, tensorOf("int64", [2], [3, 4]));
    const [below] = b.node("Slice", [x, from, to, axes]);
    const [above] = b.node("Slice", [x, before, end, axes]);
    const [y] = b.node("Mul", [below, above]);
    b.output(y);
    const got = momentsOf(analyze(b.build())).get(y);
    expect(got?.mean[0]).toBeCloseTo(9, 6);
    expect(got?.variance[0]).toBeCloseTo(16 + 2 * 4 * 9, 6);
  });
});
