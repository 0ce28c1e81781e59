/** @file What `compress` tells a person at the end: the pack's size where it was counted, in 80 columns. */
import { describe, expect, it } from "vitest";
import { certifiedReport, uncertifiedReport } from "../../test/reports.ts";
import { describeCompression } from "./compress-report.ts";

describe("the end of a compression", () => {
  const shown = { columns: 80, hasColor: false };

  it("tells what the result takes when packed", () => {
    const text = describeCompression("run", certifiedReport(), shown);
    expect(text).toMatch(
      /^if packed +352 kB with steps of 8 bits, which the drop does not include$/m,
    );
    const facts = text.slice(text.lastIndexOf("\n\n")).split("\n");
    expect(Math.max(...facts.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("repeats what must be acted on right behind the verdict, in 80 columns", () => {
    const warning = `31 steps are too few to tell what is superfluous: ${"a longer run ".repeat(6)}`;
    const report = { ...certifiedReport(), warnings: [warning.trim()] };
    const text = describeCompression("run", report, shown);
    const [, said] = text.split(`${report.outcome.words}\n`);
    expect(said).toMatch(/^warning: 31 steps are too few to tell .*\n {2}.*\n\n/);
    for (const line of said.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it("says nothing of packs where none was made", () => {
    expect(describeCompression("run", uncertifiedReport(), shown)).not.toContain("packed");
  });
});
