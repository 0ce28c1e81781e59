/** @file Gradients of Conv and ConvTranspose in every form, against finite differences. */
import { describe, it } from "vitest";
import { expectGradient, normals } from "../../../test/support/gradient.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Row = readonly [
  what: string,
  x: readonly number[],
  w: readonly number[],
  attributes?: Attributes,
];

const convolutions: readonly Row[] = [
  ["3x3 without padding", [2, 5, 6, 7], [4, 5, 3, 3]],
  ["3x3", [2, 5, 9, 7], [4, 5, 3, 3], { pads: [1, 1, 1, 1] }],
  ["3x3, two places per image", [3, 6, 1, 2], [5, 6, 3, 3], { pads: [1, 1, 1, 1] }],
  ["uneven pads", [2, 5, 9, 7], [4, 5, 3, 2], { pads: [0, 1, 2, 0] }],
  ["more padding than kernel", [2, 5, 5, 5], [4, 5, 2, 2], { pads: [3, 2, 2, 3] }],
  ["few channels", [2, 1, 8, 8], [4, 1, 5, 5], { pads: [2, 2, 2, 2] }],
  ["few channels, stride 2", [2, 3, 9, 8], [4, 3, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["large images", [2, 4, 32, 33], [3, 4, 3, 3], { pads: [1, 1, 1, 1] }],
  ["large images, uneven", [1, 4, 36, 33], [3, 4, 3, 4], { pads: [0, 2, 1, 1] }],
  ["large images, dilated", [1, 4, 36, 36], [3, 4, 3, 3], { dilations: [2, 3] }],
  ["stride 2", [2, 5, 8, 8], [4, 5, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["stride 2, odd", [2, 5, 9, 7], [4, 5, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["places that no window reaches", [2, 5, 12, 11], [4, 5, 3, 2], { strides: [4, 5] }],
  ["dilated", [2, 5, 9, 9], [4, 5, 3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }],
  ["dilated, stride 2", [2, 5, 9, 9], [4, 5, 3, 2], { dilations: [2, 3], strides: [2, 3] }],
  ["1x1", [2, 5, 4, 4], [6, 5, 1, 1]],
  ["1x1 on large images", [2, 5, 16, 16], [6, 5, 1, 1]],
  ["1x1, stride 2", [2, 5, 7, 8], [6, 5, 1, 1], { strides: [2, 2] }],
  ["1x1 on large images, stride 2", [2, 5, 32, 33], [3, 5, 1, 1], { strides: [2, 2] }],
  ["SAME_UPPER", [2, 5, 8, 7], [4, 5, 3, 2], { auto_pad: "SAME_UPPER", strides: [2, 2] }],
  ["SAME_LOWER", [2, 5, 8, 7], [4, 5, 3, 2], { auto_pad: "SAME_LOWER", strides: [2, 2] }],
  ["VALID", [2, 5, 8, 7], [4, 5, 3, 2], { auto_pad: "VALID" }],
  ["depthwise", [2, 6, 8, 7], [6, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1] }],
  ["depthwise, stride 2", [2, 6, 8, 7], [6, 1, 3, 3], { group: 6, strides: [2, 2] }],
  ["depthwise with multiplier", [2, 6, 8, 7], [12, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1] }],
  ["2 groups", [2, 16, 6, 7], [24, 8, 3, 3], { group: 2, pads: [1, 1, 1, 1] }],
  ["narrow groups", [2, 6, 6, 7], [9, 2, 3, 3], { group: 3, dilations: [2, 1], strides: [1, 2] }],
  ["1-D", [3, 6, 17], [4, 6, 5], { pads: [2, 1], strides: [2] }],
  ["1-D, dense", [3, 6, 17], [4, 6, 3], { pads: [1, 1] }],
  ["1-D, depthwise", [3, 6, 17], [6, 1, 5], { group: 6 }],
  ["3-D", [2, 4, 5, 4, 6], [3, 4, 3, 2, 3], { pads: [1, 0, 1, 1, 1, 1] }],
  ["3-D, strided", [1, 4, 5, 6, 7], [3, 4, 3, 2, 3], { strides: [2, 2, 3] }],
  ["3-D, grouped", [1, 4, 5, 6, 5], [6, 2, 3, 3, 3], { group: 2, pads: [1, 1, 1, 1, 1, 1] }],
];

describe("Conv", () => {
  for (const [what, x, w, attributes = {}] of convolutions)
    it(what, async () => {
      await expectGradient("Conv", [normals(x), normals(w), normals([w[0]])], attributes);
    });

  it("without a bias", () =>
    expectGradient("Conv", [normals([2, 3, 6, 6]), normals([4, 3, 3, 3])]));
});

const transposed: readonly Row[] = [
  ["2x2, stride 2", [2, 5, 4, 3], [5, 4, 2, 2], { strides: [2, 2] }],
  ["3x3", [2, 5, 4, 3], [5, 4, 3, 3], { pads: [1, 1, 1, 1] }],
  ["output padding", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] }],
  ["output padding beyond the kernel", [2, 5, 4, 3], [5, 4, 2, 2], { strides: [3, 3], output_padding: [2, 1] }],
  ["output_shape", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 2], output_shape: [8, 6] }],
  ["SAME_UPPER", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 2], auto_pad: "SAME_UPPER" }],
  ["SAME_LOWER", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 2], auto_pad: "SAME_LOWER" }],
  ["VALID", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 2], auto_pad: "VALID" }],
  ["dilated", [2, 5, 4, 3], [5, 4, 3, 3], { strides: [2, 1], dilations: [1, 2], pads: [0, 1, 1, 2] }],
  ["grouped", [2, 6, 4, 3], [6, 2, 3, 3], { group: 3, strides: [2, 2] }],
  ["depthwise", [2, 6, 4, 3], [6, 1, 4, 4], { group: 6, strides: [2, 2], pads: [1, 1, 1, 1] }],
  ["1-D", [2, 6, 7], [6, 3, 4], { strides: [3] }],
  ["3-D", [2, 3, 3, 4, 3], [3, 2, 2, 2, 3], { strides: [2, 2, 1] }],
]; // biome-ignore format: a table

describe("ConvTranspose", () => {
  for (const [what, x, w, attributes = {}] of transposed)
    it(what, async () => {
      const { group = 1 } = attributes;
      const bias = normals([w[1] * Number(group)]);
      await expectGradient("ConvTranspose", [normals(x), normals(w), bias], attributes);
    });
});
