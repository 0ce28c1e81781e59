/** @file What `compress` tells a person at the end: the pack's size where it was counted, in 80 columns. */
import { describe, expect, it } from "vitest";
import { certifiedReport, uncertifiedReport } from "../../../test/reports.ts";
import { describeCompression } from "./compress-report.ts";

/** The latency of a report, as `report.json` has it. */
const measuredLatency = {
  ratio: 0.527,
  ci95: [0.518, 0.536] satisfies [number, number],
  threads: 2,
  provider: "cpu",
  slowerOperators: [
    {
      name: "conv\u001b1",
      opType: "Conv",
      isInserted: false,
      count: { before: 1, after: 1 },
      beforeMs: 0.066,
      afterMs: 0.512,
    },
    {
      name: "ReorderOutput",
      opType: "ReorderOutput",
      isInserted: true,
      count: { before: 7, after: 12 },
      beforeMs: 0.02,
      afterMs: 0.09,
    },
  ],
};

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
    [0.527, [0.518, 0.536], "faster: 1.90 times as fast (95 %: 1.87 to 1.93), 2 threads"],
    [1.3, [1.2, 1.4], "slower: 1.30 times as long (95 %: 1.20 to 1.40), 2 threads"],
    [0.95, [0.88, 1.02], "no difference shown (95 %: 0.98 to 1.14 times as fast), 2 threads"],
  ] as const)("tells a ratio of %d in %j as far as it goes", (ratio, ci95, words) => {
    const report = certifiedReport();
    const latency = {
      ...measuredLatency,
      ratio,
      ci95: [ci95[0], ci95[1]] satisfies [number, number],
    };
    const text = describeCompression("run", { ...report, latency }, shown);
    expect(text.replace(/\s+/g, " ")).toContain(`latency ${words}`);
  });

  it("says which operators take longer, and what to do, where the result is slower", () => {
    const latency = { ...measuredLatency, ratio: 1.3, ci95: [1.2, 1.4] satisfies [number, number] };
    const text = describeCompression("run", { ...certifiedReport(), latency }, shown);
    expect(text).not.toContain("\u001b");
    const words = text.replace(/\s+/g, " ");
    expect(words).toContain("conv\\x1b1 (Conv): 0.0660 ms before, 0.512 ms now");
    expect(words).toContain("ReorderOutput (7 before, 12 now): 0.0200 ms before, 0.0900 ms now");
    expect(words).toContain("(--round-to)");
    expect(describeCompression("run", certifiedReport(), shown)).not.toContain("--round-to");
  });

  it("says nothing of latency where none was measured", () => {
    const { latency: _, ...report } = certifiedReport();
    const side = ({ latencyMs: _ms, ...figures }: typeof report.baseline) => figures;
    const [baseline, result] = [side(report.baseline), side(report.result)];
    expect(describeCompression("run", { ...report, baseline, result }, shown)).not.toMatch(
      /latency|fast/,
    );
  });

  it("says nothing of packs where none was made", () => {
    expect(describeCompression("run", uncertifiedReport(), shown)).not.toContain("packed");
  });
});
