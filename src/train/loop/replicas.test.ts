/** @file Runs with replicas: they learn, repeat, resume, and serve whatever else trains. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import type { Dataset } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { evaluate } from "../../measure/evaluation/evaluate.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { sgd } from "../step/optimizers.ts";
import { cosine } from "../step/schedules.ts";
import { chooseReplicas } from "./choose-replicas.ts";
import type { TrainOptions, TrainResult } from "./options.ts";
import { train } from "./train.ts";
import { tuneQuantised } from "./tune-quantised.ts";

const folder = scratchFolder("replicas");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const graph = quadrantNetwork();
const options: TrainOptions = {
  epochs: 3,
  batchSize: 32,
  learningRate: 0.02,
  schedule: cosine(),
  threads: 2,
  replicas: 2,
  augment: { crop: 1 },
};
const bytesOf = ({ final }: Pick<TrainResult, "final">) =>
  Buffer.from(concatBytes(final.bytes)).toString("base64");

describe("a run with replicas", () => {
  it("learns as well as one without", async () => {
    const result = await train(graph, dataset, { ...options, epochs: 8 });
    expect((await evaluate(result.final.bytes.chunks, dataset)).value).toBeGreaterThan(0.85);
    expect(result.steps).toBe(96);
    const [first, last] = [result.history[0], result.history[7]];
    expect(last.loss).toBeLessThan(first.loss / 2);
    expect(last.accuracy).toBeGreaterThan(first.accuracy ?? 1);
  });

  it("takes the steps of one session where nothing but the order of sums differs", async () => {
    const plain = { ...options, statistics: "frozen" as const, epochs: 1 };
    const [one, three] = [
      await train(graph, dataset, { ...plain, replicas: 1 }),
      await train(graph, dataset, { ...plain, replicas: 3 }),
    ];
    expect(three.history[0].loss).toBeCloseTo(one.history[0].loss, 4);
    expect(three.history[0].accuracy).toBeCloseTo(one.history[0].accuracy ?? -1, 2);
  });

  it.each([
    ["Dropout and momentum", quadrantNetwork({ dropout: 0.3 }), {}],
    ["three replicas of unequal shares", graph, { replicas: 3 }],
    ["clipping", graph, { clipNorm: 0.5, optimizer: sgd({ nesterov: true }) }],
  ])("is repeated and resumed to the same bytes: %s", async (name, network, more) => {
    const all: TrainOptions = { ...options, ...more };
    const path = join(folder, name.replaceAll(" ", "-"), "state.safetensors");
    mkdirSync(join(path, ".."));
    const checkpoint = { path, everySteps: 5, resumes: true };
    const whole = await train(network, dataset, {
      ...all,
      checkpoint: { ...checkpoint, path: `${path}.whole` },
    });
    const stop = new AbortController();
    const stopped = train(network, dataset, {
      ...all,
      checkpoint,
      signal: stop.signal,
      onProgress: ({ step }) => step === 17 && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    const resumed = await train(network, dataset, { ...all, checkpoint });
    expect(bytesOf(resumed)).toBe(bytesOf(whole));
    expect(resumed.history).toEqual(whole.history);
  });

  it("is not resumed with another number of them", async () => {
    const path = join(folder, "two", "state.safetensors");
    mkdirSync(join(path, ".."));
    const checkpoint = { path, resumes: true };
    await train(graph, dataset, { ...options, epochs: 1, checkpoint });
    await expect(
      train(graph, dataset, { ...options, epochs: 1, checkpoint, replicas: 1 }),
    ).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
  });

  it("follows a teacher without looking at labels", async () => {
    const { final } = await train(graph, dataset, { ...options, epochs: 4 });
    const { history } = await train(quadrantNetwork(), dataset, {
      ...options,
      teacher: final.graph,
      learningRate: 0.01,
    });
    expect(history[2].loss).toBeLessThan(history[0].loss);
  });

  it.each([
    ["rounded weights", { bits: 3 }],
    ["codebooks", { codebook: 4 }],
  ])("tunes %s, to the same bytes each time", async (_, pack) => {
    const model = readModel(
      concatBytes(encodeGraph((await train(graph, dataset, options)).final.graph)),
    );
    const tune = () => tuneQuantised(model, dataset, pack, { ...options, epochs: 2 });
    const [a, b] = [await tune(), await tune()];
    expect(a.training.steps).toBe(24);
    expect(a.training.history).toEqual(b.training.history);
    expect(a.training.history[0].loss).toBeGreaterThan(0);
  });

  it("ends with an error that names step and tensor when a number is not finite", async () => {
    const failing = train(graph, dataset, { ...options, learningRate: 1e30 });
    await expect(failing).rejects.toMatchObject({ code: "TRAINING_DIVERGED" });
    const error = await failing.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(EspalierError);
    expect(String(error)).toMatch(/Step \d+ .*is not finite/);
  });
});

describe("what replicas cannot divide", () => {
  it("is refused: a batch that is too small, a provider that is not the CPU", async () => {
    const small = train(graph, dataset, { ...options, batchSize: 2, replicas: 3 });
    await expect(small).rejects.toMatchObject({ code: "USAGE" });
    const elsewhere = train(graph, dataset, { ...options, providers: ["webgpu"] });
    await expect(elsewhere).rejects.toMatchObject({ code: "USAGE" });
    const half = train(graph, dataset, { ...options, replicas: 1.5 });
    await expect(half).rejects.toMatchObject({ code: "USAGE" });
  });

  it("is refused where the file fixes its batch", async () => {
    await expect(train(fixedBatch(8), dataset, options)).rejects.toThrow(
      /fixes its batch at 8, which replicas cannot divide/,
    );
  });
});

/** A network that reshapes through the number of its samples, so that no other fits. */
function fixedBatch(samples: number): Graph {
  const b = new GraphBuilder("fixed");
  const shape = (name: string, sizes: readonly bigint[]) =>
    b.constant(name, { dtype: "int64", shape: [sizes.length], data: BigInt64Array.from(sizes) });
  b.input("input", "float32", [samples, 1, 8, 8]);
  const [rows] = b.node("Reshape", ["input", shape("rows", [BigInt(samples), 64n])]);
  const [columns] = b.node("Transpose", [rows], { perm: [1, 0] });
  const [folded] = b.node("Reshape", [columns, shape("folded", [64n, BigInt(samples)])]);
  const [back] = b.node("Transpose", [folded], { perm: [1, 0] });
  const w = b.constant("w", {
    dtype: "float32",
    shape: [64, 4],
    data: new Float32Array(256).fill(0.1),
  });
  b.node("MatMul", [back, w], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: [samples, 4] });
  return b.build();
}

describe("the choice of a number", () => {
  it("tries what threads and batch allow, and takes a fast one", async () => {
    const { replicas, timings } = await chooseReplicas(graph, dataset, {
      ...options,
      replicas: 1,
      threads: 3,
      batchSize: 64,
    });
    expect(timings.map((timing) => timing.replicas)).toEqual([1, 2, 3]);
    const times = timings.map(({ msPerStep }) => msPerStep);
    expect(times.every((ms) => ms > 0)).toBe(true);
    const own = timings.find((timing) => timing.replicas === replicas)?.msPerStep ?? Infinity;
    expect(own).toBeLessThanOrEqual(times[0]);
    const few = await chooseReplicas(graph, dataset, { ...options, batchSize: 31, threads: 4 });
    expect(few).toMatchObject({ replicas: 1, timings: [{ replicas: 1 }] });
  });
});
