/**
 * @file The settings of a training run, as values that can be written to a file, and their translation for the training
 * loop.
 */

import { z } from "zod";
import type { Dataset } from "../../data/dataset.ts";
import { assert, EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { TrainOptions } from "../../train/loop/options.ts";
import { frozen } from "../../train/network/parameters.ts";
import {
  followOutputs,
  labels,
  type Objective,
  overlap,
  sumOf,
  teacher,
} from "../../train/step/objectives.ts";
import { adam, adamW, type Optimizer, sgd } from "../../train/step/optimizers.ts";
import {
  constant,
  cosine,
  linear,
  oneCycle,
  type Schedule,
  steps,
  warmUp,
} from "../../train/step/schedules.ts";

/** Schedules that have a name. */
export const scheduleNames = ["constant", "cosine", "linear", "step", "one-cycle"] as const;
/** Optimizers that have a name. */
export const optimizerNames = ["sgd", "adam", "adamw"] as const;
/**
 * Losses of labels that have a name: cross-entropy (binary for a network of one output channel, which
 * `bce` insists on), soft Dice, soft Jaccard, and sums of two with equal weights.
 */
export const lossNames = [
  ...(["ce", "dice", "jaccard", "ce+dice", "ce+jaccard"] as const),
  ...(["bce", "bce+dice", "bce+jaccard"] as const),
] as const;

const positive = z.number().positive();
const count = z.int().positive();

/** The border at which settings are checked: those of a caller, and those of a run's `config.json`. */
export const trainSettings = z.strictObject({
  epochs: count.default(10),
  /** Default 64; 16 where the outputs of another network are followed. */
  batchSize: count.optional(),
  /** Default 0.01 for SGD, 0.001 for Adam and AdamW. */
  learningRate: positive.optional(),
  schedule: z.enum(scheduleNames).default("cosine"),
  /** Share of the run over which the learning rate rises. */
  warmUp: z.number().min(0).max(1).default(0),
  /** Default `sgd`; `adam` where the outputs of another network are followed. */
  optimizer: z.enum(optimizerNames).optional(),
  decay: z.number().nonnegative().optional(),
  momentum: z.number().min(0).lt(1).optional(),
  nesterov: z.boolean().default(false),
  clipNorm: positive.optional(),
  /** Weights of linear layers that are 0 at the beginning stay 0. */
  keepsZeros: z.boolean().default(false),
  /** The seed of the initial weights, the order of samples, augmentation and noise. */
  seed: z.int().nonnegative().default(0),
  limit: count.optional(),
  /** So many samples make an epoch, drawn anew each time. */
  epochSamples: count.optional(),
  /** The output that is trained and measured. Default: told by its shape and by the labels. */
  outputName: z.string().optional(),
  /** What labels are learnt by. Default `ce`. */
  loss: z.enum(lossNames).optional(),
  /** How much labels are smoothed where the loss has a cross-entropy. */
  labelSmoothing: z.number().min(0).lt(1).default(0),
  augment: z
    .strictObject({ crop: z.int().nonnegative().optional(), flip: z.boolean().optional() })
    .optional(),
  /** The temperature of the distillation, where there is a teacher. */
  temperature: positive.optional(),
  /** Patterns of parameters that stay as they are. */
  freeze: z.array(z.string()).default([]),
  /** Patterns of parameters, and the factor of their learning rate. */
  rateFactors: z.array(z.tuple([z.string(), z.number().nonnegative()])).default([]),
  patience: count.optional(),
  timeBudgetSeconds: positive.optional(),
  threads: count.optional(),
  /** Sessions that share every batch and the threads; `auto` is replaced before a run begins. Default 1. */
  replicas: z.union([count, z.literal("auto")]).optional(),
  provider: z.string().default("cpu"),
  /** Steps between checkpoints within an epoch. */
  checkpointEvery: count.default(500),
  /** Measures the statistics of batch normalization anew, and trains nothing. */
  recalibrateOnly: z.boolean().default(false),
});

/** Settings as a caller gives them; all have defaults. */
export type TrainSettingsInput = Readonly<z.input<typeof trainSettings>>;
/** Settings, complete. */
export type TrainSettings = Readonly<z.output<typeof trainSettings>>;

/** Fills in the defaults. Fails with `USAGE`, naming every setting that is wrong. */
export function settingsOf(input: TrainSettingsInput): TrainSettings {
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const parsed = trainSettings.safeParse(Object.fromEntries(given));
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new EspalierError("USAGE", `training settings: ${issues.join("; ")}`);
  }
  requireOptimizerFits(parsed.data);
  return parsed.data;
}

/** Fails with `USAGE` where the optimizer would not read what it was given. */
export function requireOptimizerFits({
  optimizer = "sgd",
  momentum,
  nesterov,
}: Pick<TrainSettings, "optimizer" | "momentum" | "nesterov">): void {
  if (optimizer !== "sgd" && (momentum !== undefined || nesterov))
    throw usage(`${optimizer} has no momentum of that kind`, "Leave it out, or use sgd.");
  if (nesterov && momentum === 0)
    throw usage("Nesterov's step needs momentum", "Give `momentum` above 0, or none for 0.9.");
}

/**
 * Fails with `USAGE` where the objective would not read what it was given. Begun runs are not asked: they go
 * on as they began.
 */
