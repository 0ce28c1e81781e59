/** @file `compress --latency`: aimed at with a cost table, of this machine or from elsewhere. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { cachedCosts, loadCosts, saveCosts } from "../src/files/cost-table-file.ts";
import { nodeSource } from "../src/measure/latency/node-engine.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { makeWorkplace, type Workplace } from "./support/small-cnn.ts";

let made: Workplace;
beforeAll(async () => {
  made = await makeWorkplace();
  vi.stubEnv("XDG_CACHE_HOME", join(made.folder, "cache"));
}, 60_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(made.folder, { recursive: true, force: true });
});

const flags = [
  ...["--method", "magnitude", "--latency", "0.8", "--rounds", "1", "--epochs", "0"],
  ...["--batch", "20", "--threads", "1", "--bench-seconds", "0.05"],
];

it("measures a table of this machine, and caches it", async () => {
  const run = join(await emptyFolder(), "run");
  const { exitCode, err } = await espalier([
    "compress",
    made.net,
    "--data",
    made.data,
    "-o",
    run,
    ...flags,
  ]);
  expect([0, 3], err).toContain(exitCode);
  const costs = await cachedCosts(nodeSource({ threads: 1 }));
  expect(costs?.layers.length).toBeGreaterThan(0);
  const report = JSON.parse(await readFile(join(run, "report.json"), "utf8"));
  expect(report.rounds[0].remaining.macs).toBeLessThan(1);
}, 60_000);

it("takes the table that --costs names, and keeps it with the settings of the run", async () => {
  const folder = await emptyFolder();
  const [here, phone, run] = ["here.json", "phone.json", "run"].map((name) => join(folder, name));
  await espalier(["profile", made.net, "--threads", "1", "-o", here]);
  const table = await loadCosts(here);
  await saveCosts(phone, { ...table, source: { ...table.source, machine: "a phone" } });
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
  const argv = ["compress", made.net, "--data", made.data, "-o", run, ...flags, "--costs", phone];
  const { exitCode, err } = await espalier(argv);
  expect([0, 3], err).toContain(exitCode);
  // Nothing was measured that the table holds.
  expect(await cachedCosts(nodeSource({ threads: 1 }))).toBeUndefined();
  const config = JSON.parse(await readFile(join(run, "config.json"), "utf8"));
  expect(config.settings.rules.costs.source.machine).toBe("a phone");
}, 60_000);
