/** @file The warning of memorised samples: when it comes, and when chance explains the difference. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { train } from "./train.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-memorisation-"));
afterAll(() => rmSync(folder, { recursive: true }));
let dataset: Dataset;
beforeAll(async () => {
  await writeQuadrants(folder);
  dataset = await openDataset(folder);
});

// 20 samples for selection and 60 for certification: two standard errors at 70 and 50 % are 24 points.
it.each([
  { select: 1, certify: 0.6, warns: true },
  { select: 0.7, certify: 0.5, warns: false },
  { select: 0.6, certify: 1, warns: false },
])("$select on select and $certify on certify: $warns", async ({ select, certify, warns }) => {
  const said: string[] = [];
  const scores: Partial<Record<Role, number>> = { select, certify };
  const result = await train(quadrantNetwork(), dataset, {
    epochs: 1,
    batchSize: 100,
    threads: 1,
    evaluator: async (_, role) => ({ metric: "given", value: scores[role] ?? 0, loss: 0 }),
    onWarning: (warning) => said.push(warning),
  });
  expect(result.warnings).toEqual(said);
  expect(said.map((warning) => /100\.0 %.*60\.0 %/.test(warning))).toEqual(warns ? [true] : []);
});
