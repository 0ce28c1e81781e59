/** @file Moment rules against numeric integrals of what onnxruntime computes on a dense grid. */
import { describe, expect, it } from "vitest";
import { runOneNode } from "../../../test/support/one-node.ts";
import type { AttributeValue } from "../../ir/builder.ts";
import { type HostTensor, int64Vector, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { operatorOf } from "../index.ts";
import { attributesOf } from "./attributes.ts";
import type { Moments, TiedTensor } from "./operator.ts";

/** Channels with kinks in the middle, in the tails and far away. */
const channels = [
  { mean: 0, variance: 1 },
  { mean: 1.2, variance: 0.09 },
  { mean: -2.5, variance: 4 },
  { mean: 0.5, variance: 16 },
];
const moving: Moments = {
  mean: Float64Array.from(channels, ({ mean }) => mean),
  variance: Float64Array.from(channels, ({ variance }) => variance),
};
/** Points per channel, and standard deviations to both sides. */
const points = 16_001;
const reach = 7;
const zs = Array.from({ length: points }, (_, i) => (2 * reach * i) / (points - 1) - reach);
const grid = tensorOf(
  "float32",
  [1, channels.length, points],
  channels.flatMap(({ mean, variance }) => zs.map((z) => mean + z * Math.sqrt(variance))),
);

/** Moments of every channel of y over the grid, weighted with the normal density. */
function integrate(y: HostTensor): Moments {
  const values = toNumbers(y);
  const weights = zs.map((z) => Math.exp((-z * z) / 2));
  const total = weights.reduce((a, b) => a + b, 0);
  const expectation = (c: number, f: (value: number) => number) =>
    weights.reduce((sum, weight, i) => sum + weight * f(values[c * points + i]), 0) / total;
  const mean = Float64Array.from(channels, (_, c) => expectation(c, (value) => value));
  const variance = mean.map((m, c) => expectation(c, (value) => (value - m) ** 2));
  return { mean, variance };
}

interface Case {
  readonly op: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Constant inputs; the input that varies is "x", an independent one with the same moments "other". */
  readonly inputs: readonly ("x" | "other" | undefined | HostTensor)[];
  readonly opset?: number;
}

const x = "x" as const;

/** What the operator's rule says of its first output. */
function ruleOf({ op, attributes = {}, inputs }: Case, shape: readonly number[]) {
  const tied = (value: HostTensor | undefined): TiedTensor => ({
    name: "t",
    dtype: "float32",
    shape: value?.shape ?? grid.shape,
    value,
    isParameter: value !== undefined,
  });
  const node = {
    name: "n",
    opType: op,
    domain: "",
    inputs: inputs.map((_, i) => `i${i}`),
    outputs: ["y"],
    attributes: new Map(
      Object.entries(attributes).map(([key, value]) => {
        if (typeof value === "number")
          return [key, { kind: Number.isInteger(value) ? "int" : "float", value }] as const;
        if (typeof value === "string") return [key, { kind: "string", value }] as const;
        if ("kind" in value) return [key, value] as const;
        return [key, { kind: "ints", value }] as const;
      }),
    ),
    captures: [],
    origin: undefined,
  };
  const operator = operatorOf(node)?.operator;
  if (typeof operator?.moments !== "function") return undefined;
  return operator.moments({
    attrs: operator.attributes(attributesOf(node)),
    node,
    inputs: inputs.map((input) => input && tied(typeof input === "string" ? undefined : input)),
    outputs: [{ ...tied(undefined), shape }],
    moments: (index) => (typeof inputs[index] === "string" ? moving : undefined),
    elements(index) {
      const input = inputs[index];
      if (input === x) return moving;
      return input === "other" ? { ...moving } : undefined;
    },
    numbers(index) {
      const input = inputs[index];
      return input === undefined || typeof input === "string" ? undefined : toNumbers(input);
    },
  })[0];
}

async function expectIntegral(item: Case): Promise<void> {
  const inputs = item.inputs.map((input) => (typeof input === "string" ? grid : input));
  const [y] = await runOneNode({ ...item, inputs });
  const want = integrate(y);
  const got = ruleOf(item, y.shape);
  for (const c of channels.keys()) {
    const scale = 1 + Math.abs(want.mean[c]) + Math.sqrt(want.variance[c]);
    expect(Math.abs((got?.mean[c] ?? Number.NaN) - want.mean[c])).toBeLessThan(2e-4 * scale);
    expect(Math.abs((got?.variance[c] ?? Number.NaN) - want.variance[c])).toBeLessThan(
      1e-3 * scale ** 2,
    );
  }
}

const scalar = (value: number) => tensorOf("float32", [], [value]);
const perChannel = tensorOf("float32", [4, 1], [0.5, -2, 1.5, 0.25]);

describe("mean and variance behind", () => {
  it.each<Case>(
    [
      ...["Relu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Shrink", "Abs", "Neg", "Sign"],
      ...["Sigmoid", "Tanh", "HardSwish", "Elu", "Selu", "Celu", "Gelu", "Softplus", "Softsign"],
      ...["Mish", "Erf", "Atan", "Asinh", "Identity", "Dropout"],
    ].map((op) => ({ op, inputs: [x] })),
  )("$op", expectIntegral);

  it.each<Case>([
    { op: "LeakyRelu", inputs: [x], attributes: { alpha: 0.3 } },
    { op: "HardSigmoid", inputs: [x], attributes: { alpha: -0.4, beta: 0.7 } },
    { op: "Shrink", inputs: [x], attributes: { lambd: 1.5, bias: 0.5 } },
    { op: "Celu", inputs: [x], attributes: { alpha: 0.4 } },
    { op: "Gelu", inputs: [x], attributes: { approximate: "tanh" } },
    { op: "Clip", inputs: [x, scalar(-0.5), scalar(1.5)] },
    { op: "Clip", inputs: [x, undefined, scalar(0.5)] },
    { op: "Clip", inputs: [x, scalar(0.5)] },
    { op: "Clip", inputs: [x] },
    { op: "PRelu", inputs: [x, perChannel] },
    { op: "Add", inputs: [x, perChannel] },
    { op: "Add", inputs: [perChannel, x] },
    { op: "Sub", inputs: [perChannel, x] },
    { op: "Sub", inputs: [x, scalar(3)] },
    { op: "Mul", inputs: [x, perChannel] },
    { op: "Mul", inputs: [scalar(-2), x] },
    { op: "Div", inputs: [x, perChannel] },
    { op: "Pow", inputs: [x, scalar(2)] },
    { op: "Max", inputs: [x, perChannel] },
    { op: "Min", inputs: [scalar(0.5), x] },
    { op: "Sum", inputs: [x, perChannel, scalar(1)] },
    { op: "Mean", inputs: [x, scalar(1)] },
    { op: "Add", inputs: [x, x] },
    { op: "Sub", inputs: [x, x] },
    { op: "Mul", inputs: [x, x] },
  ])("$op $attributes, case %#", expectIntegral);

  it("Exp, where the integral converges on the grid", async () => {
    const got = ruleOf({ op: "Exp", inputs: [x] }, grid.shape);
    const want = integrate((await runOneNode({ op: "Exp", inputs: [grid] }))[0]);
    for (const c of [0, 1]) {
      expect(got?.mean[c]).toBeCloseTo(want.mean[c], 3);
      expect(got?.variance[c]).toBeCloseTo(want.variance[c], 2);
    }
  });

  it("a sum of two branches adds means and variances", () => {
    expect(ruleOf({ op: "Add", inputs: [x, "other"] }, grid.shape)).toEqual({
      mean: moving.mean.map((m) => 2 * m),
      variance: moving.variance.map((v) => 2 * v),
    });
  });

  it("a product of two branches is that of independent factors", () => {
    const got = ruleOf({ op: "Mul", inputs: [x, "other"] }, grid.shape);
    expect(got?.mean).toEqual(moving.mean.map((m) => m * m));
    expect(got?.variance).toEqual(
      moving.variance.map((v, c) => v * v + 2 * v * moving.mean[c] ** 2),
    );
  });

  it("constants that differ between positions count as variance", () => {
    const byPlace = tensorOf("float32", [2], [-1, 1]);
    const got = ruleOf({ op: "Add", inputs: [x, byPlace] }, [1, 4, 2]);
    expect(got?.mean).toEqual(moving.mean);
    expect(got?.variance).toEqual(moving.variance.map((v) => v + 1));
  });

  it("ReduceMean over positions keeps the mean; over channels nothing is known", () => {
    const attributes = { keepdims: 0 };
    const over = (axis: number): Case => ({
      op: "ReduceMean",
      inputs: [x, int64Vector([axis])],
      attributes,
    });
    expect(ruleOf(over(2), [1, 4])?.mean).toEqual(moving.mean);
    expect(ruleOf(over(-1), [1, 4])?.mean).toEqual(moving.mean);
    expect(ruleOf(over(1), [1, points])).toBeUndefined();
  });

  it.each<Case>([
    { op: "Div", inputs: [scalar(1), x] },
    { op: "Div", inputs: [x, scalar(0)] },
    { op: "Max", inputs: [x, x] },
    { op: "Pow", inputs: [x, scalar(0.5)] },
    { op: "Log", inputs: [x] },
    { op: "Softmax", inputs: [x] },
    { op: "Less", inputs: [x, x] },
  ])("$op, case %#, says that it does not know", (item) => {
    expect(ruleOf(item, grid.shape)).toBeUndefined();
  });
});
