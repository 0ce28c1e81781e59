/** @file What a report shows of posteriors and of uncertainty: the figures, and nothing that a name could bring. */
import { describe, expect, it } from "vitest";
import {
  certifiedReport,
  hostileName,
  learntRound,
  someExtras,
  withoutOwnScript,
} from "../../../test/reports.ts";
import { drawReport } from "../draw.ts";

function pageOf(names: readonly string[]): string {
  const report = { ...certifiedReport(), rounds: [learntRound(names)] };
  return drawReport(report, someExtras);
}

/** Text as a reader sees it. */
function textOf(page: string): string {
  return page
    .replace(/<style>[\s\S]*?<\/style>|<svg[\s\S]*?<\/svg>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replace(/[\s\u00a0]+/g, " ");
}

describe("the section of the posterior", () => {
  const page = pageOf(["conv1", "conv2", "conv3"]);

  it("has curves of the data term, the KL and what lives, and histograms of each group", () => {
    for (const id of ["posterior-loss-chart-wide", "posterior-alive-chart-narrow"])
      expect(page).toContain(id);
    const labels = [...page.matchAll(/aria-label="([^"]*): (\d+) stayed, (\d+) removed"/g)];
    expect(labels.map(([, label, kept, removed]) => [label, kept, removed])).toEqual([
      ["KL of the units of conv1", "6", "2"],
      ["signal to noise of the units of conv1", "6", "2"],
      ["KL of the units of conv2", "5", "3"],
      ["signal to noise of the units of conv2", "5", "3"],
      ["KL of the units of conv3", "6", "2"],
      ["signal to noise of the units of conv3", "6", "2"],
    ]);
    const text = textOf(page);
    expect(text).toContain("KL 0.1 to 320 nats");
    expect(text).toContain("conv2 3 of 8 units removed, 1 below the threshold");
  });

  it("draws bars in proportion, what was removed below", () => {
    const [, bars] = /aria-label="KL of the units of conv1[^>]*>(.*?)<\/svg>/.exec(page) ?? [];
    const found = [
      ...(bars ?? "").matchAll(/x="(\d+)" y="([\d.]+)" [^/]*?height="([\d.]+)" fill="([^"]+)"/g),
    ];
    // 2 removed; 1, 2 and 3 that stayed: the most, 3, fills all 44 pixels.
    expect(found.map(([, x, y, height, fill]) => [x, Number(y), Number(height), fill])).toEqual([
      ["0", 14.67, 29.33, "var(--bad)"],
      ["36", 29.33, 14.67, "var(--after)"],
      ["72", 14.67, 29.33, "var(--after)"],
      ["108", 0, 44, "var(--after)"],
    ]);
  });

  it("makes no markup of names", () => {
    const hostile = pageOf([hostileName]);
    expect(hostile).not.toContain(hostileName);
    expect(withoutOwnScript(hostile)).not.toMatch(/<script|<img(?! src="data:)|\son\w+=/i);
  });

  it("is not there without a posterior", () => {
    expect(drawReport(certifiedReport(), someExtras)).not.toContain('id="posterior"');
  });
});

describe("the section of uncertainty", () => {
  const text = textOf(pageOf(["conv1"]));

  it("shows both networks and the mean of draws, with intervals of the changes", () => {
    expect(text).toContain(
      "negative log-likelihood, nats 0.3100 0.2900 −0.0200 (−0.0400 to ±0.0000)",
    );
    expect(text).toContain("0.2400 −0.0500 (−0.0700 to −0.0300)");
    // Shares change by points: −0.20 % would be a share of the share.
    expect(text).toContain("accuracy 92.93 % 92.73 % −0.20 points (−0.93 to +0.53)");
    expect(text).toContain("calibration error 3.88 % 3.62 % −0.25 points");
    expect(text).toContain("of 20 draws from posterior.onnx");
    expect(text).toContain(
      "share that is answered before after drawn 100 % 92.93 % 92.73 % 92.80 % 90 %",
    );
  });

  it("leaves out what was not drawn", () => {
    const { uncertainty, ...report } = certifiedReport();
    if (uncertainty === null) throw new Error("the report has uncertainty");
    const without = { ...report, uncertainty: { ...uncertainty, posterior: null } };
    expect(textOf(drawReport(without, someExtras))).not.toContain("posterior.onnx");
    const none = drawReport({ ...report, uncertainty: null }, someExtras);
    expect(none).not.toContain('aria-label="Uncertainty"');
  });
});
