/** @file The architecture, held: who may import whom, and where each kind of knowledge lives. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const src = join(root, "src");

/** Folders from the bottom up; a folder imports from lower levels and from itself, not from its peers. */
const levels: readonly (readonly string[])[] = [
  ["tensor", "words"],
  ["ir"],
  ["ops"],
  ["onnx", "grad", "structure", "models"],
  ["files", "pack"],
  ["runtime", "data"],
  ["measure"],
  ["train", "guard"],
  ["methods"],
  ["prune", "runs"],
  ["compress", "certify"],
  ["report"],
  ["label"],
  ["cli", "web"],
];
const levelOf = new Map(levels.flatMap((folders, level) => folders.map((name) => [name, level])));

/** Folders that run in a browser too. */
const core = new Set(["tensor", "words", "ir", "ops", "onnx", "grad", "structure", "pack"]);
/** What users import. */
const entryPoints = ["index.ts", "core.ts", "graph.ts", "measure.ts", "train.ts", "unpack.ts"];
/** Those of them that run in a browser too. */
const browserEntries = ["core.ts", "graph.ts", "unpack.ts"];
/** The only files that pass on what others export. */
const barrels = new Set([...entryPoints, "ops/index.ts"]);

interface SourceFile {
  /** Relative to `src`, with forward slashes. */
  readonly path: string;
  /** First folder below `src`, or `""`. */
  readonly folder: string;
  readonly isTest: boolean;
  readonly text: string;
  readonly imports: readonly string[];
}

/** Module names of static, dynamic and type imports, and of re-exports. */
function importsOf(text: string): string[] {
  const patterns = [
    /^\s*(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']/gm,
    /^\s*import\s*["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']\s*\)/g,
    /\brequire\(\s*["']([^"']+)["']\s*\)/g,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]));
}

function sourceFiles(): SourceFile[] {
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(ts|js|mjs)$/.test(path))
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => {
      const text = readFileSync(join(src, path), "utf8");
      const folder = path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
      return { path, folder, isTest: path.endsWith(".test.ts"), text, imports: importsOf(text) };
    });
}

/** Where a relative import leads, relative to `src`; `undefined` for a package. */
function targetOf(file: SourceFile, imported: string): string | undefined {
  if (!imported.startsWith(".")) return undefined;
  return relative(src, resolve(src, dirname(file.path), imported)).replaceAll("\\", "/");
}

/** Comparing an `opType`: what only `ops/` and the lifting of old forms in `onnx/` may do. */
const opTypeComparison =
  /\bopType\s*[!=]==?|[!=]==?\s*[\w.?]*\bopType\b|switch\s*\([^)]*\bopType\b|\.(?:has|includes|startsWith|endsWith|match)\([\w.?]*\bopType\b|\bopType\.(?:startsWith|endsWith|includes|match)/;

const files = sourceFiles();
const library = files.filter((file) => !file.isTest);

/** The files that an entry imports, itself among them, and those that they import. */
function reachedFrom(entry: string): ReadonlySet<SourceFile> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<SourceFile>();
  const visit = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || reached.has(file)) return;
    reached.add(file);
    for (const imported of file.imports) {
      const target = targetOf(file, imported);
      if (target !== undefined) visit(target);
    }
  };
  visit(entry);
  return reached;
}

/** The files of the parts that run in browsers; each once. */
const reachedByBrowsers = [...new Set(browserEntries.flatMap((entry) => [...reachedFrom(entry)]))];

/**
 * Functions that ECMAScript leaves to the engine. Powers of two are exact everywhere, and so are those of
 * bigints; `src/tensor/elementary.ts` has the others.
 */
