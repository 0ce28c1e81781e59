/** @file The written word, held against the code. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { generatedDocs } from "../scripts/docs.ts";
import { errorFields } from "../scripts/error-fields.ts";
import { main } from "../src/cli/program.ts";
import type { ErrorData } from "../src/errors.ts";
import { plainIo } from "./cli-io.ts";

const root = resolve(import.meta.dirname, "..");
const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".md"))
  .map((path) => join("docs", path))
  .sort();
const written = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", ...pages];

describe("generated pages", () => {
  it.each([...generatedDocs()])("%s is up to date (else: npm run docs)", (path, text) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(text);
  });
});

it("the fields of an error's data are those of its type, in bodies of one line and of several", () => {
  // Each object compiles only with all fields of the type, and no others.
  const busy: Required<ErrorData["RUN_BUSY"]> = { path: "", run: "", pid: 0, host: "" };
  const external: Record<keyof ErrorData["EXTERNAL_DATA_BAD"], string> = {
    path: "string",
    node: "string",
    opType: "string",
    nodes: "string[]",
    tensor: "string",
    shape: "(number | string)[]",
    location: "string",
    expected: "number",
    length: "number",
    offset: "number",
    size: "number",
  };
  const fields = errorFields();
  expect(fields.get("RUN_BUSY")?.map(({ name }) => name)).toEqual(Object.keys(busy));
  expect(fields.get("EXTERNAL_DATA_BAD")).toEqual(
    Object.entries(external).map(([name, type]) => ({ name, type })),
  );
  expect(fields.get("MODEL_BAD_GRAPH")?.at(-1)).toEqual({
    name: "offences",
    type: "{ name: string; problem: string }[]",
  });
});

/** The names by which links reach the headings of a page, as GitHub makes them. */
function anchorsOf(path: string): ReadonlySet<string> {
  const text = withoutCode(readFileSync(path, "utf8"));
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, "");
}

/** Every command line on a page, in blocks and within sentences, with its continuations joined. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) =>
    block.replaceAll(/\\\n\s*/g, "").split("\n"),
  );
  const inline = [...withoutCode(text).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  return [...blocks, ...inline];
}

const helps = new Map<string, Promise<string>>();

function helpOf(command: string): Promise<string> {
  let help = helps.get(command);
  if (help === undefined) {
    help = readHelp(command);
    helps.set(command, help);
  }
  return help;
}

async function readHelp(command: string): Promise<string> {
  let help = "";
  const out = (part: string) => {
    help += part;
  };
  await main([command, "--help"], { ...plainIo, out });
  return help;
}

describe.each(written)("%s", (file) => {
  const text = readFileSync(join(root, file), "utf8");

  it("links to files and headings that exist", () => {
    const links = [...withoutCode(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const missing = links.filter(([, path, anchor]) => {
      const target = path === "" ? join(root, file) : resolve(root, dirname(file), path);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(target).has(anchor);
    });
    expect(missing.map(([link]) => link)).toEqual([]);
  });

  it("names source files that exist", () => {
    const names = [...text.matchAll(/`((?:src|test|scripts|docs)\/[\w./-]+)`/g)].map(([, p]) => p);
    expect(names.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const named = [...text.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("shows flags that exist", async () => {
    for (const line of commandLines(text)) {
      const call = /^(?:npx |npm run -s espalier -- )?espalier (\w+) (.*)$/.exec(line);
      if (call === null) continue;
      const [, command, rest] = call;
      const help = await helpOf(command);
      for (const [flag] of rest.matchAll(/(?<=\s|^)--?[a-z][a-z-]*/g))
        expect(help, `${flag} in: ${line}`).toMatch(new RegExp(`${flag}[ ,]`));
    }
  });
});

it("every page of docs is reached from docs/README.md", () => {
  const reached = new Set<string>();
  const reach = (page: string) => {
    if (reached.has(page) || !existsSync(join(root, page))) return;
    reached.add(page);
    const text = withoutCode(readFileSync(join(root, page), "utf8"));
    for (const [, path] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+\.md)(?:#[^)]*)?\)/g))
      reach(relative(root, resolve(root, dirname(page), path)));
  };
  reach("docs/README.md");
  expect(pages.filter((page) => !reached.has(page))).toEqual([]);
});

it("the changelog has one heading of each kind in a version, and no entry twice", () => {
  const text = readFileSync(join(root, "CHANGELOG.md"), "utf8");
  const repeated = (list: readonly string[]) => list.filter((item, i) => list.indexOf(item) !== i);
  for (const version of text.split(/^## /m).slice(1)) {
    const headings = [...version.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading);
    expect(repeated(headings)).toEqual([]);
    const entries = [...version.matchAll(/^- (.{40})/gm)].map(([, beginning]) => beginning);
    expect(repeated(entries)).toEqual([]);
  }
  // Entries of the version in work stand under what a user does, not right under a kind of change.
  expect(text.split(/^## /m)[1]).not.toMatch(/^### .*\n\n- /m);
});
