/** @file Scores between epochs, where samples have no class each: pixels, and a teacher. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { idxFile } from "../../../test/data-files.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { trainedNetwork } from "../network/network.ts";
import { labels, teacher } from "../step/objectives.ts";
import { evaluatorOf } from "./evaluation.ts";
import { train } from "./train.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-evaluation-"));
afterAll(() => rmSync(folder, { recursive: true }));
let dataset: Dataset;

/** 96 grey images of 4x4; a pixel's class is whether it is above 127, and unknown (255) if above 250. */
beforeAll(async () => {
  const random = randomOf("pixels");
  const pixels = Uint8Array.from({ length: 96 * 16 }, () => random.integer(256));
  const maps = pixels.map((v) => (v > 250 ? 255 : Number(v > 127)));
  writeFileSync(join(folder, "train-images-idx4-ubyte"), idxFile([96, 4, 4, 1], pixels));
  writeFileSync(join(folder, "train-labels-idx3-ubyte"), idxFile([96, 4, 4], maps));
  dataset = await openDataset(folder);
});

/** One convolution 1x1: [N, 1, 4, 4] → scores [N, 2, 4, 4] ± (slope · x + shift). */
function pixelNetwork(slope: number, shift: number): Graph {
  const b = new GraphBuilder("pixels");
  b.input("x", "float32", ["N", 1, 4, 4]);
  b.constant("w", tensorOf("float32", [2, 1, 1, 1], [-slope, slope]));
  b.constant("b", tensorOf("float32", [2], [-shift, shift]));
  b.node("Conv", ["x", "w", "b"], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 2, 4, 4] });
  return b.build();
}

const options = { objective: labels({ ignoreIndex: 255 }), batchSize: 5, threads: 1 };
const network = (graph: Graph) => trainedNetwork(graph, graph, new Map(), undefined);

describe("label maps", () => {
  it("are scored pixel by pixel, those without a class left out, in batches of any size", async () => {
    const evaluator = evaluatorOf(dataset, options);
    const right = await evaluator(network(pixelNetwork(100, -50)), "fit");
    expect(right.metric).toBe("miou");
    expect(right.value).toBeCloseTo(1, 6);
    const wrong = await evaluator(network(pixelNetwork(-100, 50)), "fit");
    expect(wrong.value).toBeCloseTo(0, 6);
    // Equal scores: the loss is ln 2 whatever the label.
    const undecided = await evaluator(network(pixelNetwork(0, 0)), "select", 7);
    expect(undecided.loss).toBeCloseTo(Math.log(2), 5);
  });

  it("can be learnt", async () => {
    const result = await train(pixelNetwork(0.1, 0), dataset, {
      epochs: 20,
      batchSize: 8,
      learningRate: 0.5,
      threads: 1,
    });
    expect(result.history[19].select).toMatchObject({ metric: "miou" });
    expect(result.best.score?.value).toBeGreaterThan(0.9);
    expect(result.history[19].accuracy).toBeGreaterThan(0.9);
  });
});

it("without labels the score is how well the teacher is followed", async () => {
  const own = mkdtempSync(join(folder, "images"));
  const pixels = Uint8Array.from({ length: 60 * 16 }, (_, i) => (i * 37) % 256);
  writeFileSync(join(own, "train-images-idx4-ubyte"), idxFile([60, 4, 4, 1], pixels));
  const unlabelled = await openDataset(own);
  expect(unlabelled.labelKind).toBe("none");
  const objective = teacher({ temperature: 1 });
  const follow = { ...options, objective, teacher: pixelNetwork(2, -1) };
  const evaluator = evaluatorOf(unlabelled, follow);
  const same = await evaluator(network(pixelNetwork(2, -1)), "fit");
  const other = await evaluator(network(pixelNetwork(-2, 1)), "fit");
  expect(same).toMatchObject({ metric: "objective" });
  expect(same.value).toBeCloseTo(0, 5);
  expect(other.value).toBeLessThan(-0.1);
});
