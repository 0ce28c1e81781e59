/** @file Propagated correlations against closed forms and against sampled activations. */
import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { withSession } from "../../runtime/session.ts";
import { structureOf } from "../../structure/units/units.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { correlationsOf } from "./correlations.ts";
import { readersOf } from "./readers.ts";
import { momentsOf } from "./statistics.ts";

/** White noise → BN → 1x1 conv → BN → Relu → 1x1 conv → BN → Leaky, all channels standard normal. */
function network(signs: readonly number[]) {
  const b = new GraphBuilder();
  const width = signs.length;
  const vector = (values: ArrayLike<number>) =>
    b.constant(undefined, tensorOf("float32", [values.length], values));
  const norm = (x: string, scale: ArrayLike<number>, variance: ArrayLike<number>, name: string) => {
    const zeros = vector(new Float32Array(scale.length));
    const inputs = [x, vector(scale), zeros, zeros, vector(variance)];
    return b.node("BatchNormalization", inputs, { epsilon: 1e-12 }, { outputs: [name] })[0];
  };
  const ones = (length: number) => new Float32Array(length).fill(1);
  const x = b.input("x", "float32", ["N", 3, 8, 8]);
  const a = norm(x, ones(3), ones(3), "a");
  const weight = normals([width, 3, 1, 1], "w");
  const rows = toNumbers(weight);
  const norms = signs.map((_, o) =>
    rows.slice(3 * o, 3 * o + 3).reduce((sum, v) => sum + v * v, 0),
  );
  const [z] = b.node("Conv", [a, b.constant("w", weight)], {}, { name: "conv" });
  const n = norm(z, signs, norms, "n");
  const [h] = b.node("Relu", [n], {}, { outputs: ["h"] });
  const last = b.constant("last", normals([2, width, 1, 1], "last"));
  const [y] = b.node("Conv", [h, last], {}, { name: "reader" });
  b.output(y, { dtype: "float32", shape: undefined });
  b.output("h", { dtype: "float32", shape: undefined });
  return { graph: b.build(), rows, norms };
}

const signs = [1, -1, 1, 1, -1];
const width = signs.length;
const { graph, rows, norms } = network(signs);
const structure = structureOf(graph);
const readers = readersOf(structure);
const known = correlationsOf(structure, readers, momentsOf(structure.analysis)).between;

/** Correlation of two Gaussian channels: that of their weights, signed by their scales. */
const ofWeights = (a: number, b: number): number => {
  let dot = 0;
  for (let i = 0; i < 3; i++) dot += rows[3 * a + i] * rows[3 * b + i];
  return (signs[a] * signs[b] * dot) / Math.sqrt(norms[a] * norms[b]);
};

describe("correlations", () => {
  it("behind a 1x1 convolution and batch normalization are those of the weights, with signs", () => {
    for (let a = 0; a < width; a++)
      for (let b = 0; b < width; b++)
        expect(known.get("n")?.[a * width + b]).toBeCloseTo(ofWeights(a, b), 6);
  });

  it("behind ReLU are near the arc-cosine formula (Cho and Saul 2009)", () => {
    for (let a = 0; a < width; a++)
      for (let b = 0; b < width; b++) {
        const r = Math.min(1, Math.max(-1, ofWeights(a, b)));
        const both = (Math.sqrt(1 - r * r) + r * (Math.PI - Math.acos(r))) / (2 * Math.PI);
        const want = (both - 1 / (2 * Math.PI)) / (0.5 - 1 / (2 * Math.PI));
        expect(Math.abs((known.get("h")?.[a * width + b] ?? 0) - want)).toBeLessThan(0.1);
      }
  });

  it("are near those that onnxruntime shows on white noise", async () => {
    const x = normals([64, 3, 8, 8], "noise");
    const out = await withSession(concatBytes(encodeGraph(graph)), {}, (session) =>
      session.run(new Map([["x", x]]), ["h"]),
    );
    const h = toNumbers(out.get("h") ?? x);
    const columns = Array.from({ length: width }, (_, c) =>
      Float64Array.from(
        { length: 64 * 64 },
        (_, i) => h[(Math.floor(i / 64) * width + c) * 64 + (i % 64)],
      ),
    );
    const centred = columns.map((column) => {
      const mean = column.reduce((sum, v) => sum + v, 0) / column.length;
      return column.map((v) => v - mean);
    });
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i], 0);
    for (let a = 0; a < width; a++)
      for (let b = 0; b < width; b++) {
        const want =
          dot(centred[a], centred[b]) /
          Math.sqrt(dot(centred[a], centred[a]) * dot(centred[b], centred[b]));
        expect(Math.abs((known.get("h")?.[a * width + b] ?? 0) - want)).toBeLessThan(0.15);
      }
  });

  it("follow channels through moves, by their units", () => {
    const b = new GraphBuilder();
    const width = 4;
    const x = b.input("x", "float32", [1, 2, 8, 8]);
    const [z] = b.node("Conv", [x, b.constant("w", normals([width, 2, 1, 1], "moves"))]);
    const ones = b.constant("ones", tensorOf("float32", [width], new Float32Array(width).fill(1)));
    const [n] = b.node("BatchNormalization", [z, ones, ones, ones, ones], {}, { outputs: ["n"] });
    const order = [2, 0, 3, 1];
    const indices = b.constant("order", tensorOf("int64", [width], order));
    const [g] = b.node("Gather", [n, indices], { axis: 1 }, { outputs: ["g"] });
    const [y] = b.node("Conv", [g, b.constant("w2", normals([2, width, 1, 1], "w2"))]);
    b.output(y);
    const moved = structureOf(b.build());
    const correlations = correlationsOf(moved, readersOf(moved), momentsOf(moved.analysis)).between;
    const [before, after] = [correlations.get("n"), correlations.get("g")];
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++)
        expect(after?.[i * width + j]).toBeCloseTo(before?.[order[i] * width + order[j]] ?? 9, 9);
  });
});
