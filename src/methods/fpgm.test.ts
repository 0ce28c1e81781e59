/** @file Method `fpgm`: the distances of filters against their definition, filters that are all but the same among them. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../tensor/random.ts";
import { distanceSums } from "./fpgm.ts";

/** Σ over rows b of |a - b|, one after the other. */
function sumsByDefinition(rows: Float64Array, width: number): number[] {
  const length = rows.length / width;
  const row = (a: number) => [...rows.subarray(a * length, (a + 1) * length)];
  return Array.from({ length: width }, (_, a) => {
    const distances = Array.from({ length: width }, (_, b) =>
      Math.hypot(...row(a).map((x, i) => x - row(b)[i])),
    );
    return distances.reduce((sum, distance) => sum + distance, 0);
  });
}

describe("the sums of distances", () => {
  it.each([
    [1, 9],
    [5, 1],
    [24, 27],
    [40, 90],
  ])("are those of the definition for %d rows of %d numbers", (width, length) => {
    const rows = Float64Array.from(randomOf(1, width, length).normals(width * length));
    const want = sumsByDefinition(rows, width);
    for (const [a, sum] of distanceSums(rows, width).entries())
      expect(Math.abs(sum - want[a])).toBeLessThanOrEqual(1e-12 * want[a]);
  });

  it("keep their digits where rows are copies of each other, or nearly", () => {
    const length = 64;
    const own = randomOf(2).normals(length);
    const shifts = [0, 0, 1e-9, 1e-6, 1e-3, 0.02];
    const rows = Float64Array.from({ length: shifts.length * length }, (_, i) =>
      i % length === 0 ? own[0] + shifts[Math.floor(i / length)] : own[i % length],
    );
    const want = sumsByDefinition(rows, shifts.length);
    for (const [a, sum] of distanceSums(rows, shifts.length).entries())
      expect(sum / want[a]).toBeCloseTo(1, 11);
  });
});
