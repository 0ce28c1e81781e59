/** @file The package as users get it: packed, installed into an empty folder, run and imported. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readModel } from "../src/onnx/read.ts";
import { pack } from "../src/pack/pack.ts";
import { residualNetwork } from "./residual-network.ts";

const root = resolve(import.meta.dirname, "..");
const isWindows = process.platform === "win32";

/** A program of somebody who uses the library from TypeScript; its exit code says whether all is well. */
const userProgram = `
import { readFile } from "node:fs/promises";
import {
  EspalierError, inspect, loadModel, type Plan, prune, savePruned, verifyPruned,
} from "espalier";
import { concatBytes, pack, readModel } from "espalier/core";
import { UnpackError, type UnpackErrorCode, unpack, unpackPieces } from "espalier/unpack";

const model = await loadModel("net.onnx");
const { macs, groups } = inspect(model);
const pruned = prune(model, { method: "magnitude", targets: { macs: 0.5 } });
const plan: Plan = pruned.plan;
const { passed, maxError } = await verifyPruned(model, pruned);
if (!passed || pruned.after.macs > macs / 2 || groups.length !== 4) throw new Error("wrong");
await savePruned("small.onnx", pruned.bytes, plan);
const again = readModel(new Uint8Array(await readFile("small.onnx")));
if (again.sizeBytes !== concatBytes(pruned.bytes).length) throw new Error("other bytes");
try {
  readModel(new Uint8Array([1]));
} catch (error) {
  if (!(error instanceof EspalierError) || error.code !== "MODEL_TRUNCATED") throw error;
}
const original = new Uint8Array(await readFile("net.onnx"));
const packed = pack(model, { isLossless: true }).bytes;
const same = Buffer.compare(await unpack(packed), original) === 0;
const pieces: Uint8Array[] = [];
for await (const piece of unpackPieces(new Blob([packed]).stream())) pieces.push(piece);
const cut = await unpack(packed.subarray(0, -1)).catch((error: unknown) => error);
const code: UnpackErrorCode | undefined = cut instanceof UnpackError ? cut.code : undefined;
if (!same || Buffer.compare(Buffer.concat(pieces), original) !== 0 || code !== "TRUNCATED")
  throw new Error("not what was packed");
console.log("largest error", maxError < 1e-4);
`;

let folder: string;
let app: string;

/** As in a shell of its own: npm tells the scripts that it runs, such as this test, where they belong. */
function environment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_|^NODE_OPTIONS$/i.test(name),
  );
  // The same switch that users without a network need.
  return { ...Object.fromEntries(inherited), ONNXRUNTIME_NODE_INSTALL: "skip" };
}

/** Runs a program in \`app\`, and returns what it printed. */
async function run(command: string, args: readonly string[], cwd = app): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, {
    cwd,
    env: environment(),
    shell: isWindows,
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-package-"));
  app = join(folder, "app");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(app);
  // `.npmrc` turns install scripts off, and with them the build that packing would start by itself.
  await run("npm", ["pack", "--ignore-scripts=false", "--pack-destination", folder], root);
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  await writeFile(
    join(app, "package.json"),
    JSON.stringify({ name: "app", version: "1.0.0", private: true, type: "module" }),
  );
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];
  await run("npm", ["install", join(folder, tarball), ...quiet]);
  await writeFile(join(app, "net.onnx"), residualNetwork());
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the installed package", () => {
  it("holds what users need and nothing else", async () => {
    const files = await readdir(join(app, "node_modules/espalier"), { recursive: true });
    for (const needed of ["README.md", "LICENSE", "CHANGELOG.md", "dist/cli/main.js"])
      expect(files).toContain(needed);
    expect(
      files.filter((name) => /(^|\/)(src|test|scripts|docs)(\/|$)|\.test\./.test(name)),
    ).toEqual([]);
  });

  it("runs as a command", async () => {
    const out = await run("npx", ["espalier", "inspect", "net.onnx", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ opset: 17, prunableUnits: 24 });
    const argv = ["prune", "net.onnx", "-o", "cli.onnx", "--macs", "0.5", "--method", "magnitude"];
    expect(await run("npx", ["espalier", ...argv])).toContain("verified");
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    expect((await run("npx", ["espalier", "--version"])).trim()).toBe(version);
  });

  it("unpacks without anything else installed", async () => {
    const { bytes, unpacked } = pack(readModel(residualNetwork()));
    await writeFile(join(app, "net.esp"), bytes);
    // A folder that holds the decoder alone: whatever else it asked for would be missing.
    const alone = join(folder, "alone");
    for (const part of ["package.json", "dist/unpack.js", "dist/pack"])
      await cp(join(app, "node_modules/espalier", part), join(alone, part), { recursive: true });
    const program = `
      import { readFile, writeFile } from "node:fs/promises";
      import { unpack } from "espalier/unpack";
      await writeFile("again.onnx", await unpack(await readFile("../app/net.esp")));`;
    await writeFile(join(alone, "unpack-it.js"), program);
    await run(process.execPath, ["unpack-it.js"], alone);
    const again = await readFile(join(alone, "again.onnx"));
    expect(Buffer.compare(again, unpacked)).toBe(0);
  });

  it("is imported with its types", async () => {
    await writeFile(join(app, "use.ts"), userProgram);
    const flags = [
      "--strict",
      "--target",
      "es2022",
      "--module",
      "nodenext",
      "--skipLibCheck",
      "false",
    ];
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
    await run(process.execPath, [tsc, ...flags, ...types, "use.ts"]);
    expect(await run(process.execPath, ["use.js"])).toContain("largest error true");
  });
});
