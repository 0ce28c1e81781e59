/** @file Elementary functions against their values to hundreds of digits, and at the ends of their domains. */
import { describe, expect, it } from "vitest";
import { exact, exactLength, exactPower, unitsOff } from "../../test/support/exact.ts";
import * as elementary from "./elementary.ts";
import { randomOf } from "./random.ts";
import * as trigonometry from "./trigonometry.ts";

const { exp, expm1, log, log1p, log2, pow, hypot, sinh, cosh, tanh, asinh, acosh, atanh } =
  elementary;
const { sin, cos, tan, asin, acos, atan } = trigonometry;

/** Numbers of both signs whose sizes are spread evenly over powers of two. */
function numbers(count: number, from: number, to: number): readonly number[] {
  const random = randomOf(7, "elementary", from, to);
  return Array.from({ length: count }, () => {
    const size = 2 ** (from + (to - from) * random.uniform());
    return random.uniform() < 0.5 ? size : -size;
  });
}

const positive = (values: readonly number[]) => values.map(Math.abs);
const within = (values: readonly number[], limit: number) =>
  values.filter((x) => Math.abs(x) < limit);

/** Numbers next to 1, to reduction's borders, and to multiples of π/2, where digits cancel. */
const near = [0.9999999999999999, 1.0000000000000002, Math.SQRT1_2, Math.SQRT2, 0.98, 1.02];
const turns = [1, 2, 3, 11, 355, 1e6].flatMap((k) => [(k * Math.PI) / 2, k * 0.785398]);
/** The double that is nearest to a multiple of π/2 (Muller, "Elementary Functions", chapter 11). */
const closest = 6381956970095103 * 2 ** 797;

const spread = numbers(400, -60, 9);

const cases: readonly (readonly [string, (x: number) => number, readonly number[]])[] = [
  ["exp", exp, [...within(spread, 700), 709.7, -708.3, -740, -744.5]],
  ["expm1", expm1, [...within(spread, 700), 709.7, 0.0108, -0.0109, 1e-300]],
  ["log", log, [...positive(spread), ...near, 5e-324, 1e-310, 1e300, 1.7976931348623157e308]],
  ["log1p", log1p, [...within(spread, 1), ...positive(spread), -0.9999999, 1e300, 1e-300]],
  ["log2", log2, [...positive(spread), ...near, 3, 5e-324, 1e300]],
  ["sinh", sinh, [...within(spread, 700), 710.2, -710.2, 39.9, 40.1]],
  ["cosh", cosh, [...within(spread, 700), 710.2, -710.2, 39.9, 40.1]],
  ["tanh", tanh, [...within(spread, 700), 0.0054, 39.9, 40.1]],
  ["asinh", asinh, [...spread, 1e15, 1e20, 1e100]],
  ["acosh", acosh, [...positive(spread).map((x) => 1 + x), 1.0000000000000002, 1e15, 1e20, 1e100]],
  ["atanh", atanh, [...within(spread, 1), 0.9999999999999999, -0.5]],
  ["sin", sin, [...spread, ...turns, 1e15, 1048575.9, 1048576.1, 1e22, closest, -1e300]],
  ["cos", cos, [...spread, ...turns, 1e15, 1048575.9, 1048576.1, 1e22, closest, -1e300]],
  ["tan", tan, [...spread, ...turns, 1e15, 1048575.9, 1048576.1, 1e22, closest, -1e300]],
  ["asin", asin, [...within(spread, 1), 0.9999999999999999, -Math.SQRT1_2]],
  ["acos", acos, [...within(spread, 1), 0.9999999999999999, -0.9999999999999999]],
  ["atan", atan, [...spread, ...near, 1e15, 1e19, 1e300]],
];

