/** @file How many replicas train a network fastest on this machine, by trying. */
import { availableParallelism } from "node:os";
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import { EspalierError } from "../../errors.ts";
import { median } from "../../measure/statistics/statistics.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import type { TrainSource } from "../network/network.ts";
import { openStep } from "./open-step.ts";
import type { TrainOptions } from "./options.ts";
import { noiseSeedAt, type TrainingRun, trainingRunOf } from "./training-run.ts";

/** A number of replicas, and how long a step takes with it. */
export interface ReplicaTiming {
  readonly replicas: number;
  readonly msPerStep: number;
}

/** What was tried, from one replica on, and the number that is used. */
export interface ReplicaChoice {
  readonly replicas: number;
  readonly timings: readonly ReplicaTiming[];
}

/** Fewer samples say too little of the statistics of batch normalization. */
const leastShare = 16;
/** Steps before those that are timed, and how many or how long these are at least. */
const warmUpSteps = 2;
const leastSteps = 5;
const leastMs = 500;
/** More replicas are used only where they save at least this share of the time. */
const leastSaving = 0.03;

/**
 * Times some steps with 1, 2, 4, ... replicas, up to the number of threads, which they divide among them, and as long as each
 * has 16 samples; gives the fastest number. Nothing is trained. The result depends on how busy the machine is: where
 * a run is to be repeated, keep it. Fails as `train` does before its first step.
 */
export async function chooseReplicas(
  source: TrainSource,
  dataset: Dataset,
  options: TrainOptions,
): Promise<ReplicaChoice> {
  const { threads = availableParallelism(), providers: [provider] = ["cpu"] } = options;
  const one = trainingRunOf(source, dataset, { ...options, replicas: 1 });
  const { batchSize } = one.plan;
  const timings: ReplicaTiming[] = [];
  const most = provider === "cpu" ? Math.min(threads, Math.floor(batchSize / leastShare)) : 1;
  for (const replicas of numbersUpTo(most)) {
    const run = replicas === 1 ? one : runWith(source, dataset, { ...options, replicas });
    if (run !== undefined) timings.push({ replicas, msPerStep: await timeSteps(run) });
  }
  return { replicas: fastestOf(timings), timings };
}

/** 1, 2, 4, ... and `most` itself; 1 alone where that is less than 2. */
function numbersUpTo(most: number): readonly number[] {
  const numbers = [1];
  for (let next = 2; next < most; next *= 2) numbers.push(next);
  return most > 1 ? [...numbers, most] : numbers;
}

/** The run, or `undefined` where its network cannot be divided so. */
function runWith(
  source: TrainSource,
  dataset: Dataset,
  options: TrainOptions,
): TrainingRun | undefined {
  try {
    return trainingRunOf(source, dataset, options);
  } catch (error) {
    if (error instanceof EspalierError && error.code === "USAGE") return undefined;
    throw error;
  }
}

/** The median time of a step. It keeps its state, as its learning rate is 0. */
async function timeSteps({ plan, dataset, feeding, firstSteps }: TrainingRun): Promise<number> {
  const [step] = firstSteps;
  const batch = await firstBatch(dataset, plan.batchSize, plan.signal);
  const feeds = [...feeding.feeds(batch, step.target), ...step.scalars(0, 0)];
  const trainer = await openStep(firstSteps, {
    plan,
    block: await findBlockSize(sessionOptionsOf(plan)),
    state: step.initial,
    noiseSeed: noiseSeedAt(plan, 0),
  });
  try {
    const post = () => trainer.step(structuredClone(new Map(feeds)), [step.loss]);
    const times: number[] = [];
    let running = post();
    let start = plan.clock();
    for (let at = 0, sum = 0; at < warmUpSteps + leastSteps || sum < leastMs; at++) {
      // The next batch lies ready when a step ends, as in training.
      const next = post();
      next.catch(() => undefined);
      await running;
      running = next;
      if (plan.signal?.aborted)
        throw new EspalierError("ABORTED", "Stopped while the number of replicas was chosen.");
      const now = plan.clock();
      if (at >= warmUpSteps) times.push(now - start);
      if (at >= warmUpSteps) sum += now - start;
      start = now;
    }
    await running;
    return median(times);
  } finally {
    await trainer.close();
  }
}

async function firstBatch(
  dataset: Dataset,
  batchSize: number,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  for await (const batch of dataset.batches("fit", { batchSize, dropsLast: true, signal }))
    return batch;
  throw new EspalierError("DATA_NOT_FOUND", "there are no samples to train on");
}

/** The fastest number; a larger one only where it saves enough. */
function fastestOf([first, ...more]: readonly ReplicaTiming[]): number {
  let best = first;
  for (const timing of more)
    if (timing.msPerStep < best.msPerStep * (1 - leastSaving)) best = timing;
  return best.replicas;
}
