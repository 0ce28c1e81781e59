/** @file Gradients of pools, against finite differences and, for ties, closed forms. */
import { describe, expect, it } from "vitest";
import {
  distinct,
  expectGradient,
  nodeGradients,
  normals,
  uniforms,
} from "../../../test/support/gradient.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Row = readonly [what: string, shape: readonly number[], attributes: Attributes];

// biome-ignore format: a table
const windows: readonly Row[] = [
  ["2x2 side by side", [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  ["3x3 side by side, with a rest", [2, 3, 7, 8], { kernel_shape: [3, 3], strides: [3, 3] }],
  ["2x2 side by side, ceil_mode", [2, 3, 5, 7], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }],
  ["overlapping", [2, 3, 7, 8], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ["overlapping, ceil_mode", [2, 3, 7, 8], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ["ceil_mode with pads", [2, 2, 6, 6], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 1], ceil_mode: 1 }],
  ["stride 1", [2, 3, 5, 6], { kernel_shape: [3, 2], pads: [1, 0, 1, 1] }],
  ["dilated", [2, 2, 8, 9], { kernel_shape: [2, 3], dilations: [3, 2], strides: [1, 2] }],
  ["gaps", [2, 2, 9, 8], { kernel_shape: [2, 1], strides: [3, 2] }],
  ["SAME_UPPER", [2, 3, 7, 6], { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_UPPER" }],
  ["SAME_LOWER", [2, 3, 7, 6], { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_LOWER" }],
  ["1-D", [2, 3, 9], { kernel_shape: [3], strides: [2], pads: [1, 0] }],
  ["3-D", [1, 2, 4, 5, 6], { kernel_shape: [2, 3, 2], strides: [2, 1, 2], pads: [0, 1, 0, 0, 1, 0] }],
];

describe("MaxPool", () => {
  for (const [what, shape, attributes] of windows)
    it(what, () => expectGradient("MaxPool", [distinct(shape)], attributes));

  it("with its Indices given", () =>
    expectGradient("MaxPool", [distinct([2, 3, 4, 4])], { kernel_shape: [3, 3] }, { outputs: 2 }));

  it.each([
    ["share it side by side", { kernel_shape: [2, 2], strides: [2, 2] }, [0, 1, 0, 1, 1, 1, 1, 1]],
    ["leave it to the first one", { kernel_shape: [2, 2] }, [0, 6, 0, 3, 0, 0, 0, 0]],
  ])("equal elements %s", async (_what, attributes, thirds) => {
    const x = tensorOf("float32", [1, 1, 2, 4], [1, 3, 1, 2, 3, 3, 2, 2]);
    const [dx] = await nodeGradients("MaxPool", [x], attributes);
    expect(dx?.map((g) => Math.round(g * 3))).toEqual(thirds);
  });
});

describe("AveragePool", () => {
  for (const [what, shape, attributes] of windows)
    it.each([0, 1])(`${what}, count_include_pad %d`, (count_include_pad) =>
      expectGradient("AveragePool", [normals(shape)], { ...attributes, count_include_pad }),
    );
});

describe("LpPool", () => {
  for (const [what, shape, attributes] of windows)
    it.each([1, 2, 3])(`${what}, p = %d`, (p) => {
      const x = uniforms(shape, -2, 2, { kinks: [0], margin: 0.3 });
      return expectGradient("LpPool", [x], { ...attributes, p });
    });

  it("has no slope where a window is zero", async () => {
    const x = tensorOf("float32", [1, 1, 4], [0, 0, 3, 4]);
    const attributes = { kernel_shape: [2], strides: [2] };
    const [dx] = await nodeGradients("LpPool", [x], attributes);
    expect(dx).toEqual([0, 0, Math.fround(0.6), Math.fround(0.8)]);
  });
});

describe("global pools", () => {
  it.each([[[2, 3, 4, 5]], [[2, 3, 7]], [[2, 2, 3, 2, 3]]])("of %j", async (shape) => {
    await expectGradient("GlobalAveragePool", [normals(shape)]);
    await expectGradient("GlobalMaxPool", [distinct(shape)]);
    const x = uniforms(shape, -2, 2, { kinks: [0], margin: 0.3 });
    for (const p of [1, 2, 3]) await expectGradient("GlobalLpPool", [x], { p });
  });

  it("GlobalMaxPool shares evenly between equal elements", async () => {
    const x = tensorOf("float32", [1, 1, 4], [2, 1, 2, 0]);
    expect(await nodeGradients("GlobalMaxPool", [x])).toEqual([[0.5, 0, 0.5, 0]]);
  });
});

describe("MaxUnpool", () => {
  it("gives back what was placed", () => {
    const indices = { ...int64Vector([1, 7, 8, 14]), shape: [1, 1, 2, 2] };
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    return expectGradient("MaxUnpool", [normals([1, 1, 2, 2]), indices], attributes);
  });
});