const engineDependent =
  /\bMath\.(?!(?:abs|ceil|clz32|floor|fround|imul|max|min|round|sign|sqrt|trunc|E|LN2|LN10|LOG2E|LOG10E|PI|SQRT1_2|SQRT2)\b)|\{[^}]*\}\s*=\s*Math\b|(?<!\b2n? |asIntN\(64, a )\*\*/;

/** The lines of a file that are not comments. */
function linesOfCode(text: string): readonly string[] {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .map((line) => line.replace(/\/\/.*$/, "").trim());
}

describe("imports", () => {
  it("lead downwards", () => {
    const wrong: string[] = [];
    for (const file of library) {
      const level = levelOf.get(file.folder);
      // The entry points at the top of `src`, and `errors.ts` below everything, have rules of their own.
      if (level === undefined) continue;
      for (const imported of file.imports) {
        const target = targetOf(file, imported);
        if (target === undefined || target === "errors.ts") continue;
        const folder = target.split("/")[0];
        const below = (levelOf.get(folder) ?? Number.POSITIVE_INFINITY) < level;
        if (folder !== file.folder && !below) wrong.push(`${file.path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("know every folder", () => {
    const unknown = files.map((file) => file.folder).filter((folder) => !levelOf.has(folder));
    expect([...new Set(unknown)].filter((folder) => folder !== "")).toEqual([]);
  });

  it("are none in errors.ts, which all import", () => {
    expect(files.find((file) => file.path === "errors.ts")?.imports).toEqual([]);
  });

  it("name relative files with their extension", () => {
    const wrong = files.flatMap((file) =>
      file.imports
        .filter((imported) => imported.startsWith(".") && !/\.(ts|js|mjs|json)$/.test(imported))
        .map((imported) => `${file.path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  it("of the core are free of Node and of packages that need it", () => {
    const wrong = library
      .filter((file) => core.has(file.folder))
      .flatMap((file) =>
        file.imports
          .filter((imported) => /^node:|^onnxruntime|^sharp$|^commander$/.test(imported))
          .map((imported) => `${file.path} imports ${imported}`),
      );
    expect(wrong).toEqual([]);
  });

  it("reached from what runs in browsers are free of Node too", () => {
    const wrong = reachedByBrowsers.flatMap((file) =>
      file.imports
        .filter((imported) => imported.startsWith("node:"))
        .map((imported) => `${file.path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  it("reached from what runs in browsers compute what every engine computes alike", () => {
    const wrong = reachedByBrowsers.flatMap((file) =>
      linesOfCode(file.text)
        .filter((line) => engineDependent.test(line))
        .map((line) => `${file.path}: ${line}`),
    );
    expect(wrong).toEqual([]);
  });

  it.each([
    "y = Math.exp(x)",
    "const { log2 } = Math;",
    "x.map(Math.tanh)",
    "x ** 2",
    "10 ** digits",
    "Math.hypot(a, b)",
  ])("compute that differently in %s", (line) => {
    expect(line).toMatch(engineDependent);
  });

  it.each(["2 ** 53", "2n ** width", "exp(x)", "Math.sqrt(x)", "Math.PI * x", "Math.floor(x)"])(
    "compute that alike in %s",
    (line) => {
      expect(line).not.toMatch(engineDependent);
    },
  );

  it.each([
    { packages: /^onnxruntime/, folder: "runtime" },
    { packages: /^@bufbuild\//, folder: "onnx" },
    { packages: /^commander$/, folder: "cli" },
    { packages: /^sharp$/, folder: "data" },
    { packages: /^echarts/, folder: "report" },
  ])("of $packages stay in src/$folder", ({ packages, folder }) => {
    const wrong = files
      .filter((file) => file.folder !== folder)
      .filter((file) => file.imports.some((imported) => packages.test(imported)))
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it("make no circles, not even of types", () => {
    const arrows = new Map(
      library.map((file) => [file.path, targetsOf(file).filter((target) => isLibrary.has(target))]),
    );
    expect(circlesOf(arrows)).toEqual([]);
  });

  it.each([...levelOf.keys()])("make no circles between the rooms of src/%s", (folder) => {
    const arrows = new Map<string, string[]>();
    for (const file of library.filter((own) => own.folder === folder))
      for (const target of targetsOf(file)) {
        const [from, to] = [roomOf(file.path), roomOf(target)];
        if (target.startsWith(`${folder}/`) && from !== to)
          arrows.set(from, [...(arrows.get(from) ?? []), to]);
      }
    expect(circlesOf(arrows)).toEqual([]);
  });
});

const isLibrary = new Set(library.map((file) => file.path));

/** Where the relative imports of a file lead, relative to `src`. */
function targetsOf(file: SourceFile): readonly string[] {
  return file.imports.flatMap((imported) => targetOf(file, imported) ?? []);
}

/** The folder of a file: `ops/windows`, or `ops` for what lies in no room of it. */
function roomOf(path: string): string {
  return dirname(path);
}

/** Every circle that arrows close, as a walk that ends where it began; each part of the graph is walked once. */
function circlesOf(arrows: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (at: string, trail: readonly string[]): void => {
    if (trail.includes(at)) circles.push([...trail.slice(trail.indexOf(at)), at].join(" → "));
    if (done.has(at) || trail.includes(at)) return;
    for (const next of new Set(arrows.get(at))) visit(next, [...trail, at]);
    done.add(at);
  };
  for (const start of arrows.keys()) visit(start, []);
  return circles;
}

describe("circlesOf", () => {
  it.each([
    { arrows: { a: ["b"], b: ["c"], c: [] }, circles: [] },
    { arrows: { a: ["b"], b: ["a"] }, circles: ["a → b → a"] },
    { arrows: { a: ["b", "c"], b: ["c"], c: ["b"] }, circles: ["b → c → b"] },
  ])("finds $circles", ({ arrows, circles }) => {
    expect(circlesOf(new Map(Object.entries(arrows)))).toEqual(circles);
  });
});

describe("knowledge of operators", () => {
  it.each([
    `if (node.opType === "Conv") return`,
    `if ("Conv" === node.opType) return`,
    `switch (node.opType) {`,
    `if (convLike.has(node.opType)) return`,
    `if (["Conv"].includes(node?.opType)) return`,
    `if (opType.startsWith("Global")) return`,
  ])("is recognised in %s", (line) => {
    expect(line).toMatch(opTypeComparison);
  });

  it("stays in ops/ and in the lifting of onnx/", () => {
    const wrong = library
      .filter((file) => file.folder !== "ops" && file.folder !== "onnx")
      .flatMap((file) =>
        file.text
          .split("\n")
          .filter((line) => opTypeComparison.test(line))
          .map((line) => `${file.path}: ${line.trim()}`),
      );
    expect(wrong).toEqual([]);
  });
});

describe("files", () => {
  it("begin with what they are", () => {
    const wrong = files
      .filter((file) => !/^(?:#!.*\n)?\/\*\*(?: |\n \* )@file /.test(file.text))
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it("pass on the exports of others only where they are entry points or the operator list", () => {
    const wrong = library
      .filter((file) => !barrels.has(file.path))
      .filter((file) => /^\s*export\b[^;"']*?\bfrom\s*["']/m.test(file.text))
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it("spread no literals into others, which hides names and turns off excess-property checks", () => {
    const wrong = files.filter((file) => /\.\.\.\{/.test(file.text)).map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it("export by name", () => {
    const wrong = files.filter((file) => /^\s*export default\b/m.test(file.text));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it("are named in kebab-case and hold at most 500 lines", () => {
    const wrong = files
      .filter(
        (file) =>
          !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.slow)?(?:\.test)?\.(?:ts|js|mjs)$/.test(
            basename(file.path),
          ) || file.text.split("\n").length > 501,
      )
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });
});
