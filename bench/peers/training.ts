/**
 * @file ResNet-20 from scratch on CIFAR-10 beside PyTorch: the same images, initial weights, recipe and
 * learning rate at every step. The order of images, the crops and the flips are each side's own. The
 * last epoch's weights count, and the test images are read once, at the end.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Dataset, openDataset } from "../../src/data/dataset.ts";
import { evaluateClasses } from "../../src/measure/evaluation/evaluate.ts";
import type { Predictions } from "../../src/measure/evaluation/predictions.ts";
import { comparePaired } from "../../src/measure/outcomes/paired.ts";
import { type Interval, median, wilsonInterval } from "../../src/measure/statistics/statistics.ts";
import { type TrainOptions, type TrainPlan, trainPlanOf } from "../../src/train/loop/options.ts";
import { train } from "../../src/train/loop/train.ts";
import { sgd } from "../../src/train/step/optimizers.ts";
import { oneCycle } from "../../src/train/step/schedules.ts";
import { writeArrays } from "./arrays.ts";
import { type Case, graphOf, twinOf, weightsOf } from "./cases.ts";
import { processSeconds } from "./machine.ts";
import { answers, startTorch } from "./torch.ts";

const network: Case = { network: "resnet20", options: {}, batch: 64 };
const pixels = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const momentum = 0.9;
/** Weight decay of all parameters, including those of batch normalization. */
const decay = 5e-4;
const rate = 0.1;
const seed = 0;

/** What to compare, and where. */
export interface TrainingComparison {
  /** CIFAR-10 in binary files. */
  readonly data: string;
  readonly epochs: number;
  /** Only so many training images. */
  readonly limit: number | undefined;
  readonly threads: number;
  /** Where both sides keep what they need to go on after an interruption. */
  readonly folder: string;
}

/** What one side gave. */
interface Side {
  readonly predictions: Predictions;
  /** The times of the epochs that ran now; a side that was over already has none. */
  readonly epochs: readonly EpochTime[];
}

interface EpochTime {
  readonly seconds: number;
  /** Of all threads of the process. */
  readonly cpuSeconds: number;
}

/** Trains on both sides, one after the other; prints accuracies, their difference, and times. */
export async function compareTraining(options: TrainingComparison): Promise<void> {
  const { epochs, limit, threads, data } = options;
  const fit = onlyFit(await openDataset(data, { ...pixels, heldOut: true }));
  const plan: TrainOptions = {
    epochs,
    limit,
    threads,
    seed,
    learningRate: rate,
    batchSize: network.batch,
    optimizer: sgd({ momentum, decay }),
    schedule: oneCycle(),
    augment: { crop: 4, flip: true },
  };
  const { samples, steps } = trainPlanOf(fit, plan);
  print(
    `\nResNet-20 from scratch on ${samples} images of CIFAR-10: ${epochs} epochs (${steps} steps), ` +
      `${threads} ${threads === 1 ? "thread" : "threads"}`,
  );
  const ours = await trainOurs(fit, plan, options);
  printSide("ours", ours);
  const torch = await trainTorch(trainPlanOf(fit, plan), fit, ours.predictions, options);
  printSide("PyTorch", torch);
  const { difference, interval, onlyFirst, onlySecond } = comparePaired(
    torch.predictions,
    ours.predictions,
  );
  print(
    `ours minus PyTorch: ${percent(difference)} points ${range(interval)}, the same ` +
      `${ours.predictions.labels.length} images; right on one side alone: ours ${onlySecond}, PyTorch ${onlyFirst}`,
  );
  if (ours.epochs.length > 0 && torch.epochs.length > 0)
    print(
      `ours / PyTorch: ${ratioOf("seconds", ours, torch)} of the time, ` +
        `${ratioOf("cpuSeconds", ours, torch)} of the processor time`,
    );
}

/** Without the samples that would select or certify: nothing is chosen, and the test stays unread. */
function onlyFit(dataset: Dataset): Dataset {
  return { ...dataset, size: (role) => (role === "fit" ? dataset.size(role) : 0) };
}

