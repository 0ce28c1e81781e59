/**
 * @file Mutated inputs by the thousands: each ends in a result or a typed error, in bounded time and
 * memory, and writes nothing outside its folder. Seeds are printed; a failure names its own.
 *
 * ESPALIER_FUZZ_SEED is the first seed (default 0), ESPALIER_FUZZ_COUNT replaces the counts; so one
 * seed is looked at again with `ESPALIER_FUZZ_SEED=123 ESPALIER_FUZZ_COUNT=1`.
 */

import { rmSync } from "node:fs";
import { afterAll, expect, it } from "vitest";
import { runFuzz } from "./support/fuzz/harness.ts";
import { baseFolder } from "./support/fuzz/run-bases.ts";

const { ESPALIER_FUZZ_SEED = "0", ESPALIER_FUZZ_COUNT } = process.env;

afterAll(() => rmSync(baseFolder(process.pid), { recursive: true, force: true }));

it.each([
  { what: "mutated models through read, inspect and prune", module: "models.ts", count: 30_000 },
  { what: "damaged data sets, opened and read", module: "data-sets.ts", count: 5_000 },
  { what: "mutated plans, loaded and applied", module: "plans.ts", count: 2_000 },
  { what: "mutated reports, drawn", module: "reports.ts", count: 1_000 },
  { what: "mutated models through ONNX Runtime in a process", module: "runtime.ts", count: 3_000 },
  { what: "damaged and forged folders of runs", module: "runs.ts", count: 1_000 },
])("$count $what", async ({ what, module, count }) => {
  const firstSeed = Number(ESPALIER_FUZZ_SEED);
  const seeds = Number(ESPALIER_FUZZ_COUNT ?? count);
  const result = await runFuzz({ module, count: seeds, firstSeed });
  const lines = [
    `${what}: seeds ${firstSeed} to ${firstSeed + seeds - 1}, most memory ${result.peakMiB.toFixed(0)} MiB,`,
    `slowest ${result.slowestCpuSeconds.toFixed(2)} CPU s (seed ${result.slowestSeed})`,
    ...result.outcomes.map(([outcome, times]) => `  ${times}\t${outcome}`),
    ...result.failures.slice(0, 200).map((failure) => `  seed ${failure.seed}: ${failure.what}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  expect(result.failures).toEqual([]);
  expect(result.outcomes.length).toBeGreaterThan(seeds > 100 ? 2 : 0);
});
