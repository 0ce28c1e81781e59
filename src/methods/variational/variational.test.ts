/** @file Random weights in a network: their distribution, gradients, optimum, and the way back. */
import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { type Graph, newNode } from "../../ir/graph.ts";
import { verifyGraph } from "../../ir/verify.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { trainingForm } from "../../ops/passes/training.ts";
import { withSession } from "../../runtime/session.ts";
import { structureOf } from "../../structure/units/units.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { insertNoise, meanNetwork, momentsOfWeight } from "./variational.ts";
import { type NoiseForm, noiseForms, variationalWeights } from "./variational-layers.ts";
import type { SigmaForm } from "./variational-noise.ts";

const spread = { deviation: 0.3, limit: 2 };

/** One linear layer of each kind, by what it is. */
function layerGraph(
  opType: string,
  weight: HostTensor,
  input: readonly (number | string)[],
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
  bias?: HostTensor,
): Graph {
  const b = new GraphBuilder("layer");
  const x = b.input("x", "float32", input);
  const inputs = [x, b.constant("w", weight), ...(bias ? [b.constant("b", bias)] : [])];
  const [y] = b.node(opType, inputs, attributes, { name: "layer", outputs: ["y"] });
  // Something behind it, so that units end here.
  const [z] = b.node("Relu", [y], {}, { outputs: ["z"] });
  b.output(z);
  b.output(y);
  return b.build();
}

const pads = [1, 1, 1, 1];
const layers: readonly (readonly [string, Graph, HostTensor])[] = [
  [
    "Conv",
    layerGraph("Conv", normals([3, 2, 3, 3], "w"), ["N", 2, 4, 4], { pads }, normals([3], "b")),
    normals([1, 2, 4, 4], "x"),
  ],
  [
    "grouped Conv",
    layerGraph("Conv", normals([4, 1, 3, 3], "w"), ["N", 2, 4, 4], { pads, group: 2 }),
    normals([1, 2, 4, 4], "x"),
  ],
  [
    "ConvTranspose",
    layerGraph("ConvTranspose", normals([2, 3, 2, 2], "w"), ["N", 2, 2, 2], { strides: [2, 2] }),
    normals([1, 2, 2, 2], "x"),
  ],
  [
    "Gemm",
    layerGraph("Gemm", normals([5, 3], "w"), ["N", 5], { alpha: 0.5 }, normals([3], "b")),
    normals([1, 5], "x"),
  ],
  [
    "transposed Gemm",
    layerGraph("Gemm", normals([3, 5], "w"), ["N", 5], { transB: 1 }),
    normals([1, 5], "x"),
  ],
  ["MatMul", layerGraph("MatMul", normals([5, 3], "w"), ["N", 5]), normals([1, 5], "x")],
  [
    "MatMul over positions",
    layerGraph("MatMul", normals([5, 3], "w"), ["N", 2, 5]),
    normals([1, 2, 5], "x"),
  ],
];

/** The graph with the seeds that training would assign. */
function seeded(graph: Graph): Graph {
  let seed = 100;
  const context = {
    fresh: (stem: string) => stem,
    constant: () => "",
    usesBatchStatistics: false,
    seed: () => seed++,
  };
  return { ...graph, nodes: graph.nodes.map((node) => trainingForm(node, context)) };
}

/** y of `runs` runs with `copies` copies of x: rows are draws. */
async function draws(graph: Graph, x: HostTensor, copies: number, runs: number) {
  const data = Array.from({ length: copies }, () => [...toNumbers(x)]).flat();
  const all = tensorOf("float32", [copies, ...x.shape.slice(1)], data);
  return withSession(encodeGraph(seeded(graph)).chunks, { threads: 1 }, async (session) => {
    const rows: Float64Array[] = [];
    for (let i = 0; i < runs; i++) {
      const results = await session.run(new Map([["x", structuredClone(all)]]));
      const y = toNumbers(results.get("y") ?? all);
      const size = y.length / copies;
      for (let n = 0; n < copies; n++) rows.push(y.slice(n * size, (n + 1) * size));
    }
    return rows;
  });
}

