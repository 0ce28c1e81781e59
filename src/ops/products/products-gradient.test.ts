/** @file Gradients of matrix products and normalisations, against finite differences. */
import { describe, it } from "vitest";
import { expectGradient, normals, uniforms } from "../../../test/support/gradient.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

const x = (...shape: number[]) => normals(shape, "float64");
const positive = (...shape: number[]) => uniforms(shape, 0.5, 2);

type Attributes = Readonly<Record<string, number | { kind: "float"; value: number }>>;
type Row = readonly [what: string, inputs: readonly HostTensor[], attributes?: Attributes];

// biome-ignore format: a table
const products: readonly Row[] = [
  ["matrices", [x(3, 4), x(4, 5)]],
  ["batches", [x(2, 3, 4), x(2, 4, 5)]],
  ["a batch with one matrix", [x(2, 2, 3, 4), x(4, 5)]],
  ["one matrix with a batch", [x(3, 4), x(2, 4, 5)]],
  ["batches that broadcast", [x(2, 1, 3, 4), x(5, 4, 2)]],
  ["a vector with a matrix", [x(4), x(4, 5)]],
  ["a batch with a vector", [x(2, 3, 4), x(4)]],
  ["vectors", [x(4), x(4)]],
  ["a vector with a batch", [x(4), x(2, 4, 5)]],
];

describe("MatMul", () => {
  for (const [what, inputs] of products) it(what, () => expectGradient("MatMul", inputs));
});

// biome-ignore format: a table
const gemms: readonly Row[] = [
  ["plain", [x(3, 4), x(4, 5)]],
  ["a bias row", [x(3, 4), x(4, 5), x(5)]],
  ["a column", [x(3, 4), x(4, 5), x(3, 1)], { beta: 2 }],
  ["a scalar", [x(3, 4), x(4, 5), x()], { beta: { kind: "float", value: 0.5 } }],
  ["transA", [x(4, 3), x(4, 5), x(3, 5)], { transA: 1, alpha: { kind: "float", value: 0.5 } }],
  ["transB", [x(3, 4), x(5, 4), x(1, 5)], { transB: 1, alpha: { kind: "float", value: -2 } }],
  ["both", [x(4, 3), x(5, 4), x(5)], { transA: 1, transB: 1 }],
];

describe("Gemm", () => {
  for (const [what, inputs, attributes = {}] of gemms) {
    const floats = Object.entries(attributes).map(([name, value]) =>
      name === "beta" && typeof value === "number"
        ? [name, { kind: "float", value }]
        : [name, value],
    );
    it(what, () => expectGradient("Gemm", inputs, Object.fromEntries(floats)));
  }
});

describe("BatchNormalization", () => {
  const vectors = (...shape: number[]) => [
    normals(shape),
    normals([shape[1]], "float32", "scale"),
    normals([shape[1]], "float32", "shift"),
    normals([shape[1]], "float32", "mean"),
    positive(shape[1]),
  ];
  const training = (momentum: number) =>
    ({ training_mode: 1, momentum: { kind: "float", value: momentum } }) as const;

  it("by running statistics", () => expectGradient("BatchNormalization", vectors(3, 4, 5, 2)));
  it("of a matrix", () => expectGradient("BatchNormalization", vectors(5, 4)));
  it.each([0, 0.9, 0.99])("by batch statistics, momentum %d", (momentum) =>
    expectGradient("BatchNormalization", vectors(4, 3, 5, 2), training(momentum), {
      outputs: 3,
      through: [0],
      check: [0, 1, 2],
    }),
  );
});

// biome-ignore format: a table
const norms: readonly (readonly [op: string, what: string, inputs: readonly HostTensor[], attributes?: Readonly<Record<string, number | { kind: "float"; value: number }>>])[] = [
  ["InstanceNormalization", "of images", [normals([2, 3, 4, 5]), positive(3), normals([3])]],
  ["InstanceNormalization", "1-D, with a large epsilon", [normals([2, 3, 6]), positive(3), normals([3])], { epsilon: { kind: "float", value: 0.3 } }],
  ["GroupNormalization", "2 groups", [normals([2, 6, 3, 2]), positive(6), normals([6])], { num_groups: 2 }],
  ["GroupNormalization", "1 group", [normals([2, 4, 5]), positive(4), normals([4])], { num_groups: 1 }],
  ["LayerNormalization", "the last axis", [normals([3, 4, 6]), positive(6), normals([6])]],
  ["LayerNormalization", "two axes, without a shift", [normals([3, 4, 6]), positive(4, 6)], { axis: 1 }],
  ["LayerNormalization", "two axes, one scale along the last", [normals([3, 4, 6]), positive(6), normals([4, 1])], { axis: -2 }],
  ["LRN", "5 channels", [normals([2, 7, 3, 2])], { size: 5, alpha: { kind: "float", value: 0.7 } }],
  ["LRN", "3 channels, all attributes", [normals([2, 7, 3, 1])], { size: 3, alpha: { kind: "float", value: 0.9 }, beta: { kind: "float", value: 0.5 }, bias: { kind: "float", value: 2 } }],
];

describe("normalisations", () => {
  for (const [op, what, inputs, attributes = {}] of norms)
    it(`${op}: ${what}`, () => expectGradient(op, inputs, attributes));

  // RMSNormalization is of opset 23.
  it.each([-1, 1])("RMSNormalization over axis %d and those behind it", (axis) => {
    const inputs = [normals([3, 4, 6]), positive(...(axis === 1 ? [4, 6] : [6]))];
    return expectGradient("RMSNormalization", inputs, { axis }, { opset: 23 });
  });
});
