/** @file Plain files: what is none is refused, and half a line at the end is cut off. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/support/scratch.ts";
import { appendLine, dropHalfLine, readPlainFile } from "./plain-file.ts";

const folder = scratchFolder("plain");
let count = 0;
const freshPath = () => join(folder, `file-${count++}`);
const refused = { code: "FILE_UNREADABLE" };

describe("a file of lines", () => {
  it("grows by lines", () => {
    const path = freshPath();
    for (const line of ["a", "", "ü"]) appendLine(path, line);
    expect(readFileSync(path, "utf8")).toBe("a\n\nü\n");
  });

  it.each([
    ["", ""],
    ["a\n", "a\n"],
    ["a\nb", "a\n"],
    ["no end", ""],
    ["\n\n", "\n\n"],
    [`${"x".repeat(70_000)}\n${"y".repeat(200_000)}`, `${"x".repeat(70_000)}\n`],
    [`${"x".repeat(65_535)}\ny`, `${"x".repeat(65_535)}\n`],
  ])("%.20j keeps its whole lines", async (text, expected) => {
    const path = freshPath();
    writeFileSync(path, text);
    await dropHalfLine(path);
    expect(readFileSync(path, "utf8")).toBe(expected);
  });

  it("that is whole is not opened for writing, and one that is not there is not made", async () => {
    const path = freshPath();
    writeFileSync(path, "whole\n");
    chmodSync(path, 0o444);
    await dropHalfLine(path);
    await dropHalfLine(join(folder, "none"));
    expect(await readPlainFile(join(folder, "none"), 10)).toBeUndefined();
  });

  it("of a terabyte that is a hole is refused at once, and a large file is not read", async () => {
    const path = freshPath();
    writeFileSync(path, "a\n");
    expect(await readPlainFile(path, 2)).toEqual(Buffer.from("a\n"));
    truncateSync(path, 2 ** 40);
    await expect(dropHalfLine(path)).rejects.toMatchObject(refused);
    await expect(readPlainFile(path, 2 ** 30)).rejects.toMatchObject(refused);
  });
});

describe.skipIf(process.platform === "win32")("what is no plain file is refused:", () => {
  const target = join(folder, "target");
  const kinds: readonly (readonly [string, (path: string) => void])[] = [
    ["a symbolic link", (path) => symlinkSync(target, path)],
    ["a symbolic link to nothing", (path) => symlinkSync(join(folder, "nothing"), path)],
    ["a hard link", (path) => linkSync(target, path)],
    ["a pipe", (path) => void execFileSync("mkfifo", [path])],
    ["a folder", (path) => void mkdirSync(path)],
    ["a device", (path) => symlinkSync("/dev/zero", path)],
  ];
  it.each(kinds)("%s", async (_, make) => {
    writeFileSync(target, "whole\nhalf");
    const path = freshPath();
    make(path);
    expect(() => appendLine(path, "more")).toThrow(expect.objectContaining(refused));
    await expect(dropHalfLine(path)).rejects.toMatchObject(refused);
    await expect(readPlainFile(path, 100)).rejects.toMatchObject(refused);
    expect(readFileSync(target, "utf8")).toBe("whole\nhalf");
  });
});
