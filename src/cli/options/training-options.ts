/** @file Flags of commands that train: how long, how fast, by which optimizer, towards what. */
import {
  lossNames,
  optimizerNames,
  scheduleNames,
  type TrainSettingsInput,
} from "../../runs/settings/train-settings.ts";
import { advanced, asText, choice, list, toggle, type ValuesOf, value } from "./flag.ts";
import {
  augmentValue,
  factorValue,
  fractionBelowOne,
  integerFrom,
  nonNegativeValue,
  patternValue,
  positiveValue,
} from "./values.ts";

/** How many samples make an epoch. */
export const epochFlags = {
  epochSamples: advanced(
    value(
      "n",
      integerFrom(1),
      "Samples that make an epoch, drawn anew each time, which makes epochs short where there is much data. Default: all.",
    ),
  ),
};

/** How much is learnt from, and how. */
export const runFlags = {
  batch: value("n", integerFrom(1), "Samples per step. Default: 64, or 16 to follow outputs."),
  limit: value("n", integerFrom(1), "Trains on the first n samples of fit alone. Default: all."),
  ...epochFlags,
  seed: advanced(
    value(
      "n",
      integerFrom(0),
      "Seed of all that is random: weights, order, augmentation, noise. Default: 0.",
    ),
  ),
  checkpointEvery: advanced(
    value(
      "steps",
      integerFrom(1),
      "Steps between checkpoints, besides those after each epoch: what a sudden end costs at most. Default: 500.",
    ),
  ),
  keepZeros: toggle("Keeps weights at 0 that are 0 in the network."),
};

/** How fast, by which optimizer and towards what. */
export const learningFlags = {
  lr: value("rate", positiveValue, "Learning rate. Default: 0.01 with sgd, else 0.001."),
  augment: value(
    "list",
    augmentValue,
    "Changes samples at random: crop[=PIXELS] by up to so many pixels (4), and flip, between commas. Default: none.",
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
      "Share of the run over which the learning rate rises from 0. Default: 0.",
    ),
  ),
  optimizer: advanced(
    choice(
      "name",
      optimizerNames,
      "How weights follow gradients. Default: sgd, or adam to follow outputs.",
    ),
  ),
  momentum: advanced(value("number", fractionBelowOne, "Momentum of sgd. Default: 0.9.")),
  nesterov: advanced(toggle("Gives sgd the momentum of Nesterov.")),
  decay: advanced(value("number", nonNegativeValue, "Weight decay. Default: 0, with adamw 0.01.")),
  clip: advanced(
    value(
      "norm",
      positiveValue,
      "Largest norm of all gradients together; larger ones are scaled down. Default: none.",
    ),
  ),
  loss: advanced(
    choice("name", lossNames, "What labels are learnt by. Default: ce, cross-entropy.", {
      conflicts: ["distill"],
    }),
  ),
  labelSmoothing: advanced(
    value(
      "share",
      fractionBelowOne,
      "Share of each target that is spread over all classes. Default: 0.",
    ),
  ),
  temperature: advanced(
    value(
      "number",
      positiveValue,
      "Temperature of --distill, which softens what is taught. Default: 4.",
    ),
  ),
  outputName: advanced(
    value(
      "name",
      asText,
      "The output that is learnt and measured. Default: the one whose shape fits.",
    ),
  ),
  freeze: advanced(
    list(
      "pattern",
      patternValue,
      "Weights that training leaves as they are; * matches anything. May be repeated. Default: none.",
    ),
  ),
  lrFactor: advanced(
    list(
      "pattern=factor",
      factorValue,
      "Factor of the learning rate of some weights. May be repeated. Default: 1.",
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

/** Flags of commands that train; `--epochs` and `--threads` apart. */
export const trainingFlags = { ...learningFlags, ...runFlags };

/** Flags of commands that train. */
export type TrainingFlags = Partial<ValuesOf<typeof trainingFlags>> & {
  readonly threads?: number | undefined;
};

/** The flags that were given, by the names of the settings; the epochs apart. */
export function trainingSettingsOf(flags: TrainingFlags): Omit<TrainSettingsInput, "epochs"> {
  const { schedule, warmUp, optimizer, momentum, nesterov, decay, seed, limit } = flags;
  const { epochSamples } = flags;
  const { outputName } = flags;
  const { loss, labelSmoothing, augment, temperature, provider, threads, checkpointEvery } = flags;
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
