/** @file The section on packing: its figures add up, many layers stay readable, and what is skipped is told. */
import { describe, expect, it } from "vitest";
import { certifiedReport, someConfig } from "../../test/reports.ts";
import type { CompressReport } from "../compress/compress-report.ts";
import { drawReport } from "./draw.ts";

function sectionOf(packing: CompressReport["packing"]): string {
  const { packing: _, ...report } = certifiedReport();
  const page = drawReport(packing ? { ...report, packing } : report, { config: someConfig });
  return /<section id="packed"[\s\S]*?<\/section>/.exec(page)?.[0] ?? "";
}

const layer = { layer: "fc1", weights: 1000, density: 0.1, bytesBefore: 4000 };
const packing = {
  ...{ bytes: 250, bitsPerWeight: 2 },
  parts: { structure: 100, supports: 40, codes: 80, tables: 0, framing: 30 },
  layers: [{ ...layer, supports: 40, codes: 60, tables: 0 }],
  others: { tensors: 1, bytesBefore: 40, supports: 0, codes: 20, tables: 0 },
};

describe("the section on packing", () => {
  it("is not there in reports that know nothing of it", () => {
    expect(sectionOf(undefined)).toBe("");
  });

  it("tells bytes by part and by layer, and bits per weight", () => {
    const text = sectionOf(packing).replace(/[\s\u00a0]+/g, " ");
    expect(text).toContain("a file of 250 B");
    expect(text).toContain("2.00 bits for each");
    const cells = [...text.matchAll(/<t[dh][^>]*>([^<]*|<code>[^<]*<\/code>)<\/t[dh]>/g)].map(
      ([, cell]) => cell,
    );
    expect(cells.join("|")).toContain("structure: the graph without its tensors|100|40 %");
    expect(cells.join("|")).toContain("supports: where weights are not 0|40|16 %");
    expect(cells).not.toContain("tables that codes refer to");
    // 100 bytes: 0.8 bits for each of 1,000 weights, 8 for each of the 100 that are not 0.
    expect(cells.join("|")).toContain("<code>fc1</code>|1,000|10 %|4,000|100|40|60|0.80|8.00");
    expect(text).toContain(
      'aria-label="bytes of the packed network by layer and part: 250 in all"',
    );
  });

  it("draws the largest of many layers, and puts the others together", () => {
    const layers = Array.from({ length: 30 }, (_, i) => ({
      ...{ ...layer, layer: `layer${i}`, supports: 0, codes: 1000 - i, tables: 0 },
    }));
    const [chart] = /<svg class="wide"[\s\S]*?<\/svg>/.exec(sectionOf({ ...packing, layers })) ?? [
      "",
    ];
    const texts = [...chart.matchAll(/>([^<>]+)<\/text>/g)].map(([, text]) => text);
    expect(texts).toContain("layer23");
    expect(texts).not.toContain("layer24");
    expect(texts.join("|")).toMatch(/6.more.layers/);
    expect(texts).toContain("other tensors");
  });

  it("says why nothing was packed", () => {
    expect(sectionOf({ skipped: "it was too large" })).toContain("it was too large");
  });
});
