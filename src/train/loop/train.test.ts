/** @file Training runs: what they learn, how they end, and that they go on to the same bytes. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import type { Dataset } from "../../data/dataset.ts";
import { preprocessingKey } from "../../data/stored-preprocessing.ts";
import type { Graph } from "../../ir/graph.ts";
import { constantOf } from "../../ir/graph.ts";
import { evaluate } from "../../measure/evaluation/evaluate.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { labels, type Objective } from "../step/objectives.ts";
import { adam, sgd } from "../step/optimizers.ts";
import { cosine } from "../step/schedules.ts";
import type { TrainOptions, TrainProgress } from "./options.ts";
import { train } from "./train.ts";

const folder = scratchFolder("train");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const graph = quadrantNetwork();
const loss = labels();
const options: TrainOptions = {
  epochs: 3,
  batchSize: 32,
  learningRate: 0.02,
  schedule: cosine(),
  threads: 1,
  augment: { crop: 1 },
};
const digestOf = (values: unknown) =>
  Buffer.from((values as Float32Array).buffer).toString("base64");
const bytesOf = (result: { final: { bytes: Parameters<typeof concatBytes>[0] } }) =>
  Buffer.from(concatBytes(result.final.bytes)).toString("base64");

describe("a training run", () => {
  it("draws the samples of each shorter epoch anew", async () => {
    const seen: string[][] = [];
    const watched: Dataset = {
      ...dataset,
      async *batches(role, how) {
        const epoch: string[] = [];
        if (role === "fit" && how.shuffle !== undefined) seen.push(epoch);
        for await (const batch of dataset.batches(role, how)) {
          epoch.push(digestOf(batch.input.data));
          yield batch;
        }
      },
    };
    const short = { ...options, epochSamples: 100, augment: undefined };
    const result = await train(graph, watched, short);
    expect(result.steps).toBe(9);
    expect(seen.map(({ length }) => length)).toEqual([3, 3, 3]);
    expect(new Set(seen.flat()).size).toBe(9);
  });

  it("refuses an epoch without samples", async () => {
    await expect(train(graph, dataset, { ...options, epochSamples: 0 })).rejects.toMatchObject({
      code: "USAGE",
    });
  });

  it("learns, and tells how it goes", async () => {
    const progress: TrainProgress[] = [];
    const before = await evaluate((await trainNothing()).chunks, dataset);
    const result = await train(graph, dataset, {
      ...options,
      epochs: 8,
      onProgress: (one) => progress.push(one),
    });
    const after = await evaluate(result.final.bytes.chunks, dataset);
    expect(before.value).toBeLessThan(0.6);
    expect(after.value).toBeGreaterThan(0.85);
    // 400 samples are 12 full batches of 32.
    expect(result).toMatchObject({ end: "completed", steps: 96, warnings: [] });
    expect(result.history.map(({ epoch, step }) => [epoch, step])).toEqual(
      Array.from({ length: 8 }, (_, epoch) => [epoch, 12 * (epoch + 1)]),
    );
    const [first, last] = [result.history[0], result.history[7]];
    expect(last.loss).toBeLessThan(first.loss / 2);
    expect(last.accuracy).toBeGreaterThan(first.accuracy ?? 1);
    const scores = result.history.map(({ select }) => select?.value ?? 0);
    expect(result.best.score?.value).toBe(Math.max(...scores));
    expect(result.best.epoch).toBe(scores.indexOf(Math.max(...scores)));
    const training = progress.filter(({ phase }) => phase === "train");
    expect(training.map(({ step }) => step)).toEqual(Array.from({ length: 96 }, (_, i) => i + 1));
    expect(training.every((one) => one.imagesPerSecond > 0 && one.secondsLeft >= 0)).toBe(true);
    expect(training[0].learningRate).toBe(0.02);
  });

  it.each([0, 2])("goes back behind epoch %i if that broke the network", async (broken) => {
    const seen: string[] = [];
    const result = await train(graph, dataset, {
      ...options,
      epochs: 5,
      checksMemorisation: false,
      rollsBack: ({ epoch }) => epoch === broken,
      async evaluator({ bytes }) {
        seen.push(bytesOf({ final: { bytes } }));
        return { metric: "places", value: -seen.length, loss: 1 };
      },
    });
    expect(result).toMatchObject({ end: "rolled-back", steps: 12 * (broken + 1) });
    expect(result.history).toHaveLength(broken + 1);
    expect(bytesOf(result)).toBe(seen[broken]);
    const kept = bytesOf({ final: result.best });
    if (broken > 0) expect(kept).toBe(seen[broken - 1]);
    else
      for (const name of ["conv.weight", "bn.variance", "dense.bias"])
        expect(result.best.graph.constants.get(name)?.read().data, name).toEqual(
          graph.constants.get(name)?.read().data,
        );
  });

  it("tells parts of the loss apart", async () => {
    const objective: Objective = (context) => {
      const { emit, prediction, tell } = context;
      const own = loss(context);
      tell?.("half", algebraOf(emit, prediction).mul(own, 0.5));
      tell?.("constant", emit.scalar(0.25));
      tell?.("own", own);
      return own;
    };
    const { history } = await train(graph, dataset, { ...options, objective });
    expect(history).toHaveLength(3);
    for (const { loss: whole, terms } of history) {
      expect(terms?.constant).toBeCloseTo(0.25, 12);
      expect(terms?.half).toBeCloseTo(whole / 2, 6);
    }
  });

  it("gives a network for inference, with preprocessing and the statistics of its batches", async () => {
    const { final } = await train(graph, dataset, options);
    const model = readModel(concatBytes(final.bytes));
    expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(
      graph.nodes.map(({ opType }) => opType),
    );
    expect(model.graph.inputs).toEqual(graph.inputs);
    expect(JSON.parse(model.metadata.get(preprocessingKey) ?? "")).toMatchObject({
      scale: 1 / 255,
    });
    for (const name of ["conv.weight", "bn.scale", "bn.mean", "bn.variance", "dense.bias"])
      expect(model.graph.constants.get(name)?.read().data).not.toEqual(
        graph.constants.get(name)?.read().data,
      );
  });

  it("patches the file that it was given", async () => {
    const model = readModel(concatBytes(await trainNothing()));
    const { final, best } = await train(model, dataset, { ...options, epochs: 1 });
    const trained = readModel(concatBytes(final.bytes));
    expect([trained.producer, trained.opset, trained.irVersion]).toEqual([
      model.producer,
      model.opset,
      model.irVersion,
    ]);
    expect([...trained.graph.constants.keys()]).toEqual([...model.graph.constants.keys()]);
    expect(concatBytes(best.bytes)).toEqual(concatBytes(final.bytes));
  });

  it("is the same each time, and another one with another seed", async () => {
    const [a, b, c] = [
      await train(graph, dataset, options),
      await train(graph, dataset, options),
      await train(graph, dataset, { ...options, seed: 1 }),
    ];
    expect(bytesOf(b)).toBe(bytesOf(a));
    expect(b.history).toEqual(a.history);
    expect(bytesOf(c)).not.toBe(bytesOf(a));
  });

  it("follows a teacher without looking at labels", async () => {
    const teacher = (await train(graph, dataset, { ...options, epochs: 8 })).final;
    const result = await train(graph, dataset, { ...options, epochs: 8, teacher: teacher.graph });
    const right = await evaluate(result.final.bytes.chunks, dataset);
    expect(right.value).toBeGreaterThan(0.8);
    expect(result.history[7].loss).toBeLessThan(result.history[0].loss / 2);
  });

  it("freezes statistics when told so", async () => {
    const result = await train(graph, dataset, { ...options, epochs: 1, statistics: "frozen" });
    const read = (source: Graph, name: string) => source.constants.get(name)?.read().data;
    expect(read(result.final.graph, "bn.mean")).toEqual(read(graph, "bn.mean"));
    expect(read(result.final.graph, "bn.scale")).not.toEqual(read(graph, "bn.scale"));
  });
});

/** The network as a file, untrained. */
async function trainNothing() {
  const { encodeGraph } = await import("../../onnx/writing/encode-graph.ts");
  return encodeGraph(graph);
}

