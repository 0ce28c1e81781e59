/** @file Scores per saving: what a unit saves is what the network without it costs less. */
import { expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { removeUnits } from "../change/surgery.ts";
import { costModel, costOf } from "../cost/cost.ts";
import { structureOf } from "../units/units.ts";
import { perSaving } from "./per-saving.ts";
import type { Budget } from "./select.ts";

/** x → conv a (4 filters, 8 x 8) → conv b (6 filters, stride 4) → conv out (2). */
function network() {
  const b = new GraphBuilder("net");
  const conv = (name: string, x: string, inputs: number, filters: number, stride: number) => {
    const shape = [filters, inputs, 3, 3];
    const values = new Float32Array(sizeOf(shape));
    const weight = b.constant(`${name}.weight`, tensorOf("float32", shape, values));
    const attributes = { pads: [1, 1, 1, 1], strides: [stride, stride] };
    return b.node("Conv", [x, weight], attributes, { name })[0];
  };
  const a = conv("a", b.input("x", "float32", [1, 3, 8, 8]), 3, 4, 1);
  b.output(conv("out", conv("b", a, 4, 6, 4), 6, 2, 1), { dtype: "float32", shape: undefined });
  return structureOf(b.build());
}

it("divides by what the network without the unit costs less", () => {
  const structure = network();
  const totals = costModel(structure);
  const nothing = new Uint8Array(structure.units.length);
  const before = totals(nothing);
  const budget = (key: "macs" | "params"): Budget => ({
    name: key,
    fraction: 1,
    remaining: (removed) => totals(removed)[key] / before[key],
  });
  const scores = Float64Array.from(structure.units, (_, unit) => 1 + unit);
  const budgets = [budget("macs"), budget("params")];
  const ratios = perSaving(structure, scores, budgets);
  for (const { index, reason } of structure.units) {
    if (reason !== undefined) {
      expect(ratios[index]).toBe(scores[index]);
      continue;
    }
    const without = Uint8Array.from(nothing);
    without[index] = 1;
    const { macs, params } = costOf(removeUnits(structure, without), structure.analysis.dims);
    const saving = 2 - macs / before.macs - params / before.params;
    expect(ratios[index]).toBeCloseTo(scores[index] / saving, 9);
  }
});

it("of equal losses, the filter at the higher resolution goes first", () => {
  const structure = network();
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length)).macs;
  const budget = {
    name: "macs",
    fraction: 1,
    remaining: (removed: Uint8Array) => totals(removed).macs / before,
  };
  const ratios = perSaving(structure, new Float64Array(structure.units.length).fill(1), [budget]);
  const of = (layer: string) =>
    structure.filterAxes
      .find(({ node }) => node.name === layer)
      ?.units.map((unit) => ratios[unit]) ?? [];
  expect(Math.max(...of("a"))).toBeLessThan(Math.min(...of("b")));
});
