/** @file A few of the inputs of `fuzz.slow.test.ts`, with every run of the tests. */
import { expect, it } from "vitest";
import { runFuzz } from "./support/fuzz/harness.ts";

it.each([
  { module: "models.ts", count: 100 },
  { module: "data-sets.ts", count: 50 },
  { module: "plans.ts", count: 30 },
  { module: "reports.ts", count: 30 },
])(
  "$count cases of $module end in a result or a typed error",
  { timeout: 120_000 },
  async ({ module, count }) => {
    const { failures, outcomes } = await runFuzz({ module, count, firstSeed: 1_000_000 });
    expect(failures).toEqual([]);
    expect(outcomes.length).toBeGreaterThan(1);
  },
);
