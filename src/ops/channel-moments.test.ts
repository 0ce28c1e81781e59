/**
 * @file Moment rules of operators that mix channels or positions, against the statistics of what
 * onnxruntime computes from independent normal inputs.
 */
import { expect, test } from "vitest";
import { oneNodeGraph, runOneNode } from "../../test/support/one-node.ts";
import type { AttributeValue } from "../ir/builder.ts";
import {
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { operatorOf } from "./index.ts";
import type { Moments, TiedTensor } from "./operator/operator.ts";

const shape = [400, 4, 12, 12];
const moving: Moments = {
  mean: Float64Array.of(0, 1.5, -2, 0.5),
  variance: Float64Array.of(1, 0.25, 4, 2),
};

/** Independent normal elements, each channel with its own mean and variance. */
function normals(shape: readonly number[]): HostTensor {
  const random = randomOf(1, "moments");
  const inner = sizeOf(shape.slice(2));
  const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
    const channel = Math.floor(i / inner) % shape[1];
    return moving.mean[channel] + Math.sqrt(moving.variance[channel]) * random.normal();
  });
  return tensorOf("float32", shape, values);
}

/** Arbitrary weights of either sign. */
const weights = (...shape: number[]) =>
  tensorOf(
    "float32",
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7) % 11) / 8 - 0.5),
  );
const reals = (...values: number[]) => tensorOf("float32", [values.length], values);
const int64 = (...values: number[]) => int64Vector(values);

interface Case {
  readonly op: string;
  /** Inputs behind the one that varies. */
  readonly rest: readonly (HostTensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly outputs?: number;
  readonly shape?: readonly number[];
}

const cases: readonly Case[] = [
  { op: "Conv", rest: [weights(3, 4, 1, 1), weights(3)] },
  { op: "Conv", rest: [weights(3, 4, 3, 2)], attributes: { strides: [3, 2] } },
  { op: "Conv", rest: [weights(6, 2, 1, 1)], attributes: { group: 2 } },
  { op: "Conv", rest: [weights(8, 1, 2, 2)], attributes: { group: 4, strides: [2, 2] } },
  {
    op: "ConvTranspose",
    rest: [weights(4, 3, 2, 2), weights(3)],
    attributes: { strides: [2, 2] },
  },
  { op: "ConvTranspose", rest: [weights(4, 3, 1, 1)], attributes: { group: 2 } },
  { op: "Gemm", rest: [weights(4, 5), weights(5)], shape: [40_000, 4] },
  {
    op: "Gemm",
    rest: [weights(5, 4), weights(5)],
    attributes: { transB: 1, alpha: 0.5, beta: 1.5 },
    shape: [40_000, 4],
  },
  { op: "MatMul", rest: [weights(4, 5)], shape: [40_000, 4] },
  // Its input has just the statistics that it remembers.
  {
    op: "BatchNormalization",
    rest: [
      reals(1, -2, 0.5, 3),
      reals(0, 1, 2, -1),
      reals(...moving.mean),
      reals(...moving.variance),
    ],
  },
  { op: "InstanceNormalization", rest: [reals(1, -2, 0.5, 3), reals(0, 1, 2, -1)] },
  { op: "MaxPool", rest: [], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
  { op: "AveragePool", rest: [], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
  { op: "GlobalAveragePool", rest: [] },
  { op: "Flatten", rest: [], shape: [10_000, 4, 2] },
  { op: "Reshape", rest: [int64(0, 8, -1)] },
  { op: "Transpose", rest: [], attributes: { perm: [0, 1, 3, 2] } },
  { op: "Split", rest: [int64(1, 3)], attributes: { axis: 1 }, outputs: 2 },
  { op: "Slice", rest: [int64(-1), int64(-5), int64(1), int64(-2)] },
  { op: "Gather", rest: [int64(3, 0, 0)], attributes: { axis: 1 } },
  { op: "Pad", rest: [int64(0, 1, 0, 0, 0, 2, 0, 0), tensorOf("float32", [], [1.5])] },
  { op: "Pad", rest: [int64(-1, 1), undefined, int64(1)] },
  { op: "Tile", rest: [int64(1, 2, 1, 1)] },
  { op: "Expand", rest: [int64(1, 1, 1, 1)] },
  { op: "Resize", rest: [undefined, reals(1, 1, 2, 2)] },
  { op: "SpaceToDepth", rest: [], attributes: { blocksize: 2 } },
  { op: "DepthToSpace", rest: [], attributes: { blocksize: 2 } },
];

test.each(cases)("$op $attributes", async ({ op, rest, attributes = {}, outputs = 1, ...item }) => {
  const x = normals(item.shape ?? shape);
  const node = { op, inputs: [x, ...rest], attributes, outputs };
  const results = await runOneNode(node);
  const { graph } = oneNodeGraph(node);
  const bound = operatorOf(graph.nodes[0]);
  if (typeof bound?.operator.moments !== "function") throw new Error(`${op} has a moment rule`);
  const tied = (tensor: HostTensor, isParameter: boolean): TiedTensor => ({
    name: "t",
    dtype: tensor.dtype,
    shape: tensor.shape,
    value: isParameter ? tensor : undefined,
    isParameter,
  });
  const rules = bound.operator.moments({
    attrs: bound.attrs,
    node: graph.nodes[0],
    inputs: [tied(x, false), ...rest.map((tensor) => tensor && tied(tensor, true))],
    outputs: results.map((tensor) => tied(tensor, false)),
    moments: (i) => (i === 0 ? moving : undefined),
    elements: (i) => (i === 0 ? moving : undefined),
    numbers: (i) => {
      const tensor = i === 0 ? undefined : rest[i - 1];
      return tensor && toNumbers(tensor);
    },
  });
  expect(rules).toHaveLength(outputs);
  for (const [i, result] of results.entries()) expectStatistics(rules[i], result);
});

/** Within five standard errors of what is sampled. */
function expectStatistics(rule: Moments | undefined, y: HostTensor): void {
  const values = toNumbers(y);
  const channels = y.shape[1];
  const inner = sizeOf(y.shape.slice(2));
  expect(rule?.mean).toHaveLength(channels);
  for (let c = 0; c < channels; c++) {
    const own = values.filter((_, i) => Math.floor(i / inner) % channels === c);
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length;
    const [expected, spread] = [rule?.mean[c] ?? Number.NaN, rule?.variance[c] ?? Number.NaN];
    // Neighbouring elements may share inputs (a block that is copied, say): allow for a few.
    const samples = own.length / 8;
    expect(Math.abs(mean - expected)).toBeLessThan(1e-6 + 5 * Math.sqrt(spread / samples));
    expect(Math.abs(variance - spread)).toBeLessThan(1e-6 + 5 * spread * Math.sqrt(2 / samples));
  }
}
