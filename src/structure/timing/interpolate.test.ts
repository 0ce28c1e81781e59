/** @file Times between widths: exact at points, monotone where the points are, and with the steps of blocks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { alignmentOf, interpolate, interpolateGrid } from "./interpolate.ts";
import { widthPoints } from "./width-points.ts";

const someWidths = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), {
  minLength: 1,
  maxLength: 12,
});
const ascending = someWidths.map((list) => list.sort((a, b) => a - b));

describe("interpolate", () => {
  it("gives what was measured at every point, and nothing below 0 between", () => {
    fc.assert(
      fc.property(
        ascending,
        fc.infiniteStream(fc.double({ min: 0, max: 10, noNaN: true })),
        (widths, times) => {
          const values = widths.map(() => times.next().value);
          for (const [i, width] of widths.entries())
            expect(interpolate({ widths, values }, width)).toBe(values[i]);
          for (let width = 1; width <= 320; width++)
            expect(interpolate({ widths, values }, width)).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });

  it("is monotone over the multiples that carry the line, where the points are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (steps) => {
          const widths = [16, 32, 48, 64];
          let sum = 0;
          const values = steps.map((step) => {
            sum += step;
            return sum;
          });
          const at = (width: number) => interpolate({ widths, values }, width);
          for (let width = 16; width < 96; width += 16)
            expect(at(width + 16)).toBeGreaterThanOrEqual(at(width) - 1e-12);
        },
      ),
    );
  });

  // Closed forms of what engines do: blocks of 8 or 16 that are padded, and another kernel off the multiples of 4.
  it.each([
    { name: "blocks of 8", block: 8 },
    { name: "blocks of 16", block: 16 },
  ])("knows the times of $name everywhere from the points of a layer", ({ block }) => {
    const truth = (width: number) => 0.1 + Math.ceil(width / block) * block * 0.01;
    const widths = widthPoints(128);
    const values = widths.map(truth);
    for (let width = 16; width <= 128; width++) {
      const error = Math.abs(interpolate({ widths, values }, width) - truth(width));
      expect(error, `width ${width}`).toBeLessThanOrEqual(width % 8 === 0 ? 1e-9 : block * 0.01);
    }
  });

  it("knows a kernel that is twice as slow off the multiples of 4", () => {
    const truth = (width: number) => width * (width % 4 === 0 ? 0.01 : 0.02);
    const widths = widthPoints(96);
    const values = widths.map(truth);
    for (let width = 40; width <= 96; width++)
      expect(Math.abs(interpolate({ widths, values }, width) / truth(width) - 1)).toBeLessThan(0.1);
    expect(interpolate({ widths, values }, 63)).toBeGreaterThan(
      interpolate({ widths, values }, 80),
    );
  });
});

it("a grid is exact at its points and bilinear between multiples", () => {
  const rows = [16, 32, 48];
  const columns = [16, 32, 64];
  const truth = (i: number, o: number) => 1 + 2 * i + 3 * o + 0.5 * i * o;
  const values = rows.map((i) => columns.map((o) => truth(i, o)));
  for (const i of [16, 32, 48, 64])
    for (const o of [16, 32, 48, 64])
      expect(interpolateGrid(rows, columns, values, [i, o])).toBeCloseTo(truth(i, o), 9);
});

it.each([
  [32, 16],
  [24, 8],
  [12, 4],
  [6, 1],
  [7, 1],
])("%d is a multiple of %d", (width, alignment) => {
  expect(alignmentOf(width)).toBe(alignment);
});

describe("widthPoints", () => {
  it.each([1, 3, 4, 8, 10, 16, 24, 32, 58, 64, 100, 256, 512])(
    "of %d ascend up to it, are a dozen at most, and have every kind of multiple",
    (width) => {
      const points = widthPoints(width);
      expect(points.at(-1)).toBe(width);
      expect([...new Set(points)].sort((a, b) => a - b)).toEqual(points);
      expect(points.length).toBeLessThanOrEqual(12);
      if (width >= 64) expect(new Set(points.map(alignmentOf))).toEqual(new Set([1, 4, 8, 16]));
    },
  );
});
