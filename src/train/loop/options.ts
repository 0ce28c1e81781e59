/** @file What a training run is told, what it says on the way, and what it gives. */
import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { trainedOutput } from "../../measure/evaluation/outputs.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import type { TrainedNetwork } from "../network/network.ts";
import type { ParameterGroup } from "../network/parameters.ts";
import { followOutputs, labels, type Objective, teacher } from "../step/objectives.ts";
import { type Optimizer, sgd } from "../step/optimizers.ts";
import { constant, type Schedule } from "../step/schedules.ts";
import type { EpochRecord, Position, Score } from "./checkpoint.ts";

/** How to train. */
export interface TrainOptions extends Pick<SessionOptions, "providers" | "threads" | "signal"> {
  readonly epochs: number;
  /** Default 64, or all samples where there are fewer. A last batch that is not full is left out. */
  readonly batchSize?: number | undefined;
  /**
   * Number of sessions that train together, each on its share of every batch, in a thread of its own; they divide
   * `threads` among them. Batch normalization then takes the statistics of a share. Default 1.
   */
  readonly replicas?: number | undefined;
  /** Base learning rate; default 0.01. */
  readonly learningRate?: number | undefined;
  /** Default {@link constant}. */
  readonly schedule?: Schedule | undefined;
  /** Default {@link sgd} with momentum 0.9. */
  readonly optimizer?: Optimizer | undefined;
  /** Default: cross-entropy with the labels, or following the teacher where there is one. */
  readonly objective?: Objective | undefined;
  /** A network with the same input, to learn from. */
  readonly teacher?: Graph | undefined;
  /** The output to train. Default: the first of the form that labels ask for, [N, C] or [N, C, H, W], else the first. */
  readonly output?: string | undefined;
  /** Decides the order of samples, augmentation and noise. Default 0. */
  readonly seed?: number | undefined;
  /** Trains on the first so many samples of `fit`. */
  readonly limit?: number | undefined;
  /** Number of samples in an epoch, drawn anew each time. Default: all of them. */
  readonly epochSamples?: number | undefined;
  /** Evaluates on the first so many samples of `select`. */
  readonly selectLimit?: number | undefined;
  /** Random crops (out of so many added pixels on each side) and flips. */
  readonly augment?:
    | { readonly crop?: number | undefined; readonly flip?: boolean | undefined }
    | undefined;
  readonly groups?: readonly ParameterGroup[] | undefined;
  readonly clipNorm?: number | undefined;
  /** Weights of linear layers that are 0 when training begins stay 0. Default false. */
  readonly keepsZeros?: boolean | undefined;
  /**
   * Steps of weights, by name: the network is trained with these weights rounded to whole steps, and keeps
   * them unrounded (straight-through estimation). The evaluator sees them unrounded.
   */
  readonly weightSteps?: ReadonlyMap<string, number> | undefined;
  /** `frozen`: batch normalization keeps its statistics, and is trained in its inference form. */
  readonly statistics?: "batch" | "frozen" | undefined;
  /** Scores the network on `select` after each epoch. Default: what fits the labels. */
  readonly evaluator?: Evaluator | undefined;
  /** Stops after so many epochs without a better score on `select`. Default: never. */
  readonly patience?: number | undefined;
  /**
   * Whether an epoch left the network broken: the run ends there, and its best network is that of the epoch
   * before, whatever the scores; after the first epoch the one that it began with. Default: never.
   */
  readonly rollsBack?: ((record: EpochRecord) => boolean) | undefined;
  /** Stops when so many seconds of training are spent, in the middle of an epoch if need be. */
  readonly timeBudgetSeconds?: number | undefined;
  readonly checkpoint?: CheckpointOptions | undefined;
  /** Compares `select` with `certify` before training, to warn of memorised samples. Default true. */
  readonly checksMemorisation?: boolean | undefined;
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
  /** Called after each epoch with its figures; `isBest`: no epoch before it was better. */
  readonly onEpoch?: ((record: EpochRecord, isBest: boolean) => void) | undefined;
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Milliseconds of a clock that never goes back. Default that of the system. */
  readonly clock?: (() => number) | undefined;
}

/** Where a run keeps its checkpoint, and when it writes one. */
export interface CheckpointOptions {
  /** The file; it is written after every epoch. */
  readonly path: string;
  /** The file is also written after every so many steps. */
  readonly everySteps?: number | undefined;
  /** Goes on from the file where there is one. Default false: such a file is overwritten. */
  readonly resumes?: boolean | undefined;
  /** A digest of what the run began with, where the file goes with more than the options here. */
  readonly origin?: string | undefined;
}

