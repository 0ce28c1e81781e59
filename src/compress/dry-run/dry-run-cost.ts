/** @file The cost of a compression: epochs, steps, and a rough time, estimated from a few steps and batches. */

import type { Dataset } from "../../data/dataset.ts";
import { mostRungs } from "../../guard/ladder.ts";
import { measureOutcomes } from "../../measure/outcomes/outcomes.ts";
import { type AnyMethod, isLearned, learnsPosterior } from "../../methods/method/learned-method.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { defaultLimit, defaultPoints } from "../../prune/sensitivity.ts";
import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import { type CompressSettings, hasTargets } from "../../runs/settings/compress-settings.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import type { Structure } from "../../structure/units/units.ts";
import { type TrainOptions, trainPlanOf } from "../../train/loop/options.ts";
import { train } from "../../train/loop/train.ts";
import { methodContextOf } from "../context/context.ts";

/** The training and measuring of a run in which the first try of each round is accepted. */
export interface RunCost {
  /** Epochs of the method's own training, in each round. */
  readonly learningEpochs: number;
  /** Epochs of fine-tuning, in each round. */
  readonly tuningEpochs: number;
  /** Epochs of fine-tuning after the last round. */
  readonly finalEpochs: number;
  readonly totalEpochs: number;
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Runs over images to search, choose, certify and test, in images. */
  readonly measuredImages: number;
}

/** Rough: at the original's size, while networks get smaller from round to round. */
export interface RunTime {
  readonly secondsPerStep: number;
  readonly imagesPerSecond: number;
  readonly trainingSeconds: number;
  readonly measuringSeconds: number;
  readonly totalSeconds: number;
}

/** Counts what a run does at most, but for tries that are taken back. `groups`: with units that may go. */
export function costOfRun(
  settings: CompressSettings,
  method: AnyMethod,
  dataset: Dataset,
  tuning: TrainOptions,
  sizes: {
    readonly structure: Structure;
    readonly prunableUnits: number;
    readonly groups: number;
  },
): RunCost {
  const { rounds, epochs: tuningEpochs, finalEpochs } = settings;
  const { batchSize, stepsPerEpoch } = trainPlanOf(dataset, tuning);
  const learningEpochs = isLearned(method)
    ? method.learningEpochs(methodContextOf(sizes.structure, settings))
    : 0;
  const totalEpochs = rounds * (learningEpochs + tuningEpochs) + finalEpochs;
  const searches = hasTargets(settings) ? 0 : Math.ceil(2 * Math.log2(sizes.prunableUnits + 1));
  // The original, what a removal leaves, and every epoch of learning and tuning.
  const perRound = searches + 2 + learningEpochs + tuningEpochs;
  const looks = settings.maxDrop === undefined ? 1 : 2 + mostRungs;
  const curves = settings.sensitivity ? 1 + sizes.groups * defaultPoints : 0;
  const draws = learnsPosterior(method) ? settings.posteriorSamples : 0;
  const select = dataset.size("select");
  return {
    learningEpochs,
    tuningEpochs,
    finalEpochs,
    totalEpochs,
    batchSize,
    stepsPerEpoch,
    totalSteps: totalEpochs * stepsPerEpoch,
    measuredImages:
      select * (2 + rounds * perRound + finalEpochs) +
      looks * dataset.size("certify") +
      (2 + draws) * dataset.size("test") +
      curves * Math.min(select, defaultLimit),
  };
}

/** Steps that are tried; the first warms up. */
const triedSteps = 4;
/** Batches that are tried, likewise. */
const triedBatches = 3;

/**
 * Times a few batches, and a few training steps where the run trains at all. A network that cannot be trained fails
 * here, before the run begins. Fails as `measureOutcomes` and `train`.
 */
export async function timeOf(
  model: Model,
  dataset: Dataset,
  tuning: TrainOptions,
  cost: RunCost,
  { signal, clock = () => performance.now() }: RunHooks & { readonly clock?: () => number },
): Promise<RunTime> {
  const batchSize = dataset.labelKind === "classes" ? 128 : 16;
  const reading = stopwatch(clock);
  await measureOutcomes(writeModel(model).chunks, dataset, {
    split: "select",
    batchSize,
    limit: triedBatches * batchSize,
    ...sessionOptionsOf({ ...tuning, signal }),
    onProgress: ({ done }) => reading.mark(done),
  });
  const training = stopwatch(clock);
  if (cost.totalSteps > 0)
    await train(model, dataset, {
      ...tuning,
      epochs: 1,
      limit: Math.min(triedSteps * cost.batchSize, tuning.limit ?? Infinity),
      checksMemorisation: false,
      signal,
      evaluator: async () => ({ metric: "none", value: 0, loss: 0 }),
      onProgress: ({ step }) => training.mark(step),
    });
  const secondsPerImage = reading.secondsEach();
  const secondsPerStep = training.secondsEach();
  const trainingSeconds = cost.totalSteps * secondsPerStep;
  const measuringSeconds = cost.measuredImages * secondsPerImage;
  return {
    secondsPerStep,
    imagesPerSecond: 1 / secondsPerImage,
    trainingSeconds,
    measuringSeconds,
    totalSeconds: trainingSeconds + measuringSeconds,
  };
}

/** Times something that counts up. What came before the first mark is left out, where there are more. */
function stopwatch(clock: () => number) {
  const marks: { readonly at: number; readonly count: number }[] = [{ at: clock(), count: 0 }];
  return {
    mark(count: number): void {
      if (count > marks[marks.length - 1].count) marks.push({ at: clock(), count });
    },
    /** 0 where nothing was counted. */
    secondsEach(): number {
      const [start, last] = [
        marks[Math.min(1, marks.length - 2)] ?? marks[0],
        marks[marks.length - 1],
      ];
      return last.count === 0 ? 0 : (last.at - start.at) / 1000 / (last.count - start.count);
    },
  };
}