describe("the end of a run", () => {
  it("comes early when `select` gets no better", async () => {
    const values = [0.5, 0.7, 0.6, 0.7, 0.9];
    let at = 0;
    const result = await train(graph, dataset, {
      ...options,
      epochs: 5,
      patience: 2,
      checksMemorisation: false,
      evaluator: async () => ({ metric: "fake", value: values[at++], loss: 0 }),
    });
    expect(result.end).toBe("early-stop");
    expect(result.history.length).toBe(4);
    expect(result.best.epoch).toBe(1);
    expect(bytesOf({ final: result.best })).not.toBe(bytesOf(result));
  });

  it("comes when the time is spent", async () => {
    let now = 0;
    const result = await train(graph, dataset, {
      ...options,
      timeBudgetSeconds: 1,
      clock: () => (now += 20),
    });
    expect(result.end).toBe("time-budget");
    expect(result.steps).toBeGreaterThan(2);
    expect(result.steps).toBeLessThan(36);
  });

  it("is an error that names step and tensor when a number is not finite", async () => {
    await expect(train(graph, dataset, { ...options, learningRate: 1e30 })).rejects.toMatchObject({
      code: "TRAINING_DIVERGED",
      data: { step: expect.any(Number), tensor: expect.stringMatching(/value|parameter|gradient/) },
    });
    const broken: Graph = {
      ...graph,
      constants: new Map(graph.constants).set(
        "dense.bias",
        constantOf("dense.bias", tensorOf("float32", [4], [0, 0, Number.NaN, 0])),
      ),
    };
    await expect(
      train(broken, dataset, { ...options, checksMemorisation: false }),
    ).rejects.toMatchObject({
      code: "TRAINING_DIVERGED",
      message: 'Step 0 (epoch 1): the parameter "dense.bias" is not finite.',
    });
  });

  it("comes when the caller says so", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const run = train(graph, dataset, {
      ...options,
      signal,
      onProgress: ({ step }) => {
        if (step === 7) controller.abort();
      },
    });
    await expect(run).rejects.toMatchObject({
      code: "ABORTED",
      data: { step: expect.any(Number) },
    });
  });
});

