/** @file Tables in a narrow terminal. */
import { describe, expect, it } from "vitest";
import { displayWidth } from "../../words/text.ts";
import { drawFacts, drawTable } from "./table.ts";

const columns = [
  { title: "layer", isFlexible: true },
  { title: "MACs", align: "right" },
] as const;

describe("a table", () => {
  it("lines its columns up", () => {
    expect(
      drawTable(
        columns,
        [
          ["stem", "1.5 M"],
          ["a/longer/name", "12 K"],
        ],
        { columns: 80 },
      ),
    ).toBe(["layer           MACs", "stem           1.5 M", "a/longer/name   12 K", ""].join("\n"));
  });

  it.each([40, 60, 80])("fits %i columns, whatever names there are", (width) => {
    const text = drawTable(
      columns,
      [
        ["x".repeat(200), "1"],
        ["漢".repeat(100), "2"],
        ["\x1b[2J".repeat(30), "3"],
      ],
      { columns: width },
    );
    for (const line of text.split("\n")) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    expect(text.split("\n")).toHaveLength(5);
  });

  it("is bold at the top only where colour was allowed", () => {
    expect(drawTable(columns, [], { columns: 80, hasColor: true })).toContain("\x1b[1m");
    expect(drawTable(columns, [], { columns: 80 })).not.toContain("\x1b");
  });
});

describe("facts", () => {
  it("stand beside their names", () => {
    expect(
      drawFacts(
        [
          ["size", "1 MB"],
          ["opset", "17\n"],
        ],
        80,
      ),
    ).toBe("size   1 MB\nopset  17\\n\n");
  });

  it("lose their middle where they are too long, but not a word of prose", () => {
    const text = "trains noisy gates and removes what noise drowns";
    const drawn = drawFacts(
      [
        ["path", text],
        ["method", { prose: text }],
      ],
      30,
    );
    expect(drawn.split("\n")).toEqual([
      expect.stringMatching(/^path {4}\S.*…/),
      "method  trains noisy gates and",
      "        removes what noise",
      "        drowns",
      "",
    ]);
    for (const line of drawn.split("\n")) expect(line.length).toBeLessThanOrEqual(30);
  });
});
