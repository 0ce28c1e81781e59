/** @file The search against trying every k. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Found, largestWithin, type SearchOptions } from "./search.ts";

/** A drop for each k = 1..count, at index k - 1. */
type Curve = readonly number[];

/** The largest k that is within the tolerance, found by trying all. */
function exhaustive(curve: Curve, tolerance: number): number {
  return curve.findLastIndex((drop) => drop <= tolerance) + 1;
}

function search(curve: Curve, tolerance: number, options?: SearchOptions): Promise<Found> {
  return largestWithin(curve.length, async (k) => curve[k - 1] <= tolerance, options);
}

const drops = fc.array(fc.integer({ min: -20, max: 100 }), { maxLength: 300, size: "max" });
const monotone = drops.map((values) => values.toSorted((a, b) => a - b));
const tolerance = fc.integer({ min: -30, max: 110 });
const start = fc.option(fc.integer({ min: -2, max: 320 }), { nil: undefined });

describe("largestWithin", () => {
  it("finds what trying all finds, on monotone curves, from any start", async () => {
    await fc.assert(
      fc.asyncProperty(monotone, tolerance, start, async (curve, tol, from) => {
        const { k } = await search(curve, tol, { start: from });
        expect(k).toBe(exhaustive(curve, tol));
      }),
    );
  });

  it("asks 2 log₂ n + 1 times at most, once per k, and only within 1..n", async () => {
    await fc.assert(
      fc.asyncProperty(drops, tolerance, start, async (curve, tol, from) => {
        const asked = (await search(curve, tol, { start: from })).evaluations.map(({ k }) => k);
        const bound = 2 * Math.log2(Math.max(1, curve.length)) + 1;
        expect(asked.length).toBeLessThanOrEqual(bound);
        expect(new Set(asked).size).toBe(asked.length);
        expect(asked.every((k) => k >= 1 && k <= curve.length)).toBe(true);
      }),
    );
  });

  it("asks few times where the start is near", async () => {
    const curve = Array.from({ length: 4096 }, (_, i) => i + 1);
    expect((await search(curve, 1003, { start: 1000 })).evaluations.length).toBeLessThanOrEqual(6);
    expect((await search(curve, 997, { start: 1000 })).evaluations.length).toBeLessThanOrEqual(6);
    expect((await search(curve, 4096, { start: 4096 })).evaluations).toHaveLength(1);
  });

  it("returns what it found within, with k + 1 found not to be, on any curve", async () => {
    await fc.assert(
      fc.asyncProperty(drops, tolerance, start, async (curve, tol, from) => {
        const { k, evaluations } = await search(curve, tol, { start: from });
        if (k > 0) expect(evaluations).toContainEqual({ k, isWithin: true });
        if (k < curve.length) expect(evaluations).toContainEqual({ k: k + 1, isWithin: false });
      }),
    );
  });

  it("gives no less for a larger tolerance, on monotone curves", async () => {
    await fc.assert(
      fc.asyncProperty(monotone, tolerance, tolerance, start, async (curve, a, b, from) => {
        const strict = await search(curve, Math.min(a, b), { start: from });
        const loose = await search(curve, Math.max(a, b), { start: from });
        expect(loose.k).toBeGreaterThanOrEqual(strict.k);
      }),
    );
  });

  it("does the same again", async () => {
    const curve = [0, 0, 3, 1, 2, 5, 4, 4, 9];
    expect(await search(curve, 4)).toEqual(await search(curve, 4));
  });

  it("gives 0 for nothing to remove, and asks nothing", async () => {
    expect(await search([], 1)).toEqual({ k: 0, evaluations: [] });
  });

  it("lets an error of the test through", async () => {
    const failing = largestWithin(9, async () => {
      throw new Error("out of disk");
    });
    await expect(failing).rejects.toThrow("out of disk");
  });
});