function covariance(rows: readonly Float64Array[], i: number, j: number): number {
  const mean = (k: number) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length;
  const [a, b] = [mean(i), mean(j)];
  return rows.reduce((sum, row) => sum + (row[i] - a) * (row[j] - b), 0) / rows.length;
}

/** The exact covariance of the elements of y: σ² Σ over weights of dy_i/dw dy_j/dw. */
async function exactCovariance(graph: Graph, x: HostTensor) {
  const weight = graph.constants.get("w");
  if (weight === undefined) throw new Error("no weight");
  const columns: Float64Array[] = [];
  const size = sizeOf(weight.shape);
  const yOf = async (values: ArrayLike<number>) => {
    const own = { ...weight, read: () => tensorOf("float32", weight.shape, values) };
    const changed = { ...graph, constants: new Map(graph.constants).set("w", own) };
    const results = await withSession(encodeGraph(changed).chunks, { threads: 1 }, (session) =>
      session.run(new Map([["x", structuredClone(x)]])),
    );
    return toNumbers(results.get("y") ?? x);
  };
  const base = await yOf(new Float64Array(size));
  for (let k = 0; k < size; k++) {
    const unit = new Float64Array(size);
    unit[k] = 1;
    columns.push((await yOf(unit)).map((value, i) => value - base[i]));
  }
  return (i: number, j: number) =>
    spread.deviation ** 2 * columns.reduce((sum, column) => sum + column[i] * column[j], 0);
}

describe.each(layers)("noise in %s", (_, graph, x) => {
  const structure = structureOf(graph);
  const insert = (noise: NoiseForm, sigma: SigmaForm) => {
    const weights = variationalWeights(structure, noise);
    expect(weights.map((own) => [own.weight, own.noise])).toEqual([["w", noise]]);
    return { weights, own: insertNoise(graph, weights, sigma, () => spread) };
  };

  it.each(noiseForms.flatMap((noise) => [[noise, "weight"] as const, [noise, "filter"] as const]))(
    "has the right mean and variance as %s with one σ per %s",
    async (noise, sigma) => {
      const { own } = insert(noise, sigma);
      verifyGraph(own.graph);
      // What copies in a batch share is drawn once for them.
      const [copies, runs] = { local: [50, 50], flipout: [8, 500], weight: [1, 1500] }[noise];
      const rows = await draws(own.graph, x, copies, runs);
      const [plain] = await draws(graph, x, 1, 1);
      const exact = await exactCovariance(graph, x);
      const last = plain.length - 1;
      for (const i of [0, last]) {
        const variance = exact(i, i);
        const mean = rows.reduce((sum, row) => sum + row[i], 0) / rows.length;
        expect(Math.abs(mean - plain[i])).toBeLessThan(5 * Math.sqrt(variance / (rows.length / 4)));
        expect(covariance(rows, i, i) / variance).toBeGreaterThan(0.75);
        expect(covariance(rows, i, i) / variance).toBeLessThan(1.3);
      }
      // Neighbours share weights or inputs; only the local form takes them for independent.
      const pairs = plain.length > 3 ? [0, 1] : [0, 2];
      const [i, j] = pairs;
      const scale = Math.sqrt(exact(i, i) * exact(j, j));
      const expected = noise === "local" ? 0 : exact(i, j) / scale;
      expect(Math.abs(covariance(rows, i, j) / scale - expected)).toBeLessThan(0.15);
    },
  );

  it.each(noiseForms)(
    "leaves weights that are 0 alone where these are kept, as %s",
    async (noise) => {
      const w = graph.constants.get("w");
      if (w === undefined) throw new Error("no weight");
      const [{ filterAxis }] = variationalWeights(structure, noise);
      const inner = sizeOf(w.shape.slice(filterAxis + 1));
      const isFirst = (i: number) => Math.floor(i / inner) % w.shape[filterAxis] === 0;
      const values = toNumbers(w.read()).map((value, i) => (isFirst(i) ? 0 : value));
      const zeroed = { ...w, read: () => tensorOf("float32", w.shape, values) };
      const sparse = { ...graph, constants: new Map(graph.constants).set("w", zeroed) };
      const weights = variationalWeights(structureOf(sparse), noise);
      // Even where training has moved the means.
      const { graph: noisy } = insertNoise(sparse, weights, "weight", () => spread, {
        keepsZeros: true,
      });
      verifyGraph(noisy);
      const moved = { ...noisy, constants: new Map(noisy.constants).set("w", w) };
      const rows = await draws(moved, x, 1, 12);
      const [plain] = await draws(sparse, x, 1, 1);
      const size = plain.length / w.shape[filterAxis];
      // A filter makes a channel of images, and every so many elements of vectors.
      const ofFirst = (i: number) =>
        x.shape.length === 4 ? i < size : i % w.shape[filterAxis] === 0;
      for (const [i, expected] of plain.entries()) {
        const spreadHere = Math.max(...rows.map((row) => Math.abs(row[i] - expected)));
        if (ofFirst(i)) expect(spreadHere).toBeLessThan(2e-3);
        else expect(spreadHere).toBeGreaterThan(0.05);
      }
    },
  );

  it.each(noiseForms)("is gone in the mean network, as %s", (noise) => {
    const { weights, own } = insert(noise, "weight");
    const mean = meanNetwork(graph, own.graph);
    expect(mean.nodes).toBe(graph.nodes);
    expect([...mean.constants.keys()]).toEqual([...graph.constants.keys()]);
    for (const [name, constant] of mean.constants)
      expect([constant.shape, constant.read()]).toEqual([
        graph.constants.get(name)?.shape,
        graph.constants.get(name)?.read(),
      ]);
    const { means, deviations } = momentsOfWeight(own.graph, own, weights[0], spread.limit);
    expect(means).toEqual(toNumbers(graph.constants.get("w")?.read() ?? x));
    for (const deviation of deviations) expect(deviation).toBeCloseTo(spread.deviation, 6);
  });
});

