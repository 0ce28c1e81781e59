/** @file Refitting a small network: what can be exact is exact, and the rest is least squares. */
import { describe, expect, it } from "vitest";
import { chain, distance, normals, runGraph } from "../../../test/support/bn-network.ts";
import type { Graph } from "../../ir/graph.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import { removeNothing } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { applyEdits, type Edit } from "../../structure/weights/edits.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { refit } from "./refit.ts";

const x = normals([16, 2, 8, 8], "images");
const batches = [new Map([["x", x]])];

function remove({ analysis, unitsAlong, units }: Structure, channel: number) {
  const layout = analysis.layouts.get("h");
  const removed = new Uint8Array(units.length);
  if (layout) removed[unitsAlong(layout, 1)[channel]] = 1;
  return removed;
}

function cut(structure: Structure, removed: Uint8Array, edits: readonly Edit[]): Graph {
  return removeUnits(structureOf(applyEdits(structure.analysis.graph, edits)), removed);
}

/** Two filters alike, so that one channel tells the other exactly. */
function twins(options: { readonly padding: number; readonly isNormalized: boolean }): Graph {
  const filters = normals([4, 2, 3, 3], "w1", 0.3);
  if (filters.data instanceof Float32Array) filters.data.copyWithin(36, 18, 36);
  return chain({ scale: [0.5, 1, 1, 0.7], shift: [0, 0.2, 0.2, 0.1], filters, ...options });
}

describe("refitting", () => {
  it.each([
    [0, true],
    [1, true],
    [1, false],
  ])(
    "makes up exactly for a channel that another one tells: padding %d, normalized %s",
    async (padding, isNormalized) => {
      const structure = structureOf(twins({ padding, isNormalized }));
      const removed = remove(structure, 1);
      const edits = await refit(structure, removed, [], batches, { ridge: 1e-7 });
      const other = normals([4, 2, 8, 8], "other images");
      const want = await runGraph(structure.analysis.graph, other);
      expect(distance(await runGraph(cut(structure, removed, edits), other), want)).toBeLessThan(
        2e-3,
      );
      expect(distance(await runGraph(cut(structure, removed, []), other), want)).toBeGreaterThan(
        0.5,
      );
    },
  );

  it("gives the least squares: no other weights come nearer on those images", async () => {
    const graph = chain({
      scale: [1, 1, 1, 1],
      shift: [0, 0.3, -0.2, 0.1],
      isNormalized: false,
      padding: 1,
    });
    const structure = structureOf(graph);
    const removed = remove(structure, 2);
    const edits = await refit(structure, removed, [], batches, { ridge: 1e-9 });
    const want = await runGraph(graph, x);
    const loss = async (changed: readonly Edit[]) => {
      const got = await runGraph(cut(structure, removed, changed), x);
      return got.reduce((sum, y, i) => sum + (y - want[i]) ** 2, 0);
    };
    const least = await loss(edits);
    expect(least).toBeLessThan(0.8 * (await loss([])));
    for (const [k, edit] of edits.entries()) {
      for (const sign of [1, -1]) {
        const step = toNumbers(normals(edit.tensor.shape, `step ${k}`, 0.02 * sign));
        const moved = toNumbers(edit.tensor).map((v, i) => v + step[i]);
        const tensor = tensorOf("float32", edit.tensor.shape, moved);
        expect(await loss(edits.map((e) => (e === edit ? { ...e, tensor } : e)))).toBeGreaterThan(
          least,
        );
      }
    }
  });

  it("pulls towards the weights so far when it is told to", async () => {
    const structure = structureOf(twins({ padding: 1, isNormalized: true }));
    const removed = remove(structure, 1);
    const edits = await refit(structure, removed, [], batches, { ridge: 1e6 });
    const weight = edits.find(({ node, input }) => node === "conv2" && input === 1);
    const before = structure.analysis.graph.constants.get("w2")?.read();
    expect(weight && before).toBeDefined();
    if (weight && before)
      expect(distance(toNumbers(weight.tensor), toNumbers(before))).toBeLessThan(1e-4);
  });

  it("leaves a network alone that lost nothing", async () => {
    const structure = structureOf(twins({ padding: 1, isNormalized: true }));
    expect(await refit(structure, removeNothing(structure), [], batches)).toEqual([]);
  });
});
