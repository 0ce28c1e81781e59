/** @file The section on packing: its figures add up, many layers stay readable, and what is skipped is told. */
import { describe, expect, it } from "vitest";
import { certifiedReport, someExtras } from "../../../test/reports.ts";
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { drawReport } from "../draw.ts";

function sectionOf(packing: CompressReport["packing"]): string {
  const { packing: _, ...report } = certifiedReport();
  const page = drawReport(packing ? { ...report, packing } : report, someExtras);
  const section = /<section id="ship"[\s\S]*?<\/section>/.exec(page)?.[0] ?? "";
  return section.replace(/[\s\u00a0]+/g, " ");
}

const layer = { layer: "fc1", weights: 1000, density: 0.1, bytesBefore: 4000 };
const packing = {
  bytes: 250,
  bitsPerWeight: 2,
  parts: { structure: 100, supports: 40, codes: 80, tables: 0, framing: 30 },
  layers: [{ ...layer, supports: 40, codes: 60, tables: 0 }],
  others: { tensors: 1, bytesBefore: 40, supports: 0, codes: 20, tables: 0 },
};

describe("what a report says of packing", () => {
  it("is only the command in reports that know nothing of it", () => {
    const text = sectionOf(undefined);
    expect(text).toContain("espalier pack run -o run.esp");
    expect(text).not.toContain("It takes");
  });

  it("tells bytes by part and by layer, and bits per weight", () => {
    const text = sectionOf(packing);
    expect(text).toContain("It takes <b>250 B</b>");
    expect(text).toContain("2.00 bits a weight");
    const cells = [...text.matchAll(/<t[dh][^>]*>([^<]*|<code>[^<]*<\/code>)<\/t[dh]>/g)].map(
      ([, cell]) => cell,
    );
    expect(cells.join("|")).toContain("structure: the graph without its tensors|100|40 %");
    expect(cells.join("|")).toContain("supports: where weights are not 0|40|16 %");
    expect(cells).not.toContain("tables that codes refer to");
    // 100 bytes: 0.8 bits for each of 1,000 weights, 8 for each of the 100 that are not 0.
    expect(cells.join("|")).toContain("<code>fc1</code>|1,000|10 %|4,000|100|40|60|0.80|8.00");
  });

  it("says why nothing was packed", () => {
    expect(sectionOf({ skipped: "it was too large" })).toContain("it was too large");
  });
});