async function trainOurs(
  fit: Dataset,
  plan: TrainOptions,
  { data, threads, folder }: TrainingComparison,
): Promise<Side> {
  const epochs: EpochTime[] = [];
  let lap = stopwatch("self");
  const { final } = await train(graphOf(network), fit, {
    ...plan,
    checkpoint: { path: join(folder, "ours.safetensors"), resumes: true },
    onEpoch({ epoch, loss, accuracy = Number.NaN }) {
      const time = lap();
      lap = stopwatch("self");
      epochs.push(time);
      report("ours", epoch + 1, { loss, accuracy }, time);
    },
  });
  const test = await openDataset(data, pixels);
  const { predictions } = await evaluateClasses(final.bytes.chunks, test, {
    split: "test",
    threads,
  });
  return { predictions, epochs };
}

/** PyTorch says which test image it takes for what; `asked` says which images these are. */
async function trainTorch(
  { samples, steps, stepsPerEpoch, schedule, batchSize }: TrainPlan,
  fit: Dataset,
  asked: Predictions,
  { data, epochs: wanted, threads, folder }: TrainingComparison,
): Promise<Side> {
  const numbers: number[] = [];
  for await (const { indices } of fit.batches("fit", { batchSize: 500, limit: samples }))
    numbers.push(...indices);
  const weights = join(folder, "initial");
  writeArrays(weights, weightsOf(graphOf(network)));
  const files = (pattern: RegExp) =>
    readdirSync(data)
      .filter((name) => pattern.test(name) && name.endsWith(".bin"))
      .sort()
      .map((name) => join(data, name));

  const torch = startTorch(threads);
  try {
    await torch.ask("load", answers.load, { ...twinOf(network), weights, threads, double: false });
    const { epochs: done } = await torch.ask("begin", answers.begin, {
      train: files(/^data_batch/),
      test: files(/^test/),
      fit: numbers,
      batch: batchSize,
      ...pixels,
      momentum,
      decay,
      seed,
      state: join(folder, "torch.state"),
    });
    const epochs: EpochTime[] = [];
    for (let epoch = done; epoch < wanted; epoch++) {
      const rates = Array.from(
        { length: stepsPerEpoch },
        (_, step) => rate * schedule(epoch * stepsPerEpoch + step, steps),
      );
      const lap = stopwatch(torch.pid);
      const figures = await torch.ask("epoch", answers.epoch, { rates });
      const time = lap();
      epochs.push(time);
      report("PyTorch", epoch + 1, figures, time);
    }
    const { labels, predicted } = await torch.ask("predict", answers.predict);
    return { predictions: predictionsOf(asked, labels, predicted), epochs };
  } finally {
    torch.close();
  }
}

function predictionsOf(
  { indices }: Predictions,
  labels: readonly number[],
  predicted: readonly number[],
): Predictions {
  return {
    indices,
    labels: Int32Array.from(labels),
    predicted: Int32Array.from(predicted),
    isCorrect: Uint8Array.from(predicted, (label, i) => (label === labels[i] ? 1 : 0)),
    losses: new Float64Array(),
    confidences: new Float64Array(),
    outputs: undefined,
  };
}

function stopwatch(pid: number | "self"): () => EpochTime {
  const [start, cpuStart] = [performance.now(), processSeconds(pid)];
  return () => ({
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: processSeconds(pid) - cpuStart,
  });
}

function report(
  side: string,
  epoch: number,
  { loss, accuracy }: { readonly loss: number; readonly accuracy: number },
  { seconds, cpuSeconds }: EpochTime,
): void {
  process.stderr.write(
    `${side.padEnd(8)} epoch ${epoch}: loss ${loss.toFixed(4)}, right ${percent(accuracy)} %, ` +
      `${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} of processors)\n`,
  );
}

function printSide(name: string, { predictions, epochs }: Side): void {
  const right = predictions.isCorrect.reduce((sum, one) => sum + one, 0);
  const count = predictions.isCorrect.length;
  const time =
    epochs.length === 0
      ? "trained before"
      : `${medianOf("seconds", epochs).toFixed(1)} s an epoch (${medianOf("cpuSeconds", epochs).toFixed(1)} of processors)`;
  print(
    `${name.padEnd(8)} ${percent(right / count)} % right of ${count} test images ` +
      `${range(wilsonInterval(right, count))}, ${time}`,
  );
}

function ratioOf(key: keyof EpochTime, ours: Side, torch: Side): string {
  return (medianOf(key, ours.epochs) / medianOf(key, torch.epochs)).toFixed(2);
}

function medianOf(key: keyof EpochTime, epochs: readonly EpochTime[]): number {
  return median(epochs.map((epoch) => epoch[key]));
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

/** An interval at 95 %, in percent. */
function range([low, high]: Interval): string {
  return `(95 %: ${percent(low)} to ${percent(high)})`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
