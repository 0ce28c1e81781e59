/** @file Where a training run stands: what its steps add up to, and what is told of an epoch. */
import type { Feeds } from "../../runtime/values.ts";
import type { TrainingStep } from "../step/step.ts";
import type { EpochRecord, Position, Score } from "./checkpoint.ts";
import type { TrainPlan, TrainProgress } from "./options.ts";
import type { Pace } from "./pace.ts";

/** The position of a run that has not begun. */
export function startPosition(): Position {
  return {
    epoch: 0,
    batch: 0,
    step: 0,
    lossSum: 0,
    correct: 0,
    seconds: 0,
    history: [],
    warnings: [],
  };
}

/** The learning rate of a step. */
export function rateAt({ learningRate, schedule, steps }: TrainPlan, step: number): number {
  return learningRate * schedule(step, steps);
}

/** Adds what a step has computed. */
export function countStep(
  position: Position,
  { loss, accuracy, terms }: TrainingStep,
  results: Feeds,
): void {
  const numberOf = (name: string) => Number(results.get(name)?.data[0]);
  position.lossSum += numberOf(loss);
  if (accuracy !== undefined) position.correct += numberOf(accuracy);
  for (const [term, name] of terms) {
    position.termSums ??= {};
    position.termSums[term] = (position.termSums[term] ?? 0) + numberOf(name);
  }
  position.batch++;
  position.step++;
}

/** What is put on record of the epoch that has ended. */
export function epochRecordOf(
  plan: TrainPlan,
  { epoch, step, lossSum, correct, termSums = {} }: Position,
  { accuracy }: TrainingStep,
  select: Score | undefined,
): EpochRecord {
  const { stepsPerEpoch } = plan;
  const terms = Object.entries(termSums).map(([name, sum]) => [name, sum / stepsPerEpoch]);
  return {
    epoch,
    step,
    rate: rateAt(plan, step - 1),
    loss: lossSum / stepsPerEpoch,
    ...(terms.length > 0 && { terms: Object.fromEntries(terms) }),
    ...(accuracy !== undefined && { accuracy: correct / stepsPerEpoch }),
    ...(select && { select }),
  };
}

/** Goes on to the next epoch, of which nothing is counted yet. */
export function toNextEpoch(position: Position): void {
  Object.assign(position, { epoch: position.epoch + 1, batch: 0, lossSum: 0, correct: 0 });
  delete position.termSums;
}

/** The score of the best epoch so far. */
export function bestScore({ bestEpoch, history }: Position): Score | undefined {
  return history.find(({ epoch }) => epoch === bestEpoch)?.select;
}

/** What is told of a run that goes on. */
export function progressOf(
  phase: TrainProgress["phase"],
  plan: TrainPlan,
  { epoch, batch, step, lossSum, correct, history }: Position,
  { accuracy }: TrainingStep,
  pace: Pace,
): TrainProgress {
  const { batchSize, epochs, steps } = plan;
  return {
    phase,
    epoch,
    epochs,
    step,
    steps,
    learningRate: rateAt(plan, Math.max(0, step - 1)),
    loss: lossSum / batch,
    accuracy: accuracy === undefined ? undefined : correct / batch,
    imagesPerSecond: batchSize / pace.secondsPerStep,
    secondsLeft: pace.secondsFor(steps - step, epochs - epoch),
    select: history.at(-1)?.select,
  };
}
