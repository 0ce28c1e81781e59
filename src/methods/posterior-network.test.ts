/** @file Posteriors as networks: what they draw, against closed forms and integrals. */
import { describe, expect, it } from "vitest";
import { folderOf, npyFile, zipFile } from "../../test/data-files.ts";
import { openDataset } from "../data/dataset.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { withSeeds } from "../measure/evaluation/draws.ts";
import { evaluateClasses } from "../measure/evaluation/evaluate.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { withSession } from "../runtime/session.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import { structureOf } from "../structure/units/units.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { gatesOf } from "./gates/filter-gates-sites.ts";
import { gateMemory, withRandomGates, withRandomWeights } from "./posterior-network.ts";
import { variationalScales, variationalWeights } from "./variational/variational-layers.ts";
import { rememberedIn } from "./variational/variational-start.ts";

function floats(shape: readonly number[], values: readonly number[]): HostTensor {
  return tensorOf("float32", shape, values);
}

/** The network with deviations in place of weights, as `snr` remembers it. */
function memoryOf(graph: Graph, deviations: Readonly<Record<string, readonly number[]>>): Graph {
  const structure = structureOf(graph);
  const weights = variationalWeights(structure, "weight");
  const posteriors = weights.flatMap(({ weight, shape, filterAxis }) => {
    const own = deviations[weight];
    if (own === undefined) return [];
    const all = { means: new Float64Array(sizeOf(shape)), deviations: Float64Array.from(own) };
    return [{ weight, shape, filterAxis, prior: 1, ...all }];
  });
  return rememberedIn(graph, posteriors, variationalScales(structure, weights));
}

/** y of many runs of a network: [runs][elements]. */
async function runsOf(graph: Graph, x: HostTensor, runs: number): Promise<Float64Array[]> {
  return withSession(encodeGraph(withSeeds(graph, 1)).chunks, { threads: 1 }, async (session) => {
    const results: Float64Array[] = [];
    for (let run = 0; run < runs; run++) {
      const [y] = (await session.run(new Map([["x", x]]))).values();
      results.push(toNumbers(y));
    }
    return results;
  });
}

function momentsOf(values: readonly number[]): {
  readonly mean: number;
  readonly variance: number;
} {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

/** logits = x w with w [2, 2]. */
function linear(weights: readonly number[]): Graph {
  const b = new GraphBuilder("linear");
  b.input("x", "float32", ["N", 2]);
  b.constant("w", floats([2, 2], weights));
  b.node("MatMul", ["x", "w"], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 2] });
  return b.build();
}

/** E[1 / (1 + exp(-z))] of z ~ N(mean, variance), by the trapezoidal rule. */
function expectedSigmoid(mean: number, variance: number): number {
  const [deviation, step] = [Math.sqrt(variance), 1e-3];
  let sum = 0;
  for (let u = -8; u <= 8; u += step)
    sum += (Math.exp(-(u ** 2) / 2) * step) / (1 + Math.exp(-(mean + deviation * u)));
  return sum / Math.sqrt(2 * Math.PI);
}

