/** @file The entries of the package: a value has one, and no type that an entry's values name is missing. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Declarations, type Exported } from "./support/declarations.ts";

const root = resolve(import.meta.dirname, "..");
const entries = ["index", "core", "train", "measure", "graph", "unpack"] as const;

/** What the parts that run in browsers have in common with others. */
const inSeveral: Readonly<Record<string, string>> = {
  index: "core",
  core: "unpack",
};

let folder: string;
let declarations: Declarations;
const exportsOf = new Map<string, readonly Exported[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-entries-"));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const flags = ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", folder];
  await promisify(execFile)(process.execPath, [tsc, ...flags], { cwd: root });
  declarations = new Declarations(folder);
  for (const entry of entries) exportsOf.set(entry, declarations.exportsOf(`${entry}.d.ts`));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What an entry exports, by the ids of the declarations. */
function idsOf(entry: string): ReadonlySet<string> {
  return new Set((exportsOf.get(entry) ?? []).map(({ declared }) => declared.id));
}

describe("the entries", () => {
  it("are those of package.json", async () => {
    const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const paths = entries.map((entry) => (entry === "index" ? "." : `./${entry}`));
    expect(Object.keys(exports).sort()).toEqual([...paths].sort());
  });

  it("export every type that a value of theirs names", () => {
    const missing: string[] = [];
    for (const entry of entries) {
      const own = idsOf(entry);
      for (const { name, declared } of exportsOf.get(entry) ?? []) {
        if (declared.isType) continue;
        for (const id of declared.names)
          if (!own.has(id)) missing.push(`${entry}: ${name} names ${id}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it("export, one of them or another, every type that those types name", () => {
    const all = new Set(entries.flatMap((entry) => [...idsOf(entry)]));
    const missing: string[] = [];
    for (const entry of entries)
      for (const { name, declared } of exportsOf.get(entry) ?? [])
        for (const id of declared.names)
          if (!all.has(id) && !isOfCommands(id)) missing.push(`${entry}: ${name} names ${id}`);
    expect([...new Set(missing)]).toEqual([]);
  });

  it("share no values, but that the parts for browsers repeat those of Node", () => {
    const homes = new Map<string, string[]>();
    for (const entry of entries)
      for (const { declared } of exportsOf.get(entry) ?? [])
        if (!declared.isType) homes.set(declared.id, [...(homes.get(declared.id) ?? []), entry]);
    const twice = [...homes].filter(
      ([, where]) => where.length > 1 && !where.every((entry) => isRepeated(entry, where)),
    );
    expect(twice).toEqual([]);
  });
});

/** What the flags of commands are made of, which users name as `EspalierConfig["prune"]`. */
function isOfCommands(id: string): boolean {
  return id.startsWith("cli/");
}

/** Whether an entry repeats another of a list, or is repeated by one. */
function isRepeated(entry: string, where: readonly string[]): boolean {
  return where.some((other) => inSeveral[entry] === other || inSeveral[other] === entry);
}
