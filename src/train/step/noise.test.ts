/** @file Noise that a network draws while it trains: how it is distributed, seeded, and differentiated. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { expectHeldGradients, lossesOf } from "../../../test/support/step-gradient.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import type { Feeds } from "../../runtime/values.ts";
import { structureOf } from "../../structure/units/units.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import type { TrainOptions } from "../loop/options.ts";
import { train } from "../loop/train.ts";
import type { Objective } from "./objectives.ts";
import { sgd } from "./optimizers.ts";
import { buildStep } from "./step.ts";
import type { StepOptions } from "./step-options.ts";

/** y = x w + (μ + σ ε), with one ε for each element of x w; `twice` adds another draw. */
function noisyGraph(twice = false): Graph {
  const b = new GraphBuilder("noisy");
  const vector = (name: string, values: readonly number[]) =>
    b.constant(name, tensorOf("float32", [values.length], values));
  b.input("x", "float32", ["N", 2]);
  const w = b.constant("w", tensorOf("float32", [2, 3], [1, 2, 3, 4, 5, 6]));
  const [product] = b.node("MatMul", ["x", w]);
  const draw = (name: string) => b.node("RandomNormalLike", [product], {}, { outputs: [name] })[0];
  const [spread] = b.node("Mul", [draw("noise"), vector("sigma", [0.5, 1, 2])]);
  const [shift] = b.node("Add", [spread, vector("mu", [1, 2, 3])]);
  let [y] = b.node("Add", [product, shift], {}, { outputs: ["once"] });
  if (twice) [y] = b.node("Add", [y, draw("other")]);
  b.output(y, { dtype: "float32", shape: ["N", 3] });
  return b.build();
}

const samples = 4096;
const options: StepOptions = {
  inputShapes: new Map([["x", [samples, 2]]]),
  target: undefined,
  optimizer: sgd({ momentum: 0 }),
  objective: meanOf("noise", "noise"),
};
const x = tensorOf("float32", [samples, 2], [...randomOf(3).normals(2 * samples)]);
const feeds: Feeds = new Map([["x", x]]);

/** The mean of the products of two values, or of one value. What the parameters do counts nothing. */
function meanOf(a: string, b?: string): Objective {
  return ({ emit, values, prediction }) => {
    const [first, second] = [values.get(a), values.get(b ?? "")];
    if (first === undefined) throw new Error(`no value ${a}`);
    const meanOver = (value: Value) => emit.op("ReduceMean", [value], { keepdims: 0 });
    const mean = meanOver(second ? emit.mul(first, second) : first);
    return emit.add(mean, emit.mul(meanOver(prediction), emit.scalar(0)));
  };
}

/** Σ y³ / N: its gradients depend on the noise. */
const cubes: Objective = ({ emit, prediction }) => {
  const cube = emit.mul(prediction, emit.mul(prediction, prediction));
  return emit.op("ReduceMean", [cube], { keepdims: 0 });
};

describe("noise in a step", () => {
  const build = (more: Partial<StepOptions> = {}, graph = noisyGraph()) =>
    buildStep(graph, { ...options, ...more });

  it("is standard normal", async () => {
    const count = 3 * samples;
    const moments = [
      [meanOf("noise"), 0, 1],
      [meanOf("noise", "noise"), 1, 2],
    ] as const;
    for (const [objective, mean, variance] of moments)
      for (const loss of await lossesOf(build({ objective }), feeds, 3))
        expect(Math.abs(loss - mean)).toBeLessThan(4 * Math.sqrt(variance / count));
  });

  it("is drawn anew at every step, and again the same with the same seed", async () => {
    const first = await lossesOf(build({ noiseSeed: 1 }), feeds, 4);
    expect(new Set(first).size).toBe(4);
    expect(await lossesOf(build({ noiseSeed: 1 }), feeds, 4)).toEqual(first);
    expect((await lossesOf(build({ noiseSeed: 2 }), feeds))[0]).not.toBe(first[0]);
  });

  it("differs from node to node", async () => {
    const step = build({ objective: meanOf("noise", "other") }, noisyGraph(true));
    const [covariance] = await lossesOf(step, feeds);
    expect(Math.abs(covariance)).toBeLessThan(4 / Math.sqrt(3 * samples));
  });

  it("makes the step noisy, and what scales and shifts it is trained", () => {
    const step = build({ objective: cubes });
    expect(step.isNoisy).toBe(true);
    expect([...step.parameters].sort()).toEqual(["mu", "sigma", "w"]);
  });

  it("has gradients that finite differences confirm while it is held", async () => {
    const graph = noisyGraph();
    const shapes = new Map([["x", [8, 2]]]);
    const own = { objective: cubes, inputShapes: shapes, noiseSeed: 5 };
    const small = tensorOf(
      "float32",
      [8, 2],
      [...randomOf(4).normals(16)].map((v) => v / 4),
    );
    const at = (changed: Graph) => buildStep(changed, { ...options, ...own });
    await expectHeldGradients(at, graph, new Map([["x", small]]), ["w", "mu", "sigma"]);
  });

  it("is a barrier for pruning", () => {
    const { units } = structureOf(noisyGraph());
    expect(units.every(({ reason }) => reason !== undefined)).toBe(true);
  });
});

describe("noise in a run", () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-noise-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let dataset: Dataset;
  beforeAll(async () => {
    await writeQuadrants(join(folder, "data"));
    dataset = await openDataset(join(folder, "data"));
  });

  /** The features of the small network plus noise of a trained scale. */
  function noisyQuadrants(): Graph {
    const graph = quadrantNetwork();
    const b = new GraphBuilder("noise");
    b.input("flat", "float32", ["N", 64]);
    const sigma = new Float32Array(64).fill(0.1);
    const scale = b.constant("sigma", tensorOf("float32", [64], sigma));
    const [noise] = b.node("RandomNormalLike", ["flat"], {}, { outputs: ["eps"], name: "draw" });
    const scaled = b.node("Mul", [noise, scale], {}, { outputs: ["scaled"], name: "scale" });
    b.node("Add", ["flat", ...scaled], {}, { outputs: ["features"], name: "spread" });
    const added = b.build();
    const nodes = graph.nodes.flatMap((node) =>
      node.inputs.includes("flat")
        ? [
            ...added.nodes,
            { ...node, inputs: node.inputs.map((v) => (v === "flat" ? "features" : v)) },
          ]
        : [node],
    );
    return { ...graph, nodes, constants: new Map([...graph.constants, ...added.constants]) };
  }

  it("is the same after interruptions", async () => {
    const graph = noisyQuadrants();
    const settings: TrainOptions = { epochs: 2, batchSize: 32, learningRate: 0.02, threads: 1 };
    const place = (name: string) => ({
      path: join(folder, `${name}.safetensors`),
      everySteps: 5,
      resumes: true,
    });
    const bytesOf = async (more: Partial<TrainOptions>) => {
      const { final } = await train(graph, dataset, { ...settings, ...more });
      return Buffer.from(concatBytes(final.bytes)).toString("base64");
    };
    const whole = await bytesOf({ checkpoint: place("whole") });
    for (const stop of [3, 8, 14]) {
      const controller = new AbortController();
      const run = train(graph, dataset, {
        ...settings,
        checkpoint: place("parts"),
        signal: controller.signal,
        onProgress: ({ step }) => step >= stop && controller.abort(),
      });
      await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    }
    expect(await bytesOf({ checkpoint: place("parts") })).toBe(whole);
    expect(await bytesOf({ checkpoint: place("other"), seed: 1 })).not.toBe(whole);
  });
});
