/** @file Gradients of Resize (linear in X: differences are exact) and of DequantizeLinear's scale. */
import { describe, it } from "vitest";
import { expectGradient, normals, uniforms } from "../../../test/support/gradient.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
const scales = (...values: number[]) => tensorOf("float32", [values.length], values);
const sizes = int64Vector;
const exactly = { step: 1, tolerance: 2e-5, check: [0] };

const coordinates = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
];
const nearestModes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
const targets = [
  [10, 12],
  [3, 4],
  [7, 3],
  [1, 9],
];

describe("Resize", () => {
  for (const coordinate_transformation_mode of [...coordinates, "tf_half_pixel_for_nn"])
    it.each(nearestModes)(
      `nearest, ${coordinate_transformation_mode}, %s`,
      async (nearest_mode) => {
        const attributes = { mode: "nearest", coordinate_transformation_mode, nearest_mode };
        for (const target of targets) {
          // The middle of 3 falls on an element exactly; what floor makes of that is up to rounding.
          const isTie =
            coordinate_transformation_mode === "half_pixel_symmetric" && target[0] === 3;
          if (!isTie) await resizedTo(target, attributes);
        }
        await expectGradient(
          "Resize",
          [normals([2, 3, 5, 6]), undefined, scales(1, 1, 2, 3)],
          attributes,
          exactly,
        );
      },
    );

  for (const mode of ["linear", "cubic"])
    it.each(coordinates)(`${mode}, %s`, async (coordinate_transformation_mode) => {
      for (const target of targets)
        await resizedTo(target, { mode, coordinate_transformation_mode });
      await expectGradient(
        "Resize",
        [normals([2, 3, 5, 6]), undefined, scales(1, 1, 1.7, 0.6)],
        { mode, coordinate_transformation_mode },
        exactly,
      );
    });

  it.each(["nearest", "linear", "cubic"])("%s, tf_crop_and_resize", (mode) =>
    expectGradient(
      "Resize",
      [
        normals([2, 3, 5, 6]),
        scales(0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2),
        undefined,
        sizes([2, 3, 4, 7]),
      ],
      { mode, coordinate_transformation_mode: "tf_crop_and_resize" },
      exactly,
    ),
  );

  it.each([
    ["cubic without what lies outside", { mode: "cubic", exclude_outside: 1 }],
    ["another cubic coefficient", { mode: "cubic", cubic_coeff_a: -0.5 }],
    ["linear, antialiased", { mode: "linear", antialias: 1 }],
    ["cubic, antialiased", { mode: "cubic", antialias: 1 }],
    [
      "cubic, antialiased, without what lies outside",
      { mode: "cubic", antialias: 1, exclude_outside: 1 },
    ],
    [
      "linear, antialiased, without what lies outside",
      { mode: "linear", antialias: 1, exclude_outside: 1 },
    ],
  ])("%s", async (_what, attributes) => {
    for (const target of targets) await resizedTo(target, attributes);
  });

  it.each([
    ["named axes", { mode: "linear", axes: [3, -2] }, sizes([9, 4])],
    [
      "not larger",
      { mode: "linear", axes: [2, 3], keep_aspect_ratio_policy: "not_larger" },
      sizes([8, 8]),
    ],
    [
      "not smaller",
      { mode: "cubic", axes: [2, 3], keep_aspect_ratio_policy: "not_smaller" },
      sizes([8, 8]),
    ],
  ])("%s", (_what, attributes, target) =>
    expectGradient(
      "Resize",
      [normals([2, 3, 5, 6]), undefined, undefined, target],
      attributes,
      exactly,
    ),
  );

  it.each(["nearest", "linear"])("%s in one and three dimensions", async (mode) => {
    const absent = undefined;
    const line = [normals([2, 3, 5]), absent, absent, sizes([2, 3, 8])];
    await expectGradient("Resize", line, { mode }, exactly);
    const space = [normals([1, 2, 3, 4, 3]), absent, absent, sizes([1, 2, 6, 5, 3])];
    await expectGradient("Resize", space, { mode }, exactly);
  });
});

async function resizedTo(target: readonly number[], attributes: Attributes): Promise<void> {
  const inputs = [normals([2, 3, 5, 6]), undefined, undefined, sizes([2, 3, ...target])];
  await expectGradient("Resize", inputs, attributes, exactly);
}

describe("DequantizeLinear", () => {
  const x = tensorOf("int8", [2, 3, 2], [1, -5, 7, 100, -128, 0, 3, 9, -2, 4, 60, -7]);
  it("scale of the tensor", () =>
    expectGradient("DequantizeLinear", [x, uniforms([], 0.1, 1), tensorOf("int8", [], [3])]));
  it("scales of an axis", () =>
    expectGradient("DequantizeLinear", [
      x,
      uniforms([3], 0.1, 1),
      tensorOf("int8", [3], [3, 0, -2]),
    ]));
  it("scales of the last axis, without zero points", () =>
    expectGradient("DequantizeLinear", [x, uniforms([2], 0.1, 1)], { axis: -1 }));
});
