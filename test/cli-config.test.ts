/** @file Flags from a configuration file: they count, the command line wins, and mistakes are named. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
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
      certify: { maxDrop: 0.02 },
      train: { epochs: 1 },
      compress: { rounds: 1 },
      bench: { runs: 9 },
      profile: { fresh: true },
      sensitivity: { points: 3 },
      pack: { bits: 6 },
      unpack: { maxBytes: 2 ** 20 },
      resume: { data: "mnist" },
    });
    const { out: help } = await espalier(["--help"]);
    const commands = [...help.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name);
    expect([...Object.keys(all), "label", "methods", "report", "version"].sort()).toEqual(
      commands.sort(),
    );
    const { folder, net } = await workplace({ ...all, inspect: { json: true } });
    const { exitCode, out } = await espalier(["inspect", net], { folder });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).macs).toBeGreaterThan(0);
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

describe("code of the current folder", () => {
  /** A configuration that leaves a trace when it is run, and asks for JSON of every command. */
  async function trap(name = "espalier.config.mjs") {
    const place = await workplace("", name);
    const trace = join(place.folder, "trace");
    const commands = ["inspect", "prune", "verify", "bench"];
    const flags = commands.map((command) => `${command}: { json: true }`);
    const code = `import { writeFileSync } from "node:fs";
      writeFileSync(${JSON.stringify(trace)}, "");
      export default { ${flags.join(", ")} };`;
    await writeFile(join(place.folder, name), code);
    return { ...place, isRun: () => existsSync(trace) };
  }

  it.each([
    ["--version"],
    ["--help"],
    ["help", "prune"],
    ["methods"],
    ["report", "."],
    ["no-such-command"],
    ["inspect", "net.onnx"],
    ["verify", "."],
    ["verify", "net.onnx", "small.onnx"],
    ["unpack", "net.esp", "-o", "net.onnx"],
    ["resume", "."],
    ["bench", "net.onnx", "--no-config"],
  ])("is not run by %s %s", async (...argv) => {
    for (const name of ["espalier.config.mjs", "espalier.config.js", "espalier.config.ts"]) {
      const { folder, isRun } = await trap(name);
      await espalier(argv, { folder });
      expect(isRun()).toBe(false);
    }
  });

  it.each([
    ["config.json", "original.onnx"],
    ["config.json", "events.jsonl"],
  ])("is not run where %s and %s say that it is of a run, nor further down", async (...names) => {
    const { folder, net, isRun } = await trap();
    for (const name of names) await writeFile(join(folder, name), "{}");
    const inner = join(folder, "rounds", "01");
    await mkdir(inner, { recursive: true });
    await cp(join(folder, "espalier.config.mjs"), join(inner, "espalier.config.mjs"));
    for (const place of [folder, inner]) {
      const { exitCode, err } = await espalier(["bench", net, "--runs", "1"], { folder: place });
      expect(exitCode).toBe(0);
      expect(err).toContain(
        "note: espalier.config.mjs is not read: it lies in the folder of a run",
      );
      expect(isRun()).toBe(false);
    }
  });

  it("is passed over with a note, and run where it is named", async () => {
    const { folder, net, isRun } = await trap();
    const unasked = await espalier(["inspect", net], { folder });
    expect(unasked.err).toContain("espalier.config.mjs is not read: it is code");
    expect(isRun()).toBe(false);
    const config = join(folder, "espalier.config.mjs");
    for (const argv of [
      ["inspect", net, "--config", config],
      [`--config=${config}`, "inspect", net],
    ]) {
      const { exitCode, out } = await espalier(argv, { folder: tmpdir() });
      expect(exitCode).toBe(0);
      expect(JSON.parse(out).macs).toBeGreaterThan(0);
    }
    expect(isRun()).toBe(true);
  });

  it("is run where flags of the command can stand in it", async () => {
    const { folder, isRun } = await trap();
    await espalier(["bench", "none.onnx"], { folder });
    expect(isRun()).toBe(true);
  });
});

describe("other forms of a configuration:", () => {
  const code = "const runs: number = 1;\nexport default { bench: { runs, json: true } };";

  it("TypeScript is run where modules of it can be loaded, as here", async () => {
    const { folder, net } = await workplace(code, "espalier.config.ts");
    const { exitCode, out } = await espalier(["bench", net], { folder });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).medianMs).toBeGreaterThan(0);
  });

  it.each(["yaml", "cjs", "toml"])("%s is named as none", async (ending) => {
    const { folder, net } = await workplace("", `espalier.config.${ending}`);
    const { exitCode, err } = await espalier(["bench", net], { folder });
    expect(exitCode).toBe(2);
    expect(err).toContain(`espalier.config.${ending} is not a format that is read`);
    expect(
      (await espalier(["bench", net, "--runs", "1", "--no-config"], { folder })).exitCode,
    ).toBe(0);
  });

  it.skipIf(process.platform === "win32")("a pipe or a folder is an error", async () => {
    const { folder, net } = await workplace({});
    for (const make of [(path: string) => execFileSync("mkfifo", [path]), mkdirSync]) {
      const path = join(folder, "espalier.config.json");
      await rm(path, { recursive: true });
      make(path);
      const { exitCode, err } = await espalier(["bench", net], { folder });
      expect(exitCode).toBe(2);
      expect(err).toContain("espalier.config.json is no regular file");
    }
  });

  it("a file that is named and not there is an error", async () => {
    const { net } = await workplace({});
    const { exitCode, err } = await espalier(["bench", net, "--config", "none.json"]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/Cannot read .*none\.json: no such file or folder\./);
  });
});

describe("a mistake in a configuration file is named:", () => {
  it.each([
    ["no JSON", "{", "cannot be read"],
    ["no commands", [1], "no flags by command"],
    ["a command that is not there", { shrink: {} }, "the command shrink"],
    ["a command that takes no flags of a file", { methods: { json: true } }, "the command methods"],
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
