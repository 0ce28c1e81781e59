/** @file Errors speak of flags on the command line, and of nothing but options in the library. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { inFlags } from "./flag-names.ts";

const src = resolve(import.meta.dirname, "../..");

describe("inFlags", () => {
  it.each([
    ["Raise `maxBytes` if you trust it.", "Raise --max-bytes if you trust it."],
    ["Try `layout` nhwc.", "Try --layout nhwc."],
    ["the target `macs` 0.05 is out of reach", "the target --macs 0.05 is out of reach"],
    ["would fit: `scale` 1 `mean` 0 `std` 1.", "would fit: --scale 1 --mean 0 --std 1."],
    ["no samples serve as `select`", "no samples serve as `select`"],
    ["`constructor` is no option", "`constructor` is no option"],
  ])("reads %s as %s", (message, shown) => {
    expect(inFlags(message)).toBe(shown);
  });
});

describe("texts of the library", () => {
  it("name no flags", () => {
    const wrong = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
      .filter((path) => !/^(?:cli|label|report|models)[/\\]/.test(path))
      .flatMap((path) =>
        readFileSync(join(src, path), "utf8")
          .split("\n")
          .filter((line) => /["`].*(?:^|[ (`"])--[a-z$]/.test(line) && !/^ *(?:\*|\/)/.test(line))
          .filter((line) => !line.includes("`espalier"))
          .map((line) => `${path}: ${line.trim()}`),
      );
    expect(wrong).toEqual([]);
  });
});
