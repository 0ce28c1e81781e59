/** @file Values of flags: what is understood, and what is refused in the flag's own terms. */
import { describe, expect, it } from "vitest";
import {
  fractionBelowOne,
  integerFrom,
  numbersValue,
  numberValue,
  positiveValue,
  shareValue,
  sizeOrSideValue,
  sizeValue,
} from "./values.ts";

describe("a value", () => {
  it.each([
    ["share", shareValue("0.58"), 0.58],
    ["share", shareValue("1"), 1],
    ["number", numberValue("1/255"), 1 / 255],
    ["number", numberValue("-2e-3"), -0.002],
    ["list", numbersValue("0.485, 0.456,1/2"), [0.485, 0.456, 0.5]],
    ["size", sizeValue("320x240"), [320, 240]],
    ["side", sizeOrSideValue("256"), 256],
    ["size or side", sizeOrSideValue("256x128"), [256, 128]],
    ["count", integerFrom(1)("12"), 12],
  ])("is read as a %s", (_, value, expected) => {
    expect(value).toEqual(expected);
  });

  it.each([
    ["a share of 0", () => shareValue("0")],
    ["a share above 1", () => shareValue("1.01")],
    ["an empty share", () => shareValue("")],
    ["a percentage", () => shareValue("50%")],
    ["a word", () => numberValue("half")],
    ["a quotient by 0", () => numberValue("1/0")],
    ["two strokes", () => numberValue("1/2/3")],
    ["infinity", () => numberValue("Infinity")],
    ["an empty place", () => numbersValue("1,,2")],
    ["a negative count", () => integerFrom(0)("-1")],
    ["a fraction of a count", () => integerFrom(0)("1.5")],
    ["a count beyond 2^53", () => integerFrom(0)("9007199254740993")],
    ["zero where something must be", () => positiveValue("0")],
    ["a size without height", () => sizeValue("320")],
    ["a size of 0", () => sizeOrSideValue("0x4")],
  ])("%s is refused", (_, parse) => {
    expect(parse).toThrow(/Give/);
  });
});

describe("a percentage", () => {
  it.each([
    ["60", "at most 1; 60 % is 0.6."],
    ["60%", "at most 1; 60 % is 0.6."],
    ["0.5 %", "at most 1; 0.5 % is 0.005."],
    ["12.5", "at most 1; 12.5 % is 0.125."],
    ["0", "at most 1."],
    ["-3", "at most 1."],
    ["half", "at most 1."],
    ["400", "at most 1."],
  ])("in place of a share is told as one: %s", (text, end) => {
    expect(() => shareValue(text)).toThrow(`Give the share that may remain: above 0, ${end}`);
  });

  it("in place of a tolerance, too", () => {
    expect(() => fractionBelowOne("2")).toThrow("from 0 to below 1; 2 % is 0.02.");
    expect(() => fractionBelowOne("1")).toThrow("from 0 to below 1; 0.01 is 1 %.");
  });
});