describe("the choice of noise", () => {
  it("is what is exact", () => {
    const b = new GraphBuilder("choices");
    const conv = (name: string, input: string, from: number, to: number, side: number) =>
      b.node("Conv", [input, b.constant(name, normals([to, from, side, side], name))])[0];
    const x = b.input("x", "float32", ["N", 2, 6, 6]);
    const shared = b.constant("shared", normals([4, 4, 1, 1], "shared"));
    const [first] = b.node("Relu", [conv("early", x, 2, 4, 3)]);
    const [once] = b.node("Conv", [first, shared]);
    const [twice] = b.node("Conv", [once, shared]);
    const scores = conv("head", twice, 4, 3, 1);
    const [probabilities] = b.node("Softmax", [scores], { axis: 1 });
    const whole = conv("whole", twice, 4, 5, 4);
    const [flat] = b.node("Flatten", [whole]);
    const [dense] = b.node("MatMul", [flat, b.constant("dense", normals([5, 2], "dense"))]);
    b.output(probabilities);
    b.output(dense);
    const chosen = variationalWeights(structureOf(b.build()), "auto");
    expect(Object.fromEntries(chosen.map(({ weight, noise }) => [weight, noise]))).toEqual({
      early: "flipout",
      shared: "weight",
      head: "local",
      whole: "local",
      dense: "local",
    });
    const forced = variationalWeights(structureOf(b.build()), "local");
    expect(forced.map(({ noise }) => noise)).toEqual([
      "local",
      "weight",
      "local",
      "local",
      "local",
    ]);
  });

  it("leaves out what is read in other ways too", () => {
    const graph = layers[5][1];
    const extra = newNode("other", "Neg", ["w"], "negative");
    const own = {
      ...graph,
      nodes: [...graph.nodes, extra],
      outputs: [...graph.outputs, "negative"],
    };
    expect(variationalWeights(structureOf(own), "auto")).toEqual([]);
    expect(roleOf(extra).kind).toBe("other");
  });
});
