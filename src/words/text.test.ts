/** @file Numbers and names as a person reads them. */
import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatDuration, formatInteger, formatMs } from "./numbers.ts";
import { displayWidth, escapeForTerminal, shorten, wrap } from "./text.ts";

describe("names from files", () => {
  it.each([
    ["/layer1/conv", "/layer1/conv"],
    ["größe 漢字 🙂", "größe 漢字 🙂"],
    ["a\x1b[31mb", "a\\x1b[31mb"],
    ["a\nb\tc\r", "a\\nb\\tc\\x0d"],
    ["\x9b2J\x7f\0", "\\x9b2J\\x7f\\x00"],
    ["\u202eevil\u2066", "\\u202eevil\\u2066"],
    ["\ud800", "\\ud800"],
  ])("%j is printed as %s", (name, shown) => {
    expect(escapeForTerminal(name)).toBe(shown);
  });

  it.each([
    ["conv", 8, "conv"],
    ["abcdefghij", 5, "ab…ij"],
    ["漢字漢字", 5, "漢…字"],
  ])("%s in %i columns is %s", (name, width, shown) => {
    expect(shorten(name, width)).toBe(shown);
    expect(displayWidth(shown)).toBeLessThanOrEqual(width);
  });

  it("take the columns that terminals give them", () => {
    expect(["abc", "漢字", "e\u0301", "🙂"].map(displayWidth)).toEqual([3, 4, 1, 2]);
  });
});

describe("sentences", () => {
  it("are broken at spaces and indented", () => {
    expect(wrap("one two three four", 9, "  ")).toBe("one two\n  three\n  four");
  });

  it("keep a word whole that is longer than a line, which may be a path to copy", () => {
    const path = `/${"x".repeat(50)}`;
    expect(wrap(`a ${path} b`, 10, "  ").split("\n")).toEqual(["a", `  ${path}`, "  b"]);
  });
});

describe("numbers", () => {
  it.each([
    [formatInteger(0), "0"],
    [formatInteger(999), "999"],
    [formatInteger(125485696), "125,485,696"],
    [formatCount(999), "999"],
    [formatCount(999_600), "1.00 M"],
    [formatCount(36_864), "36.9 K"],
    [formatBytes(12), "12 B"],
    [formatBytes(3_487_335), "3.49 MB"],
    [formatMs(0.0456), "0.0456 ms"],
    [formatMs(123.4), "123 ms"],
    [formatDuration(59.6), "1 min 0 s"],
    [formatDuration(7505), "2 h 5 min"],
  ])("%s", (shown, expected) => {
    expect(shown).toBe(expected);
  });
});