/** How far a run is. */
export interface TrainProgress {
  readonly phase: "train" | "evaluate";
  /** The epoch at hand, from 0. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done, of all epochs. */
  readonly step: number;
  readonly steps: number;
  /** Means over the epoch so far; NaN before its first step. */
  readonly loss: number;
  readonly accuracy: number | undefined;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
  /** Seconds of training and evaluation that are left, at the present rate. */
  readonly secondsLeft: number;
  /** The last score on `select`. */
  readonly select: Score | undefined;
  /** The part that a method is at which trains one part of a network after the other. */
  readonly stage?: string;
}

/** What came of a run. */
export interface TrainResult {
  /** One record for each epoch that was completed. It holds no times: a resumed run has the same. */
  readonly history: readonly EpochRecord[];
  /** The network with the best score on `select`; the last one where nothing was scored. */
  readonly best: TrainedNetwork & { readonly epoch: number; readonly score: Score | undefined };
  readonly final: TrainedNetwork;
  readonly end: NonNullable<Position["end"]>;
  readonly steps: number;
  readonly warnings: readonly string[];
  /** Seconds of training, over all sessions of a resumed run. */
  readonly seconds: number;
}

/** The options, complete. */
export interface TrainPlan extends TrainOptions {
  readonly batchSize: number;
  readonly replicas: number;
  readonly learningRate: number;
  readonly schedule: Schedule;
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  readonly seed: number;
  /** Number of samples to train on, whether an epoch takes all of them or not. */
  readonly samples: number;
  readonly stepsPerEpoch: number;
  readonly steps: number;
  readonly clock: () => number;
}

/** Fills in the defaults for a data set. Fails with `USAGE`. */
export function trainPlanOf(dataset: Dataset, options: TrainOptions): TrainPlan {
  const { epochs, limit, epochSamples, batchSize: wanted = 64, learningRate = 0.01 } = options;
  const { replicas = 1 } = options;
  const counts = {
    epochs,
    replicas,
    batchSize: wanted,
    limit: limit ?? 1,
    epochSamples: epochSamples ?? 1,
  };
  for (const [name, value] of Object.entries(counts))
    requireThat(Number.isInteger(value) && value >= 1, `${name} is ${value}; expected 1 or more`);
  requireThat(learningRate > 0, `the learning rate is ${learningRate}; expected more than 0`);
  const role: Role = "fit";
  const samples = Math.min(dataset.size(role), limit ?? Number.POSITIVE_INFINITY);
  const samplesPerEpoch = Math.min(samples, epochSamples ?? samples);
  const batchSize = Math.max(1, Math.min(wanted, samplesPerEpoch));
  requireReplicas(replicas, batchSize, options);
  const stepsPerEpoch = Math.floor(samplesPerEpoch / batchSize);
  return {
    ...options,
    batchSize,
    replicas,
    learningRate,
    samples,
    stepsPerEpoch,
    steps: epochs * stepsPerEpoch,
    schedule: options.schedule ?? constant(),
    optimizer: options.optimizer ?? sgd(),
    objective: objectiveFor(dataset, options),
    seed: options.seed ?? 0,
    clock: options.clock ?? (() => performance.now()),
  };
}

/** Fails with `USAGE` where a batch cannot be divided among so many replicas, or not on this provider. */
function requireReplicas(
  replicas: number,
  batchSize: number,
  { providers: [provider] = ["cpu"] }: TrainOptions,
): void {
  if (replicas === 1) return;
  if (provider !== "cpu")
    throw new EspalierError("USAGE", `replicas train on the provider cpu, not on ${provider}`, {
      hint: "Train with one replica.",
    });
  if (batchSize < replicas)
    throw new EspalierError(
      "USAGE",
      `a batch of ${batchSize} cannot be divided among ${replicas} replicas`,
      { hint: "Use a larger batch or fewer replicas." },
    );
}

/**
 * The outputs that an objective reads: all that the samples hold answers for, else the one that is trained;
 * the first of them is the one that holds its prediction.
 */
export function outputsRead(
  graph: Graph,
  { answers, labelKind }: Pick<Dataset, "answers" | "labelKind">,
  output: string | undefined,
): readonly string[] {
  return answers?.map((answer) => answer.output) ?? [output ?? trainedOutput(graph, labelKind)];
}

/** What a run minimises: its objective, or what follows from teacher and labels. */
export function objectiveFor(
  { labelKind, ignoreLabel, answers }: Pick<Dataset, "labelKind" | "ignoreLabel" | "answers">,
  options: Pick<TrainOptions, "objective" | "teacher">,
): Objective {
  if (options.objective !== undefined) return options.objective;
  if (answers !== undefined) return followOutputs(answers);
  if (options.teacher !== undefined) return teacher();
  return labels(labelKind === "maps" ? { ignoreIndex: ignoreLabel } : {});
}

function requireThat(holds: boolean, message: string): void {
  if (!holds) throw new EspalierError("USAGE", message);
}

/** Scores a network on one role of a data set; larger values are better. */
export type Evaluator = (network: TrainedNetwork, role: Role, limit?: number) => Promise<Score>;
