/** @file When there is colour. */
import { expect, it } from "vitest";
import { showsColor, styled } from "./style.ts";

it.each([
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
  [false, { FORCE_COLOR: "1" }, true],
  [false, { FORCE_COLOR: "true", NO_COLOR: "1", TERM: "dumb" }, true],
  [true, { FORCE_COLOR: "0" }, false],
  [true, { FORCE_COLOR: "false" }, false],
  [false, { FORCE_COLOR: "" }, false],
])("a terminal: %s, with %o: %s", (isTerminal, env, want) => {
  expect(showsColor(isTerminal, env)).toBe(want);
});

it("ends behind the word", () => {
  expect(styled("warning", "warning", true)).toBe("\x1b[33mwarning\x1b[39m");
  expect(styled("warning", "warning", false)).toBe("warning");
});
