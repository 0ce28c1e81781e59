/** @file Gates before layers that select what they read: folding, derivatives, and what methods make of them. */
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { normals, runGraph } from "../../../test/support/bn-network.ts";
import { contextOf, expectExactRemoval, learning } from "../../../test/support/learning.ts";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { selectingNetwork, variants } from "../../../test/support/selecting-network.ts";
import type { Dataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { buildNetwork } from "../../models/registry.ts";
import { structureOf } from "../../structure/units/units.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { bn } from "../bn.ts";
import { importance } from "../importance.ts";
import { magnitude } from "../magnitude.ts";
import { rbp } from "../rbp.ts";
import { snr } from "../snr.ts";
import { vib } from "../vib.ts";
import { foldGates, insertGates } from "./filter-gates.ts";
import { gatesOf } from "./filter-gates-sites.ts";
import { taylorScores } from "./gate-taylor.ts";
import { insertNoisyGates, randomizable } from "./noisy-gates.ts";

const how = { selectsInputs: true };
const folder = scratchFolder("selection-gates");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

/** Flatten and two dense layers [64, 6, 4]; or a convolution of 3 filters and maximum pooling before them. */
function network(hasConv: boolean): Graph {
  const b = new GraphBuilder("small");
  let x = b.input("input", "float32", ["N", 1, 8, 8]);
  if (hasConv) {
    const parameters = [
      b.constant("conv.w", normals([3, 1, 3, 3], "conv.w", 0.4)),
      b.constant("conv.b", normals([3], "conv.b", 0.1)),
    ];
    const [y] = b.node("Conv", [x, ...parameters], {}, { name: "conv" });
    [x] = b.node("MaxPool", b.node("Relu", [y]), { kernel_shape: [2, 2], strides: [2, 2] });
  }
  [x] = b.node("Flatten", [x], { axis: 1 });
  const features = hasConv ? 27 : 64;
  for (const [name, inputs, outputs] of [
    ["fc1", features, 6],
    ["fc2", 6, 4],
  ] as const) {
    const parameters = [
      b.constant(`${name}.w`, normals([outputs, inputs], `${name}.w`, 0.4)),
      b.constant(`${name}.b`, normals([outputs], `${name}.b`, 0.1)),
    ];
    [x] = b.node("Gemm", [x, ...parameters], { transB: 1 }, { name });
    if (name === "fc1") [x] = b.node("Relu", [x]);
  }
  b.output(x, { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

/** What a method is given of a network whose layers may select. */
function contextFor(graph: Graph, options: Readonly<Record<string, string>> = {}) {
  const context = contextOf(graph, dataset, options);
  return { ...context, structure: structureOf(context.model.graph, how) };
}

const unitsOf = (structure: ReturnType<typeof structureOf>, id: string): readonly number[] =>
  structure.groups.find((group) => group.id === id)?.units ?? [];

describe("gates before layers that select", () => {
  it("stand before the pixels of LeNet-300-100 and the features of LeNet-5", () => {
    const gated = (name: string) => {
      const structure = structureOf(buildNetwork(name, { seed: 0 }), how);
      return gatesOf(structure).map(({ group, units }) => [
        structure.groups[group].id,
        units.length,
      ]);
    };
    expect(gated("lenet-300-100")).toEqual([
      ...[
        ["fc1/inputs", 784],
        ["fc1", 300],
      ],
      ["fc2", 100],
    ]);
    expect(gated("lenet5-caffe")).toEqual([
      ...[
        ["conv1", 20],
        ["conv2", 50],
      ],
      ...[
        ["fc1/inputs", 800],
        ["fc1", 500],
      ],
    ]);
  });

  it("fold into the columns of their layer, whatever their factors", async () => {
    let gated = 0;
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const graph = selectingNetwork(variant);
        const gates = gatesOf(structureOf(graph, how));
        gated += gates.filter(({ sites }) => sites[0].selects !== undefined).length;
        const random = randomOf(variant.seed, "factors");
        const inserted = insertGates(graph, gates, ({ units }) =>
          Float64Array.from(units, () => random.normal()),
        );
        const folded = foldGates(graph, inserted.graph, gates, inserted.names);
        expect(folded.nodes.map(({ name, outputs }) => [name, ...outputs])).toEqual(
          graph.nodes.map(({ name, outputs }) => [name, ...outputs]),
        );
        const x = normals([variant.isBatchSymbolic ? 3 : 1, 2, 7, 7], `${variant.seed}/x`);
        const [wanted, got] = [await runGraph(inserted.graph, x), await runGraph(folded, x)];
        const scale = Math.max(...wanted.map(Math.abs), 1);
        for (const [i, value] of wanted.entries())
          expect(Math.abs(value - got[i]) / scale).toBeLessThan(1e-5);
      }),
      { numRuns: 60, seed: 3 },
    );
    expect(gated).toBeGreaterThan(20);
  });

  it("with little noise change little, and with noise draw for each example and feature", async () => {
    const graph = network(false);
    const structure = structureOf(graph, how);
    const gates = randomizable(gatesOf(structure), structure);
    const noisy = insertNoisyGates(graph, gates, "gaussian");
    const x = normals([2, 1, 8, 8], "x");
    const [wanted, got] = [await runGraph(graph, x), await runGraph(noisy.graph, x)];
    const largest = Math.max(...wanted.map((value, i) => Math.abs(value - got[i])));
    expect(largest).toBeLessThan(0.2);
    expect(largest).toBeGreaterThan(0);
  });

  it("have the derivative that algebra gives", async () => {
    // Logits W x: a dL/da of pixel i is x_i Σ over k of (p_k - y_k) W[k, i].
    const b = new GraphBuilder("linear");
    const input = b.input("input", "float32", ["N", 1, 8, 8]);
    const weight = normals([64, 4], "w", 0.2);
    const [flat] = b.node("Flatten", [input], { axis: 1 });
    const [logits] = b.node("MatMul", [flat, b.constant("w", weight)], {}, { name: "fc" });
    b.output(logits, { dtype: "float32", shape: ["N", 4] });
    const graph = b.build();
    const structure = structureOf(graph, how);
    const [gate] = gatesOf(structure);
    const scores = await taylorScores(graph, [gate], dataset, {
      training: { ...learning, batchSize: 40 },
      images: 400,
      seed: 0,
    });
    const expected = new Float64Array(64);
    const w = toNumbers(weight);
    for await (const { input, labels } of dataset.batches("fit", { batchSize: 400 })) {
      const pixels = toNumbers(input);
      for (const [n, label] of [...(labels ?? [])].entries()) {
        const x = pixels.slice(64 * n, 64 * (n + 1));
        const z = [0, 1, 2, 3].map((k) => x.reduce((sum, v, i) => sum + v * w[4 * i + k], 0));
        const total = z.reduce((sum, v) => sum + Math.exp(v), 0);
        const error = z.map((v, k) => Math.exp(v) / total - Number(label === k));
        for (const [i, v] of x.entries())
          expected[i] += (v * error.reduce((sum, e, k) => sum + e * w[4 * i + k], 0)) ** 2 / 400;
      }
    }
    for (const [i, value] of (scores.get(gate) ?? []).entries())
      expect(value).toBeCloseTo(expected[i], 6);
  });
});

describe("methods with selections", () => {
  const fast = { epochs: "2", rate: "0.01" };
  const learned = [
    ["vib", vib, { ...fast, "gate-rate": "0.1", lambda: "2" }],
    ["vib by FLOPs", vib, { ...fast, "gate-rate": "0.1", lambda: "2", weight: "flops" }],
    ["rbp", rbp, { ...fast, "gate-rate": "0.1", lambda: "2", coupling: "on" }],
    ["importance", importance, fast],
    ["importance by magnitude", importance, { ...fast, score: "magnitude", init: "l2" }],
    ["snr", snr, fast],
    ["snr by its inputs", snr, { ...fast, score: "input-weighted" }],
  ] as const;
  it.each(
    learned.flatMap(([name, method, options]) =>
      [true, false].map((hasConv) => [name, hasConv, method, options] as const),
    ),
  )(
    "%s scores what is selected, and removes it exactly (conv: %s)",
    async (_, hasConv, method, options) => {
      const context = contextFor(network(hasConv), options);
      const proposal = await method.learn(context);
      const selected = unitsOf(context.structure, "fc1/inputs");
      expect(selected).toHaveLength(hasConv ? 27 : 64);
      expect(selected.every((unit) => Number.isFinite(proposal.scores[unit]))).toBe(true);
      await expectExactRemoval(context, proposal);
    },
  );

  it("magnitude takes the norm of a column, over the layer's mean", () => {
    const context = contextFor(network(false));
    const { scores } = magnitude.propose(context);
    const weight = [...context.model.graph.constants.values()].find(({ name }) => name === "fc1.w");
    const values = weight ? toNumbers(weight.read()) : [];
    const norms = Array.from({ length: 64 }, (_, i) =>
      [0, 1, 2, 3, 4, 5].reduce((sum, o) => sum + Math.abs(values[64 * o + i]), 0),
    );
    const mean = norms.reduce((sum, norm) => sum + norm / 64, 0);
    for (const [i, unit] of unitsOf(context.structure, "fc1/inputs").entries())
      expect(scores[unit]).toBeCloseTo(norms[i] / mean, 5);
  });

  it("bn leaves a channel to what is selected of it", () => {
    const b = new GraphBuilder("bn");
    const x = b.input("input", "float32", ["N", 1, 8, 8]);
    const [y] = b.node(
      "Conv",
      [x, b.constant("w", normals([4, 1, 3, 3], "w", 0.4))],
      {},
      { name: "conv" },
    );
    const vectors = ["scale", "shift", "mean", "variance"].map((name) =>
      b.constant(
        name,
        tensorOf("float32", [4], name === "shift" ? [0, 0.5, -0.5, 1] : [1, 1, 2, 1]),
      ),
    );
    const [n] = b.node("BatchNormalization", [y, ...vectors], {}, { name: "bn" });
    const [flat] = b.node("Flatten", b.node("Relu", [n]), { axis: 1 });
    const head = b.constant("head", normals([144, 4], "head", 0.2));
    b.output(b.node("MatMul", [flat, head], {}, { name: "fc" })[0]);
    const context = contextFor(b.build());
    const { structure } = context;
    const { scores } = bn.propose(context);
    expect(unitsOf(structure, "conv").map((unit) => scores[unit])).toEqual(
      [1, 2, 3, 4].map(() => Number.MAX_VALUE),
    );
    const features = unitsOf(structure, "fc/inputs");
    expect(features.every((unit) => Number.isFinite(scores[unit]))).toBe(true);
  });
});
