/** @file Names as words of a shell, against a shell itself. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { shellFlag, shellPath, shellWord } from "./shell.ts";

/** What sh reads of a line: its words. */
function wordsOf(line: string): readonly string[] {
  const text = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${line}`], { encoding: "utf8" });
  return text.split("\0").slice(0, -1);
}

const names = [
  "run",
  "my run",
  "it's",
  `"quoted"`,
  "$(touch stolen)",
  "`id`",
  "a;b|c&d>e<f",
  "~/run",
  "*?[a]",
  "=ls",
  "{a,b}",
  "#1",
  "!!",
  "back\\slash",
  "ünï",
  "",
];

describe.skipIf(process.platform === "win32")("in sh (skipped on Windows)", () => {
  it.each(names)("%j is one word, as it is", (name) => {
    expect(wordsOf(shellWord(name))).toEqual([name]);
    expect(wordsOf(shellFlag("--data", name))).toEqual(["--data", name]);
  });

  it.each(["-rf", "--help", "-o"])("%s is no flag", (name) => {
    expect(wordsOf(shellPath(name))).toEqual([`./${name}`]);
    expect(wordsOf(shellFlag("--data", name))).toEqual([`--data=${name}`]);
  });

  it.each(["a\nb", "a\rid", "a\u001b[2J", "a\u202eb"])("%j cannot end or hide a line", (name) => {
    const word = shellWord(name);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(word).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect(wordsOf(word)).toHaveLength(1);
  });
});