describe("a network with random weights", () => {
  const rows = [
    [1, 2],
    [-0.5, 1],
    [2, 0.3],
  ];
  const means = [0.4, -0.6, 0.9, 0.2];
  const deviations = [0.3, 0.8, 0.5, 0.1];

  it("predicts what the integral over its weights says", async () => {
    const graph = linear(means);
    const random = withRandomWeights(structureOf(graph), memoryOf(graph, { w: deviations }));
    const parts = [
      { name: "x.npy", content: npyFile("<f4", [3, 2], Float32Array.from(rows.flat())) },
      { name: "y.npy", content: npyFile("<i4", [3], Int32Array.of(1, 0, 0)) },
    ];
    const dataset = await openDataset(await folderOf({ "test.npz": zipFile(parts) }));
    const evaluate = async (seed: number) => {
      const model = encodeGraph(withSeeds(random, seed)).chunks;
      const options = { draws: 4000, keepOutputs: true, threads: 1 };
      return evaluateClasses(model, dataset, options);
    };
    const { predictions, brier, loss } = await evaluate(0);
    const expected = rows.map(([u, v]) => {
      // z is the difference of the two logits.
      const mean = u * (means[1] - means[0]) + v * (means[3] - means[2]);
      const [a, c, d, e] = deviations.map((deviation) => deviation ** 2);
      return expectedSigmoid(mean, u * u * (a + c) + v * v * (d + e));
    });
    for (const [i, chance] of expected.entries())
      expect(predictions.outputs?.[2 * i + 1]).toBeCloseTo(chance, 1.7);
    const right = [expected[0], 1 - expected[1], 1 - expected[2]];
    const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v / 3, 0);
    expect(loss).toBeCloseTo(mean(right.map((p) => -Math.log(p))), 1.5);
    expect(brier.value).toBeCloseTo(mean(right.map((p) => 2 * (1 - p) ** 2)), 1.5);

    expect((await evaluate(0)).predictions).toEqual(predictions);
    expect((await evaluate(1)).loss).not.toBe(loss);
  });

  it("draws one weight for all positions, as pooling needs it", async () => {
    const b = new GraphBuilder("pooled");
    b.input("x", "float32", ["N", 1, 4, 4]);
    b.constant("w", floats([1, 1, 1, 1], [1.5]));
    const [map] = b.node("Conv", ["x", "w"]);
    b.node("GlobalAveragePool", [map], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 1, 1, 1] });
    const graph = b.build();
    const random = withRandomWeights(structureOf(graph), memoryOf(graph, { w: [0.4] }));
    const x = floats(
      [1, 1, 4, 4],
      Array.from({ length: 16 }, (_, i) => i / 8),
    );
    const { mean, variance } = momentsOf((await runsOf(random, x, 4000)).map(([y]) => y));
    const input = 15 / 16;
    expect(mean).toBeCloseTo(1.5 * input, 1);
    // Independent positions would give a sixteenth of it, or so.
    expect(variance / (0.4 * input) ** 2).toBeCloseTo(1, 1);
  });

  it("does not draw weights that were set to 0", async () => {
    const graph = linear([0.4, 0, 0, 0.2]);
    const random = withRandomWeights(structureOf(graph), memoryOf(graph, { w: deviations }));
    const x = tensorOf("float32", [1, 2], [1, 0]); // reads the first row: 0.4, and 0
    const results = await runsOf(random, x, 20);
    expect(new Set(results.map(([y]) => y)).size).toBe(20);
    expect(new Set(results.map(([, y]) => y))).toEqual(new Set([0]));
  });

  it("is the network itself where nothing is random", () => {
    const graph = linear(means);
    const random = withRandomWeights(structureOf(graph), memoryOf(graph, { w: [0, 0, 0, 0] }));
    expect(random.nodes).toEqual(graph.nodes);
  });
});

describe("a network with random gates", () => {
  /** y = relu(x first + bias) second, with 3 hidden units. */
  function twoLayers(): Graph {
    const b = new GraphBuilder("two layers");
    b.input("x", "float32", ["N", 2]);
    b.constant("first", floats([2, 3], [1, 2, 0.5, 1, -0.5, 2]));
    b.constant("bias", floats([3], [0.1, 0.2, 0.3]));
    b.constant("second", floats([3, 1], [1, -2, 0.7]));
    const [hidden] = b.node("Gemm", ["x", "first", "bias"], {}, { name: "hidden" });
    const [active] = b.node("Relu", [hidden]);
    b.node("MatMul", [active, "second"], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 1] });
    return b.build();
  }

  it("has the noise of each filter relative to it, of those that were not removed", async () => {
    const graph = twoLayers();
    const structure = structureOf(graph);
    const gates = gatesOf(structure);
    expect(gates).toHaveLength(1);
    // σ/|μ| = 0.1, 0.25 and 3, which counts as 1.
    const means = Float64Array.of(2, -1, 0.1);
    const variances = Float64Array.of(0.04, 1 / 16, 0.09);
    const memory = gateMemory(structure, graph, new Map([[gates[0], { means, variances }]]));
    const whole = withRandomGates(structure, memory);
    const x = floats([1, 2], [1, 1]);
    const hidden = [2.1, 1.7, 2.8];
    const second = [1, -2, 0.7];
    const expectNoise = async (random: Graph, ratios: readonly number[]) => {
      const { mean, variance } = momentsOf((await runsOf(random, x, 4000)).map(([y]) => y));
      const parts = hidden.map((h, i) => (Number.isNaN(ratios[i]) ? 0 : h * second[i]));
      expect(mean).toBeCloseTo(
        parts.reduce((sum, part) => sum + part, 0),
        0.8,
      );
      const expected = parts.reduce((sum, part, i) => sum + (part * (ratios[i] || 0)) ** 2, 0);
      expect(Math.abs(variance / expected - 1)).toBeLessThan(0.1);
    };
    // The third gate is below 0 at times, where ReLU ends its noise: small ratios first.
    const removed = new Uint8Array(structure.units.length);
    removed[gates[0].units[2]] = 1;
    const small = removeUnits(structure, removed);
    const smallMemory = removeUnits(structureOf(memory), removed);
    await expectNoise(withRandomGates(structureOf(small), smallMemory), [0.1, 0.25, Number.NaN]);
    const values = (await runsOf(whole, x, 2000)).map(([y]) => y);
    expect(momentsOf(values).variance).toBeGreaterThan(1);
  });
});
