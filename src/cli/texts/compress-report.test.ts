/** @file What `compress` tells a person at the end: the pack's size where it was counted, in 80 columns. */
import { describe, expect, it } from "vitest";
import { certifiedReport, uncertifiedReport } from "../../../test/reports.ts";
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
    const warning = `31 steps are too few to show which weights are superfluous: ${"a longer run ".repeat(6)}`;
    const report = { ...certifiedReport(), warnings: [warning.trim()] };
    const text = describeCompression("run", report, shown);
    const [, said] = text.split(`${report.outcome.words}\n`);
    expect(said).toMatch(/^warning: 31 steps are too few to show .*\n {2}.*\n\n/);
    for (const line of said.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it.each([
    ["top1", "accuracy (test) ", "0.20 points on 1,500 test samples (95 %: -0.53 to 0.93)"],
    ["miou", "mean IoU (test) ", "0.20 points on 1,500 test samples (95 %: -0.53 to 0.93)"],
    ["agreement", "agreement with the original (test) ", "0.20 points on 1,500"],
    ["PSNR", "PSNR (test) ", "drop 0.002 on 1,500 test samples (95 %: -0.0053 to 0.0093)"],
  ])("names %s, and counts it as it is counted", (metric, name, drop) => {
    const text = describeCompression("run", { ...certifiedReport(), metric }, shown);
    expect(text).toContain(`\n${name}`);
    expect(text.replace(/\s+/g, " ")).toContain(drop);
  });

  it.each([
    [0.527, [0.518, 0.536], "1.90 times as fast (95 %: 1.87 to 1.93), 2 threads"],
    [1.3, [1.2, 1.4], "slower, 1.30 times as long (95 %: 1.20 to 1.40), 2 threads"],
    [0.95, [0.88, 1.02], "no difference shown (95 %: 0.98 to 1.14 times as fast), 2 threads"],
  ] as const)("tells a ratio of %d in %j as far as it goes", (ratio, ci95, words) => {
    const report = certifiedReport();
    const latency = {
      ...report.latency,
      ratio,
      ci95: [ci95[0], ci95[1]] satisfies [number, number],
    };
    const text = describeCompression("run", { ...report, latency }, shown);
    expect(text.replace(/\s+/g, " ")).toContain(`latency ${words}`);
  });

  it("says nothing of packs where none was made", () => {
    expect(describeCompression("run", uncertifiedReport(), shown)).not.toContain("packed");
  });
});
