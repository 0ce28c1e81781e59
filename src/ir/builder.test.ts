/** @file Built graphs: what the builder makes, the verifier refuses and the printer shows. */
import { describe, expect, it } from "vitest";
import { tensorOf } from "../tensor/host-tensor.ts";
import { GraphBuilder } from "./builder.ts";
import type { Graph } from "./graph.ts";
import { printGraph } from "./print.ts";
import { verifyGraph } from "./verify.ts";

function build(): Graph {
  const b = new GraphBuilder("net");
  const x = b.input("x", "float32", ["N", 3]);
  const w = b.constant("w", tensorOf("float32", [3, 2], [1, 2, 3, 4, 5, 6]));
  const [h] = b.node("Gemm", [x, w, ""], { alpha: 0.5, transA: 0, tags: "a" }, { name: "fc" });
  const [y, z] = b.node("Split", [h], { sizes: [1, 1], ratios: [0.5] }, { outputs: ["y", "z"] });
  b.output(y, { dtype: "float32", shape: ["N", 1] });
  b.output(z);
  return b.build();
}

describe("GraphBuilder", () => {
  it("builds what the printer shows and the verifier accepts", () => {
    const graph = build();
    verifyGraph(graph);
    expect(printGraph(graph)).toBe(
      [
        "graph net (x: float32 [N, 3])",
        "  w = constant float32 [3, 2]  # new",
        '  fc:0 = Gemm(x, w, _) {alpha: 0.5, transA: 0, tags: "a"}  # fc',
        "  y, z = Split(fc:0) {sizes: [1, 1], ratios: [0.5]}  # Split_1",
        "  return y: float32 [N, 1], z: ?",
      ].join("\n"),
    );
  });

  it("refuses a name twice", () => {
    const b = new GraphBuilder();
    b.input("x", "float32", []);
    expect(() => b.input("x", "float32", [])).toThrow('"x" is free');
    expect(() => b.node("Relu", ["x"], {}, { outputs: ["x"] })).toThrow('"x" is free');
  });
});

describe("verifyGraph", () => {
  const graph = build();
  const [fc, split] = graph.nodes;
  it.each([
    {
      what: "a value read before it is defined",
      broken: { nodes: [split, fc] },
      says: "is defined before",
    },
    { what: "a value defined twice", broken: { inputs: ["x", "w"] }, says: "defined once" },
    { what: "a missing output", broken: { outputs: ["q"] }, says: 'output "q" is defined' },
    { what: "an output twice", broken: { outputs: ["y", "y"] }, says: "distinct" },
    {
      what: "two nodes of one name",
      broken: { nodes: [fc, { ...split, name: "fc" }] },
      says: "unique",
    },
    {
      what: "a constant under another name",
      broken: { constants: new Map([["v", graph.constants.get("w")]]) },
      says: "lies under its name",
    },
    {
      what: "a capture that is not there",
      broken: { nodes: [fc, { ...split, captures: ["ghost"] }] },
      says: '"ghost" is defined before',
    },
  ])("finds $what", ({ broken, says }) => {
    expect(() => verifyGraph({ ...graph, ...(broken as Partial<Graph>) })).toThrow(says);
  });
});
