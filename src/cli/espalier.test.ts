/** @file The installed command on versions of Node that are too old, or just new enough. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const source = resolve(import.meta.dirname, "espalier.cjs");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-node-"));
  await writeFile(join(folder, "espalier.cjs"), await readFile(source));
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "main.js"), `console.log("begun");`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs it where Node says that it is of this version. */
async function runOn(version: string) {
  const program =
    `Object.defineProperty(process, "version", { value: ${JSON.stringify(version)} });` +
    `require(${JSON.stringify(join(folder, "espalier.cjs"))});`;
  const run = promisify(execFile)(process.execPath, ["--eval", program]);
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

it.each(["v10.24.1", "v18.20.4", "v20.0.0", "v20.18.3"])("is refused on %s", async (version) => {
  const { code, stdout, stderr } = await runOn(version);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toBe(
    `error: Espalier needs Node 20.19 or newer, and this is Node ${version}.\n` +
      "hint: Install a newer Node from https://nodejs.org, or with a version manager: nvm install 22\n",
  );
});

it.each(["v20.19.0", "v22.0.0", "v100.1.0"])("begins on %s", async (version) => {
  expect(await runOn(version)).toEqual({ code: 0, stdout: "begun\n", stderr: "" });
});

it("asks for the version that package.json asks for", async () => {
  const manifest = JSON.parse(await readFile(resolve(source, "../../../package.json"), "utf8"));
  expect(manifest.engines.node).toBe(">=20.19");
  expect(manifest.bin.espalier).toBe("dist/cli/espalier.cjs");
});
