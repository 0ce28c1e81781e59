/** @file Supports of weights in figures, against counting by hand, and what `inspect` says of them. */
import { describe, expect, it } from "vitest";
import { smallCnn } from "../../../test/support/small-cnn.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { inspect } from "../inspect.ts";
import { structureOf } from "../units/units.ts";
import { layerWeights, weightConstants } from "./layer-weights.ts";
import { figuresOf, isSparse, layerSupports, magnitudeSupportOf, supportOf } from "./supports.ts";
import { nonZeroModel, withZeros } from "./zeros.ts";

/** Rows of 0 and 1, as text. */
const rowsOf = (text: string) => text.trim().split(/\s+/);

describe("a support", () => {
  it.each([
    ["a row without weights", "000 011", { nonZero: 2, empty: 1, clusters: 1 }],
    ["runs that end where a neuron ends", "011 110", { nonZero: 4, empty: 0, clusters: 2 }],
    ["single weights", "10101 01010", { nonZero: 5, empty: 0, clusters: 5 }],
    ["all of them", "111 111", { nonZero: 6, empty: 0, clusters: 2 }],
  ])("has %s", (_, text, expected) => {
    const rows = rowsOf(text);
    const flags = Uint8Array.from(rows.join(""), Number);
    const support = { rows: rows.length, columns: rows[0].length, flags };
    const size = { weights: flags.length, neurons: rows.length };
    expect(figuresOf(support)).toEqual({ ...size, ...expected });
  });

  it("goes along what comes into a neuron, however the file keeps it", () => {
    const b = new GraphBuilder("layouts");
    b.input("x", "float32", ["N", 3]);
    // [in, out]: neuron 0 reads inputs 0 and 1, neuron 1 reads input 2.
    const w = b.constant("w", tensorOf("float32", [3, 2], [1, 0, 1, 0, 0, 1]));
    const [y] = b.node("Gemm", ["x", w], {}, { name: "in-out" });
    const v = b.constant("v", tensorOf("float32", [2, 2], [0, 1, 1, 1]));
    b.node("Gemm", [y, v], { transB: 1 }, { name: "out-in", outputs: ["z"] });
    b.output("z", { dtype: "float32", shape: ["N", 2] });
    const supports = layerSupports(b.build());
    expect(supports.get("in-out")).toEqual({
      weights: 6,
      nonZero: 3,
      neurons: 2,
      empty: 0,
      clusters: 2,
    });
    expect(supports.get("out-in")).toMatchObject({ nonZero: 3, clusters: 2 });
    const [first] = layerWeights(b.build());
    expect([...supportOf(first).flags]).toEqual([1, 1, 0, 0, 0, 1]);
  });

  it("by magnitude holds the largest elements, and of equal ones the first", () => {
    const b = new GraphBuilder("sizes");
    b.input("x", "float32", ["N", 3]);
    // Neurons read [0.5, -4, 1] and [2, -2, 0].
    const w = b.constant("w", tensorOf("float32", [3, 2], [0.5, 2, -4, -2, 1, 0]));
    b.node("Gemm", ["x", w], {}, { name: "fc", outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 2] });
    const [weight] = layerWeights(b.build());
    const flags = (count: number) => [...magnitudeSupportOf(weight, count).flags].join("");
    expect([0, 1, 2, 3, 4, 9].map(flags)).toEqual([
      ...["000000", "010000", "010100", "010110", "011110", "111111"],
    ]);
  });
});

describe("inspect", () => {
  const model = readModel(smallCnn());
  const [[name, { shape }]] = weightConstants(model.graph);
  const flags = new Uint8Array(shape.reduce((a, b) => a * b)).fill(1, 0, 18);
  const sparse = { ...model, graph: withZeros(model.graph, new Map([[name, flags]])) };

  it("tells the density of each layer and of all", () => {
    const dense = inspect(model);
    expect(dense.density).toBe(1);
    expect(dense.layers.map(({ density }) => density).filter((d) => d !== undefined)).toEqual([
      1, 1, 1,
    ]);
    const { density, layers } = inspect(sparse);
    const total = layers.reduce((sum, l) => sum + (l.density === undefined ? 0 : 1), 0);
    expect(total).toBe(3);
    expect(layers.find((layer) => layer.density !== undefined)?.density).toBe(1 - 18 / 72);
    expect(density).toBeCloseTo(1 - 18 / (72 + 576 + 128), 12);
  });

  it("calls sparse what is it beyond chance", () => {
    expect([1, 0.9995, 0.99, 0.5].map(isSparse)).toEqual([false, false, true, true]);
  });

  it("counts what a removal and zeros leave as counting the smaller network does", () => {
    const structure = structureOf(sparse.graph);
    const count = nonZeroModel(structure);
    const removed = new Uint8Array(structure.units.length);
    expect(count(removed)).toBe(72 + 576 + 128 - 18);
    removed[2] = 1; // a filter of conv1: 9 weights of its own (not 0), 8 x 9 of its reader
    expect(count(removed)).toBe(72 + 576 + 128 - 18 - 9 - 72);
    const all = new Map([[name, new Uint8Array(72).fill(1)]]);
    expect(count(removed, all)).toBe(576 + 128 - 72);
  });
});
