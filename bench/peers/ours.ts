/** @file Our side of the comparison: the training step of the library, on onnxruntime. */
import type { Graph } from "../../src/ir/graph.ts";
import { findBlockSize } from "../../src/runtime/block-size.ts";
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { openStep } from "../../src/train/loop/open-step.ts";
import { labels } from "../../src/train/step/objectives.ts";
import type { Optimizer } from "../../src/train/step/optimizers.ts";
import { sharesOf } from "../../src/train/step/replica-step.ts";
import { buildStep } from "../../src/train/step/step.ts";
import type { Batch } from "./cases.ts";

/** A network that learns. */
export interface Learner {
  /** One step; answers the loss. Call again before it settles, and the batch lies ready. */
  step(batch: Batch): Promise<number>;
  /** Parameters and running statistics by name. */
  weights(): Promise<ReadonlyMap<string, HostTensor>>;
  close(): Promise<void>;
}

/** In place of the next value of a parameter, its gradient: what a step computes, unrounded. */
export const gradientsThemselves: Optimizer = {
  name: "gradients",
  decay: 0,
  slots: [],
  scalars: [],
  scalarsAt: () => [],
  update: ({ gradient, slots }) => ({ parameter: gradient, slots }),
};

/** How a network learns. */
export interface LearnerOptions {
  readonly optimizer: Optimizer;
  readonly rate: number;
  readonly threads: number;
  /** Sessions that share every batch and the threads; default 1. */
  readonly replicas?: number;
  /** A batch of the shapes that all will have. */
  readonly sample: Batch;
}

/** Opens the training step of a network with cross-entropy. */
export async function openLearner(graph: Graph, options: LearnerOptions): Promise<Learner> {
  const { optimizer, rate, threads, replicas = 1, sample } = options;
  const [batchSize] = sample.x.shape;
  const steps = sharesOf(batchSize, replicas).map((samples) =>
    buildStep(graph, {
      inputShapes: new Map([["input", sample.x.shape.with(0, samples)]]),
      target: { dtype: sample.y.dtype, shape: sample.y.shape.with(0, samples) },
      objective: labels(),
      optimizer,
      share: samples / batchSize,
    }),
  );
  const [step] = steps;
  const { initial, target = "target", loss } = step;
  const trainer = await openStep(steps, {
    plan: { batchSize, replicas, threads },
    block: await findBlockSize(),
    state: initial,
    noiseSeed: "0",
  });
  let at = 0;
  return {
    async step({ x, y }) {
      const feeds = new Map([
        ["input", copyOf(x)],
        [target, copyOf(y)],
        ...step.scalars(at++, rate),
      ]);
      const { status, results } = await trainer.step(feeds, [loss]);
      const value = results.get(loss);
      if (status !== "done" || value === undefined) throw new Error(`a step was ${status}`);
      return toNumbers(value)[0];
    },
    async weights() {
      return step.weightsOf(await trainer.readState(step.weightState));
    },
    close: () => trainer.close(),
  };
}

/** Feeds change owner, and the batch is used again. */
function copyOf(tensor: HostTensor): HostTensor {
  return { ...tensor, data: tensor.data.slice() };
}
