/** @file `profile`, as its users and their scripts see it. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { cachedCostsPath, loadCosts } from "../src/files/cost-table-file.ts";
import { nodeSource } from "../src/measure/latency/node-engine.ts";
import { parseCosts } from "../src/structure/timing/cost-table-text.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { convModel } from "./tiny-models.ts";

let folder: string;
let net: string;

beforeEach(async () => {
  folder = await emptyFolder();
  net = join(folder, "net.onnx");
  await writeFile(net, Buffer.concat(convModel(8, 2)));
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
});
afterEach(() => vi.unstubAllEnvs());

it("draws each kind of layer over its widths, within 80 columns, and caches the table", async () => {
  const { exitCode, out } = await espalier(["profile", net, "--threads", "1"]);
  expect(exitCode).toBe(0);
  expect(out).toMatch(/^Conv 3x3 on 16x16, 8 → \d+ channels/m);
  expect(out).toMatch(/^ {2}out {2}[▁▂▃▄▅▆▇█]+ {2}/m);
  expect(out).toContain("the whole network:");
  for (const line of out.split("\n")) expect([...line].length).toBeLessThanOrEqual(80);

  const path = cachedCostsPath(nodeSource({ threads: 1 }));
  expect(path.startsWith(join(folder, "cache"))).toBe(true);
  const first = await stat(path);
  const again = await espalier(["profile", net, "--threads", "1", "--json"]);
  expect(parseCosts(again.out)).toEqual(await loadCosts(path));
  // Nothing was measured again, so nothing was written.
  expect((await stat(path)).mtimeMs).toBe(first.mtimeMs);
  await espalier(["profile", net, "--threads", "1", "--fresh"]);
  expect((await stat(path)).mtimeMs).toBeGreaterThan(first.mtimeMs);
}, 60_000);

it("writes the table as JSON and as CSV, which hold the same", async () => {
  const [asJson, asCsv] = ["costs.json", "costs.csv"].map((name) => join(folder, name));
  await espalier(["profile", net, "--threads", "1", "-o", asJson]);
  const { exitCode, out } = await espalier(["profile", net, "--threads", "1", "-o", asCsv]);
  expect(exitCode).toBe(0);
  expect(out).toContain(`written: ${asCsv}`);
  expect(await loadCosts(asCsv)).toEqual(await loadCosts(asJson));
  expect((await readFile(asCsv, "utf8")).startsWith('# {"format":"espalier-costs"')).toBe(true);
}, 60_000);

it("measures a damaged cache anew", async () => {
  await espalier(["profile", net, "--threads", "1"]);
  const path = cachedCostsPath(nodeSource({ threads: 1 }));
  await writeFile(path, "{");
  const { exitCode } = await espalier(["profile", net, "--threads", "1"]);
  expect(exitCode).toBe(0);
  expect((await loadCosts(path)).layers.length).toBeGreaterThan(0);
}, 60_000);

it("stops when told, long before the table of networks in general is whole", async () => {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 500);
  const { exitCode } = await espalier(["profile", "--threads", "1"], { signal: controller.signal });
  clearTimeout(timer);
  expect(exitCode).toBe(130);
}, 60_000);
