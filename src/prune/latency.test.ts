/** @file What a removal should leave of the time, when the times of all layers are known. */
import { expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { removeNothing } from "../structure/units/removal.ts";
import { structureOf } from "../structure/units/units.ts";
import { latencyModel, pruneToLatency } from "./latency.ts";

const model = readModel(residualNetwork());
const structure = structureOf(model.graph);

/** Half of the channels between the two convolutions of the first block. */
function halfOfBlock() {
  const removed = removeNothing(structure);
  const group = structure.groups.find(({ id }) => id === "block0.a");
  for (const unit of group?.units.slice(0, 4) ?? []) removed[unit] = 1;
  return removed;
}

it("is all of it while nothing goes", () => {
  const remaining = latencyModel(
    structure,
    new Map([
      ["stem", 3],
      ["relu", 1],
    ]),
  );
  expect(remaining(removeNothing(structure))).toBe(1);
});

it("scales with the multiply-accumulates of a convolution, on both its sides", () => {
  const times = new Map([
    ["stem", 1],
    ["block0.a", 2],
    ["block0.b", 1],
  ]);
  expect(latencyModel(structure, times)(halfOfBlock())).toBeCloseTo((1 + 1 + 0.5) / 4, 12);
});

it("scales with the elements where nothing is multiplied", () => {
  const times = new Map([
    ["stem", 1],
    ["block0.relu", 3],
  ]);
  expect(latencyModel(structure, times)(halfOfBlock())).toBeCloseTo((1 + 1.5) / 4, 12);
});

it("knows kernels that are named after what they compute, and leaves out what belongs to no node", () => {
  const [name] = model.graph.nodes.find((node) => node.name === "block0.a")?.outputs ?? [];
  const times = new Map([
    [`${name}_nchwc`, 1],
    ["ReorderInput", 5],
  ]);
  expect(latencyModel(structure, times)(halfOfBlock())).toBe(0.5);
});

it("measures what it reached, and says so when that is not enough", async () => {
  const rounds: number[] = [];
  const pruned = await pruneToLatency(
    readModel(residualNetwork({ width: 16, side: 16 })),
    { method: "magnitude", rules: { minWidth: 12 } },
    { fraction: 0.01, seconds: 0.2, threads: 1, onRound: ({ round }) => rounds.push(round) },
  );
  expect(pruned.isReached).toBe(false);
  const { ratio } = pruned.latency;
  expect(ratio).toBeGreaterThan(0.01);
  expect(pruned.missed).toEqual([{ target: "latency", asked: 0.01, reached: ratio }]);
  // The estimate is no longer spoken of.
  expect(pruned.notes).toEqual([]);
  expect(pruned.latency.ci95[0]).toBeLessThanOrEqual(pruned.latency.ratio);
  expect(rounds).toEqual([0, 1]);
  expect(pruned.after.macs).toBeLessThan(pruned.before.macs);
});
