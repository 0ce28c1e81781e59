/** @file Explanations of commands at the width of the terminal. */
import { describe, expect, it } from "vitest";
import { displayWidth } from "../../words/text.ts";
import { reflow } from "./help.ts";

const text = `
The first paragraph was written
in short lines of its own.

Examples:
  espalier prune net.onnx -o small.onnx --macs 0.5 --method magnitude \\
      --option level=weights
  espalier inspect net.onnx`;

describe("an explanation", () => {
  it("fills wide lines, and keeps examples apart", () => {
    expect(reflow(text, 120)).toBe(`
The first paragraph was written in short lines of its own.

Examples:
  espalier prune net.onnx -o small.onnx --macs 0.5 --method magnitude --option level=weights
  espalier inspect net.onnx`);
  });

  it("breaks narrow lines at words, and commands behind a backslash", () => {
    expect(reflow(text, 44)).toBe(`
The first paragraph was written in short
lines of its own.

Examples:
  espalier prune net.onnx -o small.onnx \\
      --macs 0.5 --method magnitude \\
      --option level=weights
  espalier inspect net.onnx`);
  });

  it.each([44, 60, 80, 120])("fits %i columns", (columns) => {
    for (const line of reflow(text, columns).split("\n"))
      expect(displayWidth(line)).toBeLessThanOrEqual(columns);
  });
});
