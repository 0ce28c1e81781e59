/** @file Pruning to a latency: by a table of this machine, confirmed; by one from elsewhere, estimated. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { perSaving } from "../structure/choice/per-saving.ts";
import type { CostTable, LayerTimes } from "../structure/timing/cost-table.ts";
import { timeModel } from "../structure/timing/time-model.ts";
import { timedNodes } from "../structure/timing/timed-layers.ts";
import { removeNothing } from "../structure/units/removal.ts";
import { structureOf } from "../structure/units/units.ts";
import { latencyBudget, pruneToLatency } from "./latency.ts";
import { prune } from "./prune.ts";
import { partsOf } from "./pruned.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-latency-"));
  vi.stubEnv("XDG_CACHE_HOME", folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it("measures what it reached, and says so when that is not enough", async () => {
  const rounds: number[] = [];
  const shares: number[] = [];
  const { latency, ...pruned } = await pruneToLatency(
    readModel(residualNetwork({ width: 16, side: 16 })),
    { method: "magnitude", rules: { minWidth: 12, roundTo: 1 } },
    {
      fraction: 0.01,
      seconds: 0.2,
      threads: 1,
      onRound: ({ round }) => rounds.push(round),
      onCosts: ({ done, total }) => shares.push(done / total),
    },
  );
  expect(pruned.isReached).toBe(false);
  expect(latency?.ratio).toBeGreaterThan(0.01);
  expect(pruned.missed).toEqual([{ target: "latency", asked: 0.01, reached: latency?.ratio }]);
  // The estimate is no longer spoken of.
  expect(pruned.notes).toEqual([]);
  expect(latency?.ci95[0]).toBeLessThanOrEqual(latency?.ratio ?? 0);
  expect(rounds).toEqual([0, 1]);
  expect(shares.at(-1)).toBe(1);
  expect(pruned.after.macs).toBeLessThan(pruned.before.macs);
}, 60_000);

/** A device that computes blocks of channels: a table of closed form for the layers of a network. */
function blocksOf(block: number, model: ReturnType<typeof readModel>): CostTable {
  const widths = Array.from({ length: 32 }, (_, i) => i + 1);
  const blocks = (width: number) => Math.ceil(width / block);
  const { layers } = timedNodes(structureOf(model.graph));
  return {
    format: "espalier-costs",
    version: 1,
    source: { machine: "a phone", engine: "an engine 1", provider: "npu", threads: 1 },
    nodeMs: 1e-6,
    layers: layers.map(
      ({ kind }): LayerTimes => ({
        ...kind,
        inputs: widths,
        outputs: widths,
        ms: widths.map((i) => widths.map((o) => blocks(i) * blocks(o))),
      }),
    ),
    others: [],
    networks: [],
  };
}

it.each([4, 8])(
  "by a table from elsewhere keeps widths of its blocks of %d, times nothing and says so",
  async (block) => {
    const model = readModel(residualNetwork({ width: 32, blocks: 3 }));
    const costs = blocksOf(block, model);
    const rounds: number[] = [];
    const pruned = await pruneToLatency(
      model,
      { method: "magnitude" },
      { fraction: 0.6, costs, onRound: ({ round }) => rounds.push(round) },
    );
    expect(rounds).toEqual([]);
    expect(pruned.latency).toBeUndefined();
    expect(pruned.isReached).toBe(true);
    expect(pruned.estimate.ratio).toBeLessThanOrEqual(0.6);
    expect(pruned.estimate.source.machine).toBe("a phone");
    expect(pruned.notes.join()).toContain("estimate by a cost table of a phone, an engine 1");
    const filters = pruned.plan.groups.flatMap(({ axes }) => axes.map(({ kept }) => kept.length));
    expect(filters.length).toBeGreaterThan(0);
    for (const width of filters) expect(width % block).toBe(0);
    // The table says of the pruned network what was said before it was made.
    const after = timeModel(structureOf(pruned.graph), costs);
    expect(pruned.estimate.medianMs).toBeCloseTo(after.summedMs, 6);
  },
);

it("a table also rules the widths of other targets, where there is one", () => {
  const model = readModel(residualNetwork({ width: 32, blocks: 3 }));
  const rules = { roundTo: "auto", costs: blocksOf(16, model) } as const;
  const pruned = prune(model, { method: "magnitude", targets: { macs: 0.6 }, rules });
  for (const { axes } of pruned.plan.groups)
    for (const { kept } of axes) expect(kept.length % 16).toBe(0);
  const plain = prune(model, { method: "magnitude", targets: { macs: 0.6 } });
  expect([...partsOf(plain).removed]).not.toEqual([...partsOf(pruned).removed]);
});

it("single units are compared by what they save on average, since one alone fills no block", () => {
  const model = readModel(residualNetwork({ width: 32, blocks: 3 }));
  const structure = structureOf(model.graph);
  const times = timeModel(structure, blocksOf(8, model));
  const budget = latencyBudget(times, 0.5);
  const [unit] = structure.groups.find(({ id }) => id === "block0.a")?.units ?? [];
  const without = removeNothing(structure);
  without[unit] = 1;
  expect(budget.remaining(without)).toBeCloseTo(1, 6);
  // A filter of one layer and an input of the next, each a 32nd of the 4 x 4 blocks that both take.
  const saving = (2 * 16) / 32 / times.originalMs;
  const losses = new Float64Array(structure.units.length).fill(1);
  expect(perSaving(structure, losses, [budget])[unit] * saving).toBeCloseTo(1, 3);
});