export function requireObjectiveFits(
  { loss, labelSmoothing, temperature }: Pick<TrainSettings, ObjectiveSetting>,
  hasTeacher: boolean,
): void {
  if (!hasTeacher && temperature !== undefined)
    throw usage(
      "a temperature is of distillation, and no network teaches",
      "Add `distills`, or leave `temperature` away.",
    );
  if (hasTeacher && loss !== undefined)
    throw usage("a teacher is followed by its own loss", "Leave the loss away, or the teacher.");
  if (labelSmoothing === 0) return;
  if (hasTeacher)
    throw usage("smoothing is of labels, and a teacher takes their place", leaveSmoothing);
  if (loss === "dice" || loss === "jaccard")
    throw usage(`smoothing is of cross-entropy, which is no part of ${loss}`, leaveSmoothing);
}

type ObjectiveSetting = "loss" | "labelSmoothing" | "temperature";

const leaveSmoothing = "Leave `labelSmoothing` away.";

function usage(message: string, hint: string): EspalierError {
  return new EspalierError("USAGE", message, { hint });
}

/** The settings as the training loop takes them. */
export function trainOptionsOf(
  settings: TrainSettings,
  dataset: Dataset,
  teacherGraph: Graph | undefined,
): TrainOptions {
  const { epochs, clipNorm, seed, limit, augment, patience, timeBudgetSeconds } = settings;
  const followsOutputs = dataset.answers !== undefined;
  const { batchSize = followsOutputs ? 16 : 64 } = settings;
  const optimizer = optimizerFor(settings, followsOutputs);
  const { epochSamples, provider, threads, keepsZeros, outputName: output, replicas } = settings;
  assert(replicas !== "auto", "the number of replicas is chosen before options are made of it");
  return {
    epochs,
    batchSize,
    clipNorm,
    seed,
    limit,
    epochSamples,
    augment,
    patience,
    timeBudgetSeconds,
    output,
    ...(keepsZeros && { keepsZeros }),
    learningRate: settings.learningRate ?? (optimizer === "sgd" ? 0.01 : 0.001),
    schedule: scheduleOf(settings),
    optimizer: optimizerOf(settings, optimizer),
    // Outputs that are followed are those that the samples hold.
    teacher: dataset.answers === undefined ? teacherGraph : undefined,
    objective: objectiveOf(settings, dataset, teacherGraph !== undefined),
    groups: [
      ...frozen(settings.freeze),
      ...settings.rateFactors.map(([match, rateFactor]) => ({ match, rateFactor })),
    ],
    providers: [provider],
    ...(threads === undefined ? {} : { threads }),
    ...(replicas === undefined ? {} : { replicas }),
  };
}

function objectiveOf(settings: TrainSettings, dataset: Dataset, hasTeacher: boolean): Objective {
  const { loss = "ce", labelSmoothing: smoothing, temperature } = settings;
  if (dataset.answers !== undefined) return followOutputs(dataset.answers);
  if (hasTeacher) return teacher(temperature === undefined ? {} : { temperature });
  const ignored = dataset.labelKind === "maps" ? { ignoreIndex: dataset.ignoreLabel } : {};
  const ce = labels({ smoothing, ...ignored });
  const bce: Objective = (context) => {
    const [, channels] = context.prediction.shape;
    if (channels === 1) return ce(context);
    throw new EspalierError("USAGE", `bce is for one output channel; the network has ${channels}`, {
      hint: "Use ce, which is the same for networks of one channel.",
    });
  };
  const terms = { ce, bce, dice: overlap("dice", ignored), jaccard: overlap("jaccard", ignored) };
  switch (loss) {
    case "ce":
    case "bce":
    case "dice":
    case "jaccard":
      return terms[loss];
    case "ce+dice":
      return sumOf([1, ce], [1, terms.dice]);
    case "ce+jaccard":
      return sumOf([1, ce], [1, terms.jaccard]);
    case "bce+dice":
      return sumOf([1, bce], [1, terms.dice]);
    case "bce+jaccard":
      return sumOf([1, bce], [1, terms.jaccard]);
    default:
      return loss satisfies never;
  }
}

function scheduleOf({ schedule, warmUp: share }: TrainSettings): Schedule {
  const named = {
    constant,
    cosine,
    linear,
    step: () => steps([0.5, 0.75]),
    "one-cycle": oneCycle,
  } satisfies Record<typeof schedule, () => Schedule>;
  const then = named[schedule]();
  return share > 0 ? warmUp(share, then) : then;
}

/**
 * The optimizer by name. How steep the error of outputs is differs from network to network by orders of
 * magnitude, which Adam makes up for; momentum is asked of SGD alone.
 */
function optimizerFor(
  { optimizer, momentum, nesterov }: TrainSettings,
  followsOutputs: boolean,
): (typeof optimizerNames)[number] {
  if (optimizer !== undefined) return optimizer;
  return followsOutputs && momentum === undefined && !nesterov ? "adam" : "sgd";
}

function optimizerOf(
  { decay, momentum, nesterov }: TrainSettings,
  optimizer: (typeof optimizerNames)[number],
): Optimizer {
  const own = decay === undefined ? {} : { decay };
  if (optimizer === "adam") return adam(own);
  if (optimizer === "adamw") return adamW(own);
  return sgd({ ...own, nesterov, ...(momentum === undefined ? {} : { momentum }) });
}
