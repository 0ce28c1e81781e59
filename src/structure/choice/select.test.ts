/** @file Selection: budgets, rounding, minimum widths, patterns. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { removeUnits } from "../change/surgery.ts";
import { costModel, costOf } from "../cost/cost.ts";
import type { Removed } from "../units/removal.ts";
import { type Structure, structureOf } from "../units/units.ts";
import { type Budget, removalsInOrder, selectUnits, unscoredUnits } from "./select.ts";

/** x → conv a (16) → relu → conv b (16), added to a → conv c (12) → conv out (2). */
function network(): Structure {
  const b = new GraphBuilder("net");
  const conv = (name: string, x: string, inputs: number, filters: number): string => {
    const shape = [filters, inputs, 3, 3];
    const weight = b.constant(
      `${name}.weight`,
      tensorOf("float32", shape, new Float32Array(sizeOf(shape))),
    );
    return b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name })[0];
  };
  const a = conv("a", b.input("x", "float32", ["N", 3, 8, 8]), 3, 16);
  const [active] = b.node("Relu", [a]);
  const [sum] = b.node("Add", [conv("b", active, 16, 16), active]);
  b.output(conv("out", conv("c", sum, 16, 12), 12, 2), { dtype: "float32", shape: undefined });
  return structureOf(b.build());
}

/** Ascending scores in unit order. */
function ascending(structure: Structure): Float64Array {
  return Float64Array.from(structure.units.keys());
}

function macsBudget(structure: Structure, fraction: number): Budget {
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length)).macs;
  return { name: "macs", fraction, remaining: (removed) => totals(removed).macs / before };
}

function widths(structure: Structure, removed: Removed): Record<string, number> {
  return Object.fromEntries(
    structure.filterAxes.map(({ node, units }) => [
      node.name,
      units.filter((unit) => removed[unit] === 0).length,
    ]),
  );
}

test("the shortest prefix that meets the budget is removed, and no more", () => {
  const structure = network();
  const budget = macsBudget(structure, 0.6);
  const { removed, isReached, remaining } = selectUnits(structure, ascending(structure), [budget]);
  expect(isReached).toBe(true);
  expect(remaining.get("macs")).toBeLessThanOrEqual(0.6);
  const last = removed.lastIndexOf(1);
  const oneLess = Uint8Array.from(removed);
  oneLess[last] = 0;
  expect(budget.remaining(oneLess)).toBeGreaterThan(0.6);
});

test("the cost model agrees with the cost of the graph that surgery builds", () => {
  const structure = network();
  const { removed } = selectUnits(structure, ascending(structure), [macsBudget(structure, 0.4)]);
  const built = costOf(removeUnits(structure, removed), structure.analysis.dims);
  const { macs, params } = costModel(structure)(removed);
  expect({ macs, params }).toEqual({ macs: built.macs, params: built.params });
});

test("an unreachable budget removes the most that is legal and says so", () => {
  const structure = network();
  const scores = ascending(structure);
  const { removed, isReached } = selectUnits(structure, scores, [macsBudget(structure, 0.001)]);
  expect(isReached).toBe(false);
  expect(widths(structure, removed)).toEqual({ a: 1, b: 1, c: 1, out: 2 });
});

test.each([Number.POSITIVE_INFINITY, Number.NaN])("units that score %d stay", (unknown) => {
  const structure = network();
  const { groups } = structure;
  const scores = Float64Array.from(structure.units, ({ group, index }) =>
    groups[group].id === "c" && index % 2 === 0 ? unknown : index,
  );
  for (const rules of [{}, { roundTo: 4 }, { minWidth: 3 }]) {
    const least = [macsBudget(structure, 0.001)];
    const { removed, isReached } = selectUnits(structure, scores, least, rules);
    expect(isReached).toBe(false);
    for (const [unit, score] of scores.entries())
      if (!Number.isFinite(score)) expect(removed[unit]).toBe(0);
  }
  expect(unscoredUnits(structure, scores, {}).length).toBe(6);
  expect(unscoredUnits(structure, scores, { only: ["b"] })).toEqual([]);
});

