/** @file The package as users get it: packed, installed into an empty folder, run and imported. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { EChartsOption } from "echarts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readModel } from "../src/onnx/reading/read.ts";
import { pack } from "../src/pack/pack.ts";
import { drawSvg } from "../src/report/page/chart-library.ts";
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
import { costOf, GraphBuilder } from "espalier/graph";
import { measureOutcomes } from "espalier/measure";
import { recalibrate } from "espalier/train";
import { type PackFault, unpack, unpackPieces } from "espalier/unpack";

const model = await loadModel("net.onnx");
const { macs, groups, dims } = inspect(model);
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
const fault: PackFault = "TRUNCATED";
const isTold = cut instanceof EspalierError && cut.code === "PACK_INVALID" && cut.data.reason === fault;
if (!same || Buffer.compare(Buffer.concat(pieces), original) !== 0 || !isTold)
  throw new Error("not what was packed");
if (costOf(model.graph, new Map(Object.entries(dims))).macs !== macs) throw new Error("other costs");
for (const value of [GraphBuilder, measureOutcomes, recalibrate])
  if (typeof value !== "function") throw new Error("not there");
console.log("largest error", maxError < 1e-4);
`;

/** A program of somebody who makes a page: no types of Node, and types of bytes that browsers take. */
const pageProgram = `
import { concatBytes, inspect, pack, type Plan, prune, readModel } from "espalier/core";
import { type Structure, structureOf } from "espalier/graph";
import { EspalierError, unpack, unpackPieces } from "espalier/unpack";

export async function smaller(file: Blob): Promise<Blob> {
  const model = readModel(new Uint8Array(await file.arrayBuffer()));
  const pruned = prune(model, { method: "bn", targets: { macs: 0.6 } });
  const plan: Plan = pruned.plan;
  const structure: Structure = structureOf(model.graph);
  if (structure.units.length === 0) throw new EspalierError("PLAN_INVALID", "no units");
  const packed = pack(model, { bits: 6 }).bytes;
  const parts: Uint8Array[] = [];
  for await (const piece of unpackPieces(new Blob([packed]).stream())) parts.push(piece);
  if (plan.groups.length > inspect(model).groups.length) throw new EspalierError("PLAN_INVALID", "never");
  return new Blob([concatBytes(pruned.bytes), ...pruned.bytes.chunks, await unpack(packed)]);
}
`;

const strictly = [
  "--strict",
  "--target",
  "es2022",
  "--module",
  "nodenext",
  "--skipLibCheck",
  "false",
];
const newestCompiler = join(root, "node_modules/typescript/bin/tsc");
const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];

let folder: string;
let app: string;

/** A file of the installed package, or its folder. */
function installed(...parts: readonly string[]): string {
  return join(app, "node_modules/espalier", ...parts);
}

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
  await mkdir(app);
  // `.npmrc` turns install scripts off, and with them the build that packing would start by itself.
  await run("npm", ["pack", "--ignore-scripts=false", "--pack-destination", folder], root);
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  await writeFile(
    join(app, "package.json"),
    JSON.stringify({ name: "app", version: "1.0.0", private: true, type: "module" }),
  );
  await run("npm", ["install", join(folder, tarball), ...quiet]);
  await writeFile(join(app, "net.onnx"), residualNetwork());
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the installed package", () => {
  it("holds what users need and nothing else", async () => {
    const files = await readdir(installed(), { recursive: true });
    for (const needed of ["README.md", "LICENSE", "CHANGELOG.md", "dist/cli/espalier.cjs"])
      expect(files).toContain(needed);
    expect(files.filter((name) => /(^|\/)(src|test|scripts)(\/|$)|\.test\./.test(name))).toEqual(
      [],
    );
  });

  it("holds every file that its own pages link to", async () => {
    const files = await readdir(installed(), { recursive: true });
    const pages = files.filter((name) => name.endsWith(".md"));
    expect(pages.length).toBeGreaterThan(8);
    for (const page of pages) {
      const text = await readFile(installed(page), "utf8");
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, to]) => to);
      const missing = links.filter((to) => !files.includes(join(dirname(page), to)));
      expect([page, missing]).toEqual([page, []]);
    }
  });

  it("says where it comes from", async () => {
    const { repository, homepage, bugs } = JSON.parse(
      await readFile(installed("package.json"), "utf8"),
    );
    for (const address of [repository.url.replace(/^git\+/, ""), homepage, bugs.url])
      expect(new URL(address).protocol).toBe("https:");
  });

  it("brings its chart library along, with its licences, instead of installing it", async () => {
    expect(await readdir(join(app, "node_modules"))).not.toContain("echarts");
    const library = installed("dist/report/chart-library.js");
    const { drawSvg: drawn } = await import(pathToFileURL(library).href);
    const options: EChartsOption = {
      xAxis: { type: "value" },
      yAxis: {},
      series: [
        {
          type: "line",
          data: [
            [0, 1],
            [2, 3],
          ],
        },
      ],
    };
    const size = { width: 300, height: 200 };
    // ECharts counts its drawings in names of classes.
    const uncounted = (svg: string) => svg.replaceAll(/zr\d+-/g, "zr-");
    expect(uncounted(drawn(size, options))).toBe(uncounted(drawSvg(size, options)));
    const licences = await readFile(library.replace(".js", ".LICENSE.txt"), "utf8");
    for (const name of [
      "Apache License",
      "The Apache Software Foundation",
      "Mike Bostock",
      "Baidu",
    ])
      expect(licences).toContain(name);
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
    for (const part of ["package.json", "dist/unpack.js", "dist/errors.js", "dist/pack"])
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
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
    await run(process.execPath, [newestCompiler, ...strictly, ...types, "use.ts"]);
    expect(await run(process.execPath, ["use.js"])).toContain("largest error true");
  });

  it("needs no types of Node for the parts that run in browsers", async () => {
    await writeFile(join(app, "page.ts"), pageProgram);
    const none = [
      "--noEmit",
      "--lib",
      "es2022,dom,dom.iterable",
      "--typeRoots",
      join(folder, "none"),
    ];
    await run(process.execPath, [newestCompiler, ...strictly, ...none, "page.ts"]);
  });

  it("is read by TypeScript 5.4 (skipped where npm cannot get it)", async (context) => {
    const old = join(folder, "typescript-5.4");
    await mkdir(old);
    await run("npm", ["install", "--prefix", old, "typescript@5.4", ...quiet], old).catch(() =>
      context.skip("npm cannot install typescript@5.4: is there a network?"),
    );
    const compiler = join(old, "node_modules/typescript/bin/tsc");
    expect(await run(process.execPath, [compiler, "--version"])).toContain("5.4");
    await writeFile(join(app, "page.ts"), pageProgram);
    await writeFile(
      join(app, "all.ts"),
      ["", "/train", "/measure", "/graph", "/core", "/unpack"]
        .map((path, i) => `export * as part${i} from "espalier${path}";\n`)
        .join(""),
    );
    const none = [
      "--noEmit",
      "--lib",
      "es2022,dom,dom.iterable",
      "--typeRoots",
      join(folder, "none"),
    ];
    await run(process.execPath, [compiler, ...strictly, ...none, "page.ts"]);
    const node = ["--noEmit", "--types", "node", "--typeRoots", join(root, "node_modules/@types")];
    await run(process.execPath, [compiler, ...strictly, ...node, "all.ts"]);
  }, 120_000);
});