describe("to the last place", () => {
  it.each(cases)("%s is within one unit of the exact value", (name, own, values) => {
    expect(values.length).toBeGreaterThan(20);
    const off = values.map((x) => ({ x, off: unitsOff(own(x), exact[name](x)) }));
    expect(off.filter(({ off }) => !(off <= 1))).toEqual([]);
  });

  it("pow is within one unit of the exact value", () => {
    const bases = positive(numbers(200, -30, 30));
    const exponents = numbers(200, -10, 4);
    const off = bases.map((base, i) => ({
      base,
      exponent: exponents[i],
      off: unitsOff(pow(base, exponents[i]), exactPower(base, exponents[i])),
    }));
    expect(off.filter(({ off }) => !(off <= 1))).toEqual([]);
  });

  it("hypot is within one unit of the exact value", () => {
    const pairs = numbers(200, -300, 300).map((a, i) => [a, a * numbers(200, -30, 30)[i]] as const);
    const off = pairs.map(([a, b]) => unitsOff(hypot(a, b), exactLength(a, b)));
    expect(Math.max(...off)).toBeLessThanOrEqual(1);
  });

  it("whole results come out whole", () => {
    expect([pow(3, 4), pow(10, 15), pow(2, -1074), pow(-2, 3), pow(49, 0.5)]).toEqual([
      ...[81, 1e15, 5e-324, -8, 7],
    ]);
    expect([
      log2(8),
      log2(2 ** -1074),
      log2(2 ** 1023),
      hypot(3, 4),
      hypot(-5 * 2 ** 900, 12 * 2 ** 900),
    ]).toEqual([3, -1074, 1023, 5, 13 * 2 ** 900]);
  });
});

describe("at the ends", () => {
  const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

  /** What `Math` gives there is exact in every engine. */
  it.each(cases.map(([name, own]) => [name, own] as const))("%s is as Math has it", (name, own) => {
    const mathematics: Readonly<Record<string, unknown>> = Object.fromEntries(
      Object.getOwnPropertyNames(Math).map((key) => [key, Reflect.get(Math, key)]),
    );
    const theirs = mathematics[name];
    if (typeof theirs !== "function") throw new Error(name);
    for (const x of [0, -0, 1, -1, inf, -inf, nan, 1e5, -1e5, 2, -2, 1e-320]) {
      const [got, want]: [number, number] = [own(x), theirs(x)];
      const isExact = [0, inf].includes(Math.abs(want)) || Number.isNaN(want);
      if (isExact) expect([x, got]).toEqual([x, want]);
      else expect(Math.abs(got - want)).toBeLessThanOrEqual(Math.abs(want) * 2 ** -51);
    }
  });

  it.each([
    [2, nan, nan],
    [nan, 0, 1],
    [1, nan, 1],
    [1, inf, 1],
    [-1, inf, 1],
    [0.5, inf, 0],
    [2, -inf, 0],
    [-2, inf, inf],
    [0, 3, 0],
    [-0, 3, -0],
    [-0, -3, -inf],
    [0, -2, inf],
    [inf, -1, 0],
    [-inf, 3, -inf],
    [-inf, 2, inf],
    [-inf, 0.5, inf],
    [-8, 1 / 3, nan],
    [2, 1024, inf],
    [2, -1080, 0],
    [0.9999999999999999, 1e300, 0],
    [1.0000000000000002, -1e300, 0],
  ])("pow(%d, %d) is %d, as in C", (base, exponent, want) => {
    expect(pow(base, exponent)).toBe(want);
  });

  it("hypot takes what is too large to be squared, and infinities", () => {
    expect([hypot(0, -0), hypot(-inf, 1), hypot(5e-324, 0), hypot(1e308, 1e308)]).toEqual([
      ...[0, inf, 5e-324, 1.4142135623730951e308],
    ]);
    expect(hypot(1, nan)).toBeNaN();
  });
});

describe("exponents", () => {
  it.each([
    [1, 0],
    [0.75, -1],
    [-1023.9999999999999, 9],
    [1024, 10],
    [5e-324, -1074],
    [1.7976931348623157e308, 1023],
  ])("of %d is %i", (value, exponent) => {
    expect(elementary.exponentOf(value)).toBe(exponent);
    expect(elementary.exponentOf(value * (value < 1e-300 ? 1 : -1))).toBe(exponent);
  });

  it("make powers of two", () => {
    expect([-1022, -1, 0, 1, 1023].map(elementary.powerOfTwo)).toEqual([
      ...[2 ** -1022, 0.5, 1, 2, 2 ** 1023],
    ]);
  });
});
