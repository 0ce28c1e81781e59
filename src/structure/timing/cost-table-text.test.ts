/** @file Cost tables as text: what is printed is what is read, and what is no table is refused with its faults. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CostTable, LayerTimes } from "./cost-table.ts";
import { costsToCsv, costsToJson, parseCosts } from "./cost-table-text.ts";

const time = fc.double({ min: 0, max: 1e6, noNaN: true });
const widths = fc
  .uniqueArray(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 })
  .map((list) => list.sort((a, b) => a - b));
// Any text that a row can hold: line ends do not appear in names.
const name = fc
  .string({ minLength: 1, maxLength: 20 })
  .map((text) => text.replaceAll(/[\r\n]/g, " "));
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 2, maxLength: 2 });

const layer: fc.Arbitrary<LayerTimes> = fc
  .record({
    operator: name,
    form: fc.constantFrom("dense", "grouped"),
    groups: fc.integer({ min: 1, max: 8 }),
    kernel: sizes,
    input: sizes,
    output: sizes,
    inputs: widths,
    outputs: widths,
    times: fc.infiniteStream(time),
  })
  .map(({ times, groups, form, ...kind }) => ({
    ...kind,
    form,
    groups: form === "grouped" ? groups : 1,
    dtype: "float32",
    strides: [1, 2],
    dilations: [1, 1],
    ms: kind.inputs.map(() => kind.outputs.map(() => times.next().value)),
  }));

const table: fc.Arbitrary<CostTable> = fc
  .record({
    nodeMs: time,
    layers: fc.array(layer, { maxLength: 4 }),
    others: fc.uniqueArray(
      fc
        .record({ operator: name, detail: name, elements: widths })
        .chain((other) =>
          fc
            .array(time, { minLength: other.elements.length, maxLength: other.elements.length })
            .map((ms) => ({ ...other, ms })),
        ),
      { maxLength: 4, selector: ({ operator, detail }) => `${operator} ${detail}` },
    ),
    machine: name,
  })
  .map(({ nodeMs, layers, others, machine }) => ({
    format: "espalier-costs",
    version: 1,
    source: { machine, engine: "an engine 1", provider: "cpu", threads: 2 },
    nodeMs,
    layers,
    others,
    networks: [{ name: "net", layers: 3, macs: 1000, params: 10, ms: 1.5 }],
  }));

/** -0 is printed as 0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("what is printed is read again", () => {
  it.each([
    ["JSON", costsToJson],
    ["CSV", costsToCsv],
  ])("as %s", (_, print) => {
    fc.assert(
      fc.property(table, (written) => {
        expect(plain(parseCosts(print(written)))).toEqual(plain(written));
      }),
    );
  });
});

const small: CostTable = {
  format: "espalier-costs",
  version: 1,
  source: { machine: "m", engine: "e", provider: "cpu", threads: 1 },
  nodeMs: 0.001,
  layers: [
    {
      operator: "Conv",
      form: "dense",
      groups: 1,
      dtype: "float32",
      kernel: [3, 3],
      strides: [1, 1],
      dilations: [1, 1],
      input: [1, 8, 8],
      output: [1, 8, 8],
      inputs: [4, 8],
      outputs: [8],
      ms: [[1], [2]],
    },
  ],
  others: [],
  networks: [],
};

/** The small table with other values in its only layer. */
const withLayer = (change: object): string =>
  JSON.stringify({ ...small, layers: [{ ...small.layers[0], ...change }] });

describe("what is no table is refused with its faults", () => {
  it.each([
    ["no JSON", "{", "not JSON"],
    ["another format", JSON.stringify({ ...small, format: "plan" }), "format"],
    ["a later version", JSON.stringify({ ...small, version: 2 }), "version"],
    ["unknown fields", JSON.stringify({ ...small, more: 1 }), "more"],
    ["times below 0", withLayer({ ms: [[-1], [2]] }), "layers.0.ms.0.0"],
    ["times that are no numbers", withLayer({ ms: [["1"], [2]] }), "layers.0.ms.0.0"],
    ["a missing row", withLayer({ ms: [[1]] }), "a row for each of the inputs"],
    ["a missing time", withLayer({ ms: [[1], []] }), "a time for each of the outputs"],
    ["widths that do not ascend", withLayer({ inputs: [8, 4] }), "must ascend"],
    ["widths of 0", withLayer({ inputs: [0, 4] }), "layers.0.inputs.0"],
    ["no widths", withLayer({ inputs: [], ms: [] }), "layers.0.inputs"],
    ["groups of a dense layer", withLayer({ groups: 2 }), "only grouped layers"],
    ["a depthwise layer that reads more", withLayer({ form: "depthwise" }), "inputs must be [1]"],
    ["strides of another rank", withLayer({ strides: [1] }), "layers.0"],
    ["sizes beyond all networks", withLayer({ input: [1, 2 ** 40, 8] }), "layers.0.input.1"],
    [
      "too many widths",
      withLayer({ inputs: Array.from({ length: 1001 }, (_, i) => i + 1) }),
      "inputs",
    ],
    [
      "threads of 0",
      JSON.stringify({ ...small, source: { ...small.source, threads: 0 } }),
      "threads",
    ],
    ["CSV without a source", "table,operator\n", "first line"],
    ["CSV without columns", "# {}\ntable,operator\n", "columns are missing"],
    [
      "CSV with a missing time",
      costsToCsv({
        ...small,
        layers: [
          {
            ...small.layers[0],
            outputs: [4, 8],
            ms: [
              [1, 2],
              [3, 4],
            ],
          },
        ],
      })
        .split("\n")
        .slice(0, -2)
        .join("\n"),
      "times are missing",
    ],
    ["an empty text", "", "first line"],
  ])("%s", (_, text, fault) => {
    expect(() => parseCosts(text)).toThrow(expect.objectContaining({ code: "COSTS_INVALID" }));
    expect(() => parseCosts(text)).toThrow(fault);
  });

  it("any text, without another error", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(() => parseCosts(text)).toThrow(expect.objectContaining({ code: "COSTS_INVALID" }));
      }),
    );
  });

  it("any damage of a table, or reads a table", () => {
    const text = costsToCsv(small);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 2 }), (at, put) => {
        try {
          expect(parseCosts(text.slice(0, at) + put + text.slice(at + 1)).format).toBe(
            "espalier-costs",
          );
        } catch (error) {
          expect(error).toMatchObject({ code: "COSTS_INVALID" });
        }
      }),
    );
  });
});
