/** @file ln Γ and ψ against values with known closed forms. */
import { describe, expect, it } from "vitest";
import { digamma, lnGamma } from "./turbo-gamma.ts";

/** Euler's constant. */
const euler = 0.5772156649015329;
const root = Math.sqrt(Math.PI);

describe("ln Γ", () => {
  it.each([
    [1, 0],
    [2, 0],
    [0.5, Math.log(root)],
    [1.5, Math.log(root / 2)],
    [2.5, Math.log((3 * root) / 4)],
    [5, Math.log(24)],
    [0.25, Math.log(3.625609908221908)],
    [11, Math.log(3628800)],
    [171, 706.5730622457874],
    [1e-3, 6.907178885383853],
  ])("of %d", (x, expected) => {
    expect(Math.abs(lnGamma(x) - expected)).toBeLessThan(1e-13 * Math.max(1, Math.abs(expected)));
  });

  it("grows by ln x from x to x + 1", () => {
    for (let x = 0.07; x < 40; x *= 1.3)
      expect(Math.abs(lnGamma(x + 1) - lnGamma(x) - Math.log(x))).toBeLessThan(1e-12);
  });
});

describe("ψ", () => {
  it.each([
    [1, -euler],
    [2, 1 - euler],
    [0.5, -euler - 2 * Math.log(2)],
    [1.5, 2 - euler - 2 * Math.log(2)],
    [0.25, -euler - Math.PI / 2 - 3 * Math.log(2)],
    [11, 1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6 + 1 / 7 + 1 / 8 + 1 / 9 + 1 / 10 - euler],
  ])("of %d", (x, expected) => {
    expect(Math.abs(digamma(x) - expected)).toBeLessThan(1e-13);
  });

  it("is the slope of ln Γ", () => {
    const step = 1e-5;
    for (let x = 0.3; x < 50; x *= 1.4) {
      const slope = (lnGamma(x + step) - lnGamma(x - step)) / (2 * step);
      expect(Math.abs(digamma(x) - slope)).toBeLessThan(1e-7);
    }
  });

  it.each([0, -1])("and ln Γ are not asked for %d", (x) => {
    expect(() => digamma(x)).toThrow(/x > 0/);
    expect(() => lnGamma(x)).toThrow(/x > 0/);
  });
});
