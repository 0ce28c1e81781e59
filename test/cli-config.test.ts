/** @file Flags from a configuration file: they count, the command line wins, and mistakes are named. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defineConfig } from "../src/cli/config.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { residualNetwork } from "./residual-network.ts";

async function workplace(config: unknown, name = "espalier.config.json") {
  const folder = await emptyFolder();
  const net = join(folder, "net.onnx");
  await writeFile(net, residualNetwork());
  const text = typeof config === "string" ? config : JSON.stringify(config);
  await writeFile(join(folder, name), text);
  return { folder, net, small: join(folder, "small.onnx") };
}

const pruned = async (
  { folder, net, small }: Awaited<ReturnType<typeof workplace>>,
  more: string[],
) => {
  const { exitCode, out, err } = await espalier(["prune", net, "-o", small, "--json", ...more], {
    folder,
  });
  expect(err).not.toMatch(/error/);
  expect(exitCode).toBe(0);
  const { method, before, after } = JSON.parse(out);
  return { method, share: after.macs / before.macs };
};

const config = defineConfig({ prune: { method: "magnitude", macs: 0.7, only: ["*"] } });

describe("a configuration file", () => {
  it("gives flags that the command line does not", async () => {
    const { method, share } = await pruned(await workplace(config), []);
    expect(method).toBe("magnitude");
    expect(share).toBeLessThanOrEqual(0.7);
    expect(share).toBeGreaterThan(0.5);
  });

  it("yields to the command line", async () => {
    const { method, share } = await pruned(await workplace(config), [
      "--macs",
      "0.4",
      "--method",
      "random",
    ]);
    expect(method).toBe("random");
    expect(share).toBeLessThanOrEqual(0.4);
  });

  it("may be a module", async () => {
    const module = "export default { prune: { method: 'magnitude', macs: 1 / 2, json: true } };";
    const { method, share } = await pruned(await workplace(module, "espalier.config.mjs"), []);
    expect(method).toBe("magnitude");
    expect(share).toBeLessThanOrEqual(0.5);
  });

  it("may speak of every command that takes flags", async () => {
    // Written out, not spread: the type checker refuses commands that the type has not.
    const all = defineConfig({
      inspect: { layers: true },
      prune: { macs: 0.5 },
      verify: { seed: 2 },
      evaluate: { split: "select" },
      train: { epochs: 1 },
      compress: { rounds: 1 },
      bench: { runs: 9 },
      sensitivity: { points: 3 },
      pack: { bits: 6 },
      unpack: { maxBytes: 2 ** 20 },
      resume: { data: "mnist" },
      report: { json: true },
      methods: { json: true },
    });
    const { out: help } = await espalier(["--help"]);
    const commands = [...help.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name);
    expect(Object.keys(all).sort()).toEqual(commands.sort());
    const { folder } = await workplace(all);
    const { exitCode, out } = await espalier(["methods"], { folder });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).methods.length).toBeGreaterThan(0);
  });

  it("may ask for JSON, of failures too", async () => {
    const { folder, small } = await workplace(defineConfig({ prune: { json: true } }));
    for (const argv of [["prune", "none.onnx", "-o", small, "--macs", "0.5"], ["prune"]]) {
      const { exitCode, out } = await espalier(argv, { folder });
      expect(exitCode).toBe(2);
      expect(JSON.parse(out)).toHaveProperty("error.code");
    }
  });

  it("leaves help alone", async () => {
    const { folder } = await workplace("{");
    const { exitCode, out } = await espalier(["prune", "--help"], { folder });
    expect(exitCode).toBe(0);
    expect(out).toContain("--macs");
  });
});

describe("a mistake in a configuration file is named:", () => {
  it.each([
    ["no JSON", "{", "cannot be read"],
    ["no commands", [1], "no flags by command"],
    ["a command that is not there", { shrink: {} }, "a command shrink"],
    ["a flag that is not there", { prune: { ratio: 0.5 } }, "a flag ratio"],
    ["a value that the flag does not take", { prune: { macs: 2 } }, "prune.macs: Give the share"],
    [
      "a switch that is no switch",
      { prune: { json: "yes" } },
      "prune.json: expected true or false",
    ],
    ["a value that is a switch", { prune: { macs: true } }, "prune.macs: expected a value"],
  ])("%s", async (_, content, message) => {
    const { folder, net, small } = await workplace(content);
    const { exitCode, err } = await espalier(["prune", net, "-o", small], { folder });
    expect(exitCode).toBe(2);
    expect(err).toContain("espalier.config.json");
    expect(err).toContain(message);
  });
});
