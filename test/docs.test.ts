/** @file The written word, held against the code. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { generatedDocs } from "../scripts/docs.ts";
import { main } from "../src/cli/program.ts";
import { plainIo } from "./cli-io.ts";

const root = resolve(import.meta.dirname, "..");
const written = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

describe("generated pages", () => {
  it.each([...generatedDocs()])("%s is up to date (else: npm run docs)", (path, text) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(text);
  });
});

describe.each(written)("%s", (file) => {
  const text = readFileSync(join(root, file), "utf8");

  it("links to files that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path);
    const missing = links.filter((path) => !existsSync(resolve(root, dirname(file), path)));
    expect(missing).toEqual([]);
  });

  it("names source files that exist", () => {
    const names = [...text.matchAll(/`((?:src|test|scripts|docs)\/[\w./-]+)`/g)].map(([, p]) => p);
    expect(names.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const named = [...text.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("shows flags that exist", async () => {
    const lines = [...text.matchAll(/(?:espalier --|npx espalier|^espalier) (\w+) (.*)$/gm)];
    for (const [line, command, rest] of lines) {
      let help = "";
      await main([command, "--help"], {
        ...plainIo,
        out: (part) => {
          help += part;
        },
      });
      for (const [flag] of rest.matchAll(/(?<=\s|^)--?[a-z][a-z-]*/g))
        expect(help, `${flag} in: ${line}`).toMatch(new RegExp(`${flag}[ ,]`));
    }
  });
});
