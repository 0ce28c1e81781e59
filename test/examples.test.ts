/** @file The examples in doc comments, which editors show, and in README: each compiles as a user's own file would. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import * as core from "../src/core.ts";
import * as graph from "../src/graph.ts";
import * as index from "../src/index.ts";
import * as measure from "../src/measure.ts";
import * as train from "../src/train.ts";
import * as unpack from "../src/unpack.ts";

const root = resolve(import.meta.dirname, "..");

/** A file with examples, the entry that exports what they use where they import nothing, and what they are given. */
interface Place {
  readonly file: string;
  readonly entry: keyof typeof entries;
  readonly given?: string;
}

const entries = { index, core, graph, measure, train, unpack };
const places: readonly Place[] = [
  { file: "src/index.ts", entry: "index" },
  { file: "src/core.ts", entry: "core" },
  { file: "src/graph.ts", entry: "graph" },
  { file: "src/measure.ts", entry: "index" },
  { file: "src/train.ts", entry: "index" },
  {
    file: "src/unpack.ts",
    entry: "unpack",
    given: "declare const InferenceSession: { create(file: Uint8Array): Promise<object> };",
  },
  {
    file: "src/ir/builder.ts",
    entry: "graph",
    given: "declare const values: Float32Array;",
  },
  { file: "src/models/registry.ts", entry: "graph" },
  { file: "src/cli/config.ts", entry: "index" },
  { file: "src/prune/verify.ts", entry: "index" },
  { file: "src/compress/compress.ts", entry: "index" },
  ...["README.md", "docs/library.md", "docs/browser.md", "docs/pack.md", "docs/examples.md"].map(
    (file) => ({
      file,
      entry: "index" as const,
      given: "declare const file: Blob;",
    }),
  ),
];

/** The code of every example of a file. */
function examplesOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, lines]) => lines);
  const comments = [...text.matchAll(/^ \* @example\n((?: \* .*\n)+)/gm)];
  return [...blocks, ...comments.map(([, lines]) => lines.replaceAll(/^ \* /gm, ""))];
}

it("compile", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-examples-"));
  try {
    const files: string[] = [];
    for (const { file, entry, given = "" } of places) {
      const examples = examplesOf(await readFile(join(root, file), "utf8"));
      expect(examples.length, file).toBeGreaterThan(0);
      for (const code of examples) {
        const used = Object.keys(entries[entry]).filter((name) =>
          new RegExp(`\\b${name}\\(|\\b${name}\\.`).test(code),
        );
        const pathOf = (name: string) => JSON.stringify(join(root, "src", `${name}.ts`));
        const imports = code.includes("import {")
          ? ""
          : `import { ${used.join(", ")} } from ${pathOf(entry)};`;
        const own = code.replaceAll(/"espalier(?:\/(\w+))?"/g, (_, name = "index") => pathOf(name));
        const name = `example-${files.length}.mts`;
        await writeFile(join(folder, name), `${imports}\n${given}\n${own}\nexport {};\n`);
        files.push(name);
      }
    }
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        lib: ["es2023", "dom"],
        typeRoots: [join(root, "node_modules/@types")],
        noUnusedLocals: false,
        rewriteRelativeImportExtensions: false,
      },
      files,
      include: [],
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const checked = promisify(execFile)(process.execPath, [tsc, "-p", folder]).then(
      () => "",
      (error) => String(error.stdout ?? error),
    );
    expect(await checked).toBe("");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
