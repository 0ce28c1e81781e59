/** @file Learning in several stages, each a training run of its own. */
import { randomOf } from "../../tensor/random.ts";
import { trainPlanOf } from "../../train/loop/options.ts";
import type { LearningContext } from "./learned-method.ts";

/**
 * A stage's own seed, checkpoint and share of the time, and its place in the whole: stages have equal lengths, and
 * follow one another. `shifted` moves the progress of a stage to its place in the whole; the progress says which `part`
 * of the network is trained.
 */
export function stageOf(
  { dataset, training, seed }: LearningContext,
  epochs: number,
  stage: number,
  stages: number,
  part: string,
) {
  const { stepsPerEpoch } = trainPlanOf(dataset, { ...training, epochs });
  const { checkpoint, onEpoch, onProgress, timeBudgetSeconds: seconds } = training;
  const shifted = <T extends { readonly epoch: number; readonly step: number }>(record: T): T => ({
    ...record,
    epoch: record.epoch + stage * epochs,
    step: record.step + stage * epochs * stepsPerEpoch,
  });
  const whole = { epochs: stages * epochs, steps: stages * epochs * stepsPerEpoch };
  return {
    shifted,
    seed: randomOf(seed, "stage", stage).integer(2 ** 31),
    training: {
      ...training,
      timeBudgetSeconds: seconds === undefined ? undefined : seconds / stages,
      checkpoint: checkpoint && {
        ...checkpoint,
        path: checkpoint.path.replace(/(\.[^./\\]*)?$/, `.stage-${stage + 1}$1`),
      },
      onEpoch: onEpoch && ((record, isBest) => onEpoch(shifted(record), isBest)),
      onProgress:
        onProgress &&
        ((progress) =>
          onProgress({
            ...shifted(progress),
            ...whole,
            stage: `${part} (${stage + 1} of ${stages})`,
          })),
    } satisfies LearningContext["training"],
  };
}