test("auto rounds to 4 below 32 channels, to 8 from there on and to 16 from 128, convolutions only", () => {
  const b = new GraphBuilder("net");
  const weight = (name: string, shape: readonly number[]): string =>
    b.constant(name, tensorOf("float32", shape, new Float32Array(sizeOf(shape))));
  let value = b.input("x", "float32", ["N", 3, 1, 1]);
  let inputs = 3;
  for (const filters of [22, 90, 300]) {
    [value] = b.node(
      "Conv",
      [value, weight(`w${filters}`, [filters, inputs, 1, 1])],
      {},
      { name: `c${filters}` },
    );
    inputs = filters;
  }
  [value] = b.node("Flatten", [value], { axis: 1 });
  [value] = b.node("MatMul", [value, weight("hidden", [300, 50])], {}, { name: "hidden" });
  [value] = b.node("MatMul", [value, weight("last", [50, 2])], {}, { name: "last" });
  b.output(value, { dtype: "float32", shape: undefined });
  const structure = structureOf(b.build());
  for (const fraction of [0.9, 0.8, 0.65, 0.5, 0.35, 0.2]) {
    const budget = macsBudget(structure, fraction);
    const scores = randomOf(3, "scores").uniforms(structure.units.length);
    const rules = { roundTo: "auto" } as const;
    const { removed, isReached } = selectUnits(
      structure,
      Float64Array.from(scores),
      [budget],
      rules,
    );
    const { c22, c90, c300, hidden } = widths(structure, removed);
    expect(isReached).toBe(true);
    const isAllowed = (width: number, original: number) =>
      width === original || width % (width >= 128 ? 16 : width >= 32 ? 8 : 4) === 0;
    expect([isAllowed(c22, 22), isAllowed(c90, 90), isAllowed(c300, 300)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(hidden).toBeGreaterThan(0);
  }
});

test("what rounding leaves under a target comes back, the highest scores first", () => {
  const structure = network();
  const scores = ascending(structure);
  const rules = { roundTo: 4 };
  for (const fraction of [0.9, 0.75, 0.6, 0.45, 0.3]) {
    const budget = macsBudget(structure, fraction);
    const { removed, isReached } = selectUnits(structure, scores, [budget], rules);
    expect(isReached).toBe(true);
    const { choose, giveBack, count } = removalsInOrder(structure, scores, rules);
    // Nothing more fits: the outcome is its own.
    const isMet = (of: Removed) => budget.remaining(of) <= fraction;
    expect([...giveBack(removed, isMet)]).toEqual([...removed]);
    const shortest = Array.from({ length: count + 1 }, (_, i) => choose(i)).find(isMet);
    expect(budget.remaining(removed)).toBeGreaterThanOrEqual(budget.remaining(shortest ?? removed));
  }
});

test("a wide stage of a stream gets back what fits, also where a channel of all stages does not", () => {
  const b = new GraphBuilder("net");
  const conv = (name: string, x: string, inputs: number, filters: number): string => {
    const shape = [filters, inputs, 1, 1];
    const weight = b.constant(
      `${name}.weight`,
      tensorOf("float32", shape, new Float32Array(sizeOf(shape))),
    );
    return b.node("Conv", [x, weight], {}, { name })[0];
  };
  // The first stage has most of the cost: 64 positions and two layers.
  const narrow = conv("narrow", b.input("x", "float32", ["N", 3, 8, 8]), 3, 16);
  const [stream] = b.node("Add", [conv("branch", narrow, 16, 16), narrow]);
  const [small] = b.node("MaxPool", [stream], { kernel_shape: [4, 4], strides: [4, 4] });
  const pads = b.constant("pads", int64Vector([0, 0, 0, 0, 0, 16, 0, 0]));
  const [padded] = b.node("Pad", [small, pads]);
  const [wide] = b.node("Add", [conv("wide", padded, 32, 32), padded]);
  b.output(conv("out", wide, 32, 2), { dtype: "float32", shape: undefined });
  const structure = structureOf(b.build());
  // Channels of the second stage alone go first.
  const ofBoth = new Set(structure.filterAxes.find(({ node }) => node.name === "narrow")?.units);
  const scores = ascending(structure).map((score, unit) =>
    ofBoth.has(unit) ? score + 100 : score,
  );
  const budget = macsBudget(structure, 0.7);
  const { removed } = selectUnits(structure, scores, [budget], { roundTo: 4 });
  expect(widths(structure, removed)).toMatchObject({ narrow: 12, wide: 28 });
  expect(budget.remaining(removed)).toBeLessThanOrEqual(0.7);
});

test("widths come out as multiples of roundTo", () => {
  const structure = network();
  const budget = macsBudget(structure, 0.5);
  const rules = { roundTo: 4 };
  const { removed } = selectUnits(structure, ascending(structure), [budget], rules);
  const { a, b, c } = widths(structure, removed);
  expect([a % 4, b % 4, c % 4]).toEqual([0, 0, 0]);
  expect(budget.remaining(removed)).toBeLessThanOrEqual(0.5);
});

test("no axis gets narrower than minWidth", () => {
  const structure = network();
  const rules = { minWidth: 5 };
  const budget = macsBudget(structure, 0.001);
  const { removed } = selectUnits(structure, ascending(structure), [budget], rules);
  expect(widths(structure, removed)).toEqual({ a: 5, b: 5, c: 5, out: 2 });
});

test("except stream leaves residual streams alone; only names what may be cut", () => {
  const structure = network();
  const least = [macsBudget(structure, 0.001)];
  const scores = ascending(structure);
  const inner = selectUnits(structure, scores, least, { except: ["stream"] });
  expect(widths(structure, inner.removed)).toEqual({ a: 16, b: 16, c: 1, out: 2 });
  const stream = selectUnits(structure, scores, least, { only: ["b.*"] });
  expect(widths(structure, stream.removed)).toEqual({ a: 1, b: 1, c: 12, out: 2 });
});

test.each([
  {
    name: "a pattern that matches nothing",
    rules: { only: ["d*"] },
    fraction: 0.5,
    code: "PATTERN_UNMATCHED",
  },
  { name: "a target of zero", rules: {}, fraction: 0, code: "TARGET_INVALID" },
  { name: "a target above one", rules: {}, fraction: 1.5, code: "TARGET_INVALID" },
  { name: "a target that is no number", rules: {}, fraction: Number.NaN, code: "TARGET_INVALID" },
])("$name is refused", ({ rules, fraction, code }) => {
  const structure = network();
  const budget = { name: "macs", fraction, remaining: () => 1 };
  expect(() => selectUnits(structure, ascending(structure), [budget], rules)).toThrow(
    expect.objectContaining({ code }),
  );
});