describe("a checkpoint", () => {
  const place = (name: string) => join(folder, "runs", `${name}.safetensors`);
  beforeAll(() => mkdirSync(join(folder, "runs")));

  it.each<readonly [string, Graph, Partial<TrainOptions>]>([
    ["SGD with augmentation", graph, {}],
    ["Adam", graph, { optimizer: adam(), augment: undefined }],
    ["Dropout", quadrantNetwork({ dropout: 0.3 }), { optimizer: sgd({ nesterov: true }) }],
    ["rolled back", graph, { epochs: 5, rollsBack: ({ epoch }) => epoch === 2 }],
    [
      "parts of the loss",
      graph,
      {
        objective: (context) => {
          context.tell?.(
            "half",
            algebraOf(context.emit, context.prediction).mul(loss(context), 0.5),
          );
          return loss(context);
        },
      },
    ],
  ] satisfies [string, Graph, Partial<TrainOptions>][])(
    "leads to the same bytes as no interruption: %s",
    async (name, network, more) => {
      const checkpoint = { path: place(name), everySteps: 5, resumes: true };
      const all = { ...options, ...more };
      const whole = await train(network, dataset, {
        ...all,
        checkpoint: { ...checkpoint, path: place(`${name} whole`) },
      });
      for (const stop of [3, 9, 14, 26]) {
        const controller = new AbortController();
        const run = train(network, dataset, {
          ...all,
          checkpoint,
          signal: controller.signal,
          onProgress: ({ step }) => step >= stop && controller.abort(),
        });
        await expect(run).rejects.toMatchObject({ code: "ABORTED" });
      }
      const resumed = await train(network, dataset, { ...all, checkpoint });
      expect(resumed.history).toEqual(whole.history);
      expect(bytesOf(resumed)).toBe(bytesOf(whole));
      expect(bytesOf({ final: resumed.best })).toBe(bytesOf({ final: whole.best }));
      // A run that is over gives its result again.
      expect(bytesOf(await train(network, dataset, { ...all, checkpoint }))).toBe(bytesOf(whole));
    },
  );

  it("of another run is refused", async () => {
    const checkpoint = { path: place("other"), resumes: true };
    await train(graph, dataset, { ...options, epochs: 1, checkpoint });
    await expect(
      train(graph, dataset, { ...options, epochs: 1, learningRate: 0.03, checkpoint }),
    ).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
  });

  it("leaves no other files", () => {
    expect(readdirSync(join(folder, "runs")).every((name) => name.endsWith(".safetensors"))).toBe(
      true,
    );
  });
});
