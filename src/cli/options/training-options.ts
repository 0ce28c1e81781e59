/** @file Flags of commands that train: the length of training, the learning rate, the optimizer and the loss. */
import {
  lossNames,
  optimizerNames,
  scheduleNames,
  type TrainSettingsInput,
} from "../../runs/settings/train-settings.ts";
import { advanced, asText, choice, list, toggle, type ValuesOf, value } from "./flag.ts";
import {
  augmentValue,
  countOrAuto,
  factorValue,
  fractionBelowOne,
  integerFrom,
  nonNegativeValue,
  patternValue,
  positiveValue,
} from "./values.ts";

/** The flag for the number of samples in an epoch. */
export const epochFlags = {
  epochSamples: advanced(
    value(
      "n",
      integerFrom(1),
      "Number of samples in an epoch, drawn anew for each epoch; with much data this makes epochs short. Default: all.",
    ),
  ),
};

/** The flags for batches, samples, seed and checkpoints. */
export const runFlags = {
  batch: value(
    "n",
    integerFrom(1),
    "Samples per step. Default: 64, or 16 where outputs of another network that holds no classes are learnt.",
  ),
  limit: value("n", integerFrom(1), "Trains only on the first n samples of fit. Default: all."),
  ...epochFlags,
  seed: advanced(
    value(
      "n",
      integerFrom(0),
      "Seed of everything random: weights, order, augmentation, noise. Default: 0.",
    ),
  ),
  checkpointEvery: advanced(
    value(
      "steps",
      integerFrom(1),
      "Steps between checkpoints within an epoch; a sudden end loses at most this many steps. Default: 500.",
    ),
  ),
  replicas: value(
    "n",
    countOrAuto,
    "Sessions that train together, each on its share of every batch; they divide the threads, and each has one at least. auto times a few steps and keeps the fastest number. Batch normalization takes the statistics of a share. Default: 1.",
  ),
  keepZeros: toggle(
    "Keeps weights at 0 that are 0 before training. Default: all weights are trained.",
  ),
};

/** The flags for the learning rate, the optimizer and the loss. */
export const learningFlags = {
  lr: value("rate", positiveValue, "Learning rate. Default: 0.01 with sgd, else 0.001."),
  augment: value(
    "list",
    augmentValue,
    "Random augmentation of samples, as a list with commas: crop[=PIXELS] shifts an image by up to that many pixels (4 if not given), flip mirrors it. Default: none.",
  ),
  schedule: advanced(
    choice(
      "name",
      scheduleNames,
      "The course of the learning rate; step multiplies it by 0.1 at 1/2 and 3/4. Default: cosine.",
    ),
  ),
  warmUp: advanced(
    value(
      "share",
      fractionBelowOne,
      "Warm-up: the share of the run over which the learning rate rises from 0. Default: 0.",
    ),
  ),
  optimizer: advanced(
    choice(
      "name",
      optimizerNames,
      "The optimizer. Default: sgd, or adam where outputs of another network that holds no classes are learnt.",
    ),
  ),
  momentum: advanced(value("number", fractionBelowOne, "Momentum of sgd. Default: 0.9.")),
  nesterov: advanced(toggle("Uses Nesterov momentum in sgd.")),
  decay: advanced(value("number", nonNegativeValue, "Weight decay. Default: 0, with adamw 0.01.")),
  clip: advanced(
    value(
      "norm",
      positiveValue,
      "Largest norm of all gradients together; gradients with a larger norm are scaled down. Default: no limit.",
    ),
  ),
  loss: advanced(
    choice("name", lossNames, "The loss between outputs and labels. Default: ce, cross-entropy.", {
      conflicts: ["distill"],
    }),
  ),
  labelSmoothing: advanced(
    value(
      "share",
      fractionBelowOne,
      "Label smoothing: the share of each target that is spread over all classes. Default: 0.",
    ),
  ),
  temperature: advanced(
    value(
      "number",
      positiveValue,
      "Temperature of --distill: a higher one makes the teacher's probabilities softer. Default: 4.",
    ),
  ),
  outputName: advanced(
    value(
      "name",
      asText,
      "The output that is trained and measured. Default: the one whose shape fits.",
    ),
  ),
  freeze: advanced(
    list(
      "pattern",
      patternValue,
      "Weights that are not trained; * matches anything. May be repeated. Default: none.",
    ),
  ),
  lrFactor: advanced(
    list(
      "pattern=factor",
      factorValue,
      "Factor of the learning rate for weights that match the pattern. May be repeated. Default: 1.",
    ),
  ),
  provider: advanced(
    value(
      "name",
      asText,
      "Execution provider of ONNX Runtime, such as webgpu or cuda. Default: cpu.",
    ),
  ),
};

/** All flags of training, except `--epochs` and `--threads`. */
export const trainingFlags = { ...learningFlags, ...runFlags };

/** Flags of commands that train. */
export type TrainingFlags = Partial<ValuesOf<typeof trainingFlags>> & {
  readonly threads?: number | undefined;
};

/** The training flags that were given, by the names of the settings, without the epochs. */
export function trainingSettingsOf(flags: TrainingFlags): Omit<TrainSettingsInput, "epochs"> {
  const { schedule, warmUp, optimizer, momentum, nesterov, decay, seed, limit } = flags;
  const { epochSamples } = flags;
  const { outputName } = flags;
  const { loss, labelSmoothing, augment, temperature, provider, threads, checkpointEvery } = flags;
  const { replicas } = flags;
  const given = {
    schedule,
    warmUp,
    optimizer,
    momentum,
    nesterov,
    decay,
    seed,
    limit,
    epochSamples,
    outputName,
    loss,
    labelSmoothing,
    augment,
    temperature,
    provider,
    threads,
    replicas,
    checkpointEvery,
    batchSize: flags.batch,
    learningRate: flags.lr,
    clipNorm: flags.clip,
    keepsZeros: flags.keepZeros,
    freeze: flags.freeze && [...flags.freeze],
    rateFactors: flags.lrFactor?.map(([pattern, factor]): [string, number] => [pattern, factor]),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
