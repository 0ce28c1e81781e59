/** @file The section on weights: its figures, its pictures, and that a hostile name stays text. */
import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { certifiedReport, someExtras, withoutOwnScript } from "../../../test/reports.ts";
import type { Support } from "../../structure/weights/supports.ts";
import { drawReport } from "../draw.ts";
import type { Supports } from "./sparsity.ts";

const figures = { weights: 200, nonZero: 30, neurons: 10, empty: 2, clusters: 12 };
const dense = { weights: 240, nonZero: 240, neurons: 12, empty: 0, clusters: 12 };

function supportOf(
  rows: number,
  columns: number,
  isThere: (row: number, column: number) => boolean,
) {
  const flags = new Uint8Array(rows * columns);
  for (let i = 0; i < flags.length; i++)
    if (isThere(Math.floor(i / columns), i % columns)) flags[i] = 1;
  return { rows, columns, flags } satisfies Support;
}

function page(
  sparsity: ReturnType<typeof certifiedReport>["sparsity"],
  supports: Supports = new Map(),
) {
  return drawReport({ ...certifiedReport(), sparsity }, { ...someExtras, supports });
}

/** The pixels of the only picture of a kind in a page: indices into its palette, row by row. */
function pixelsOf(html: string): number[][] {
  const [, base64] =
    /data:image\/png;base64,([^"]+)" width="\d+"\nalt="the weights of/.exec(html) ?? [];
  const file = Buffer.from(base64 ?? "", "base64");
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const at = file.indexOf("IDAT");
  const rows = inflateSync(file.subarray(at + 4, at + 4 + file.readUInt32BE(at - 4)));
  return Array.from({ length: height }, (_, y) => [
    ...rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)),
  ]);
}

describe("the section on weights", () => {
  it("is not there where nothing is 0", () => {
    expect(page([])).not.toContain('id="weights"');
  });

  it("tells what is left, and in how long clusters", () => {
    const text = page([{ layer: "conv", before: dense, after: figures }]);
    expect(text).toContain('id="weights"');
    expect(text).toContain("Of 240 weights");
    expect(text).toContain("30 are left");
    expect(text).toMatch(/12.clusters of 2\.5 on average/);
    expect(text).not.toContain("density before");
    const sparse = page([{ layer: "conv", before: figures, after: figures }]);
    expect(sparse).toContain("density before");
  });

  it("compares with what magnitude would have kept, in words, figures and pictures", () => {
    const magnitude = { ...dense, nonZero: 30, clusters: 25 };
    const [scattered, clustered] = [
      supportOf(4, 6, (row, column) => (row + column) % 2 === 0),
      supportOf(4, 6, (_, column) => column < 3),
    ];
    const text = page(
      [{ layer: "fc", before: dense, magnitude, after: figures }],
      new Map([["fc", { magnitude: scattered, after: clustered }]]),
    );
    expect(text.replace(/\s+/g, " ")).toContain(
      "the largest of each layer, would stand in 25 clusters of 1.2",
    );
    expect(text).toContain("by magnitude</th>");
    expect(text.match(/that are not 0, ([^"]+)"/g)).toEqual([
      'that are not 0, before, by magnitude"',
      'that are not 0, after"',
    ]);
    expect(text).toMatch(/of largest magnitude: in clusters of 1\.2<[\s\S]*: in clusters of 2\.5</);
    expect(pixelsOf(text)[0]).toEqual([16, 0, 16, 0, 16, 0]);
  });

  it("draws each weight of a small support", () => {
    const after = supportOf(4, 6, (row, column) => row === column);
    const text = page(
      [{ layer: "fc", before: dense, after: figures }],
      new Map([["fc", { after }]]),
    );
    const pixels = pixelsOf(text);
    expect(pixels).toHaveLength(4);
    for (const [y, row] of pixels.entries())
      expect(row).toEqual(Array.from({ length: 6 }, (_, x) => (x === y ? 16 : 0)));
  });

  it("thins a large support, and loses no weight from sight", () => {
    const after = supportOf(320, 960, (row, column) => row < 2 || (row === 319 && column === 959));
    const text = page(
      [{ layer: "fc", before: dense, after: figures }],
      new Map([["fc", { after }]]),
    );
    const pixels = pixelsOf(text);
    expect([pixels.length, pixels[0].length]).toEqual([160, 480]);
    expect(new Set(pixels[0])).toEqual(new Set([16]));
    expect(pixels[159][479]).toBe(4); // one weight of four
    expect(
      pixels
        .slice(1, 159)
        .flat()
        .every((shade) => shade === 0),
    ).toBe(true);
  });

  it("shows both sides where both have zeros, and keeps hostile names text", () => {
    const layer = '"><script>alert(1)</script>';
    const support = supportOf(2, 2, (row) => row === 0);
    const text = page(
      [{ layer, before: figures, after: figures }],
      new Map([[layer, { before: support, after: support }]]),
    );
    expect(withoutOwnScript(text)).not.toContain("<script");
    expect(text.match(/that are not 0, (before|after)"/g)).toEqual([
      'that are not 0, before"',
      'that are not 0, after"',
    ]);
  });
});
