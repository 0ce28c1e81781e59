/**
 * @file The training loop: epochs of steps, a score on `select` after each, and checkpoints from which
 * an interrupted run goes on to the same bytes.
 *
 * Everything random (order of samples, augmentation, noise) is a function of the seed and the place in
 * the run. The streams of noise inside onnxruntime begin anew with every session, so a network with
 * Dropout gets a new session, with new seeds, at every checkpoint, whether it is written or not.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import { EspalierError } from "../../errors.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import type { StepResult, Trainer } from "../../runtime/trainer.ts";
import type { Feeds } from "../../runtime/values.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { type TrainedNetwork, type TrainSource, trainedNetwork } from "../network/network.ts";
import { untrainedWarning, untrainedWeights } from "../network/unreached.ts";
import type { TrainingStep } from "../step/step.ts";
import { loadCheckpoint, type Position, type Score, saveCheckpoint } from "./checkpoint.ts";
import { diagnosisOf } from "./diagnosis.ts";
import { memorisationWarning } from "./memorisation.ts";
import { openStep } from "./open-step.ts";
import type { TrainOptions, TrainPlan, TrainProgress, TrainResult } from "./options.ts";
import { Pace } from "./pace.ts";
import {
  bestScore,
  countStep,
  epochRecordOf,
  progressOf,
  rateAt,
  startPosition,
  toNextEpoch,
} from "./position.ts";
import { noiseSeedAt, stepsAt, type TrainingRun, trainingRunOf } from "./training-run.ts";

/** Steps that are posted before the first of them is waited for. */
const depth = 2;

/**
 * Trains a network on `fit`.
 *
 * Fails with `TRAINING_DIVERGED` (naming step and tensor), `ABORTED`, `MODEL_UNSUPPORTED`,
 * `DATA_MISMATCH`, `DATA_NOT_FOUND`, `DATA_INVALID`, `PATTERN_UNMATCHED`, `CHECKPOINT_INVALID`,
 * `RUNTIME_FAILED`, `PROVIDER_MISSING`, `USAGE`.
 */
export async function train(
  source: TrainSource,
  dataset: Dataset,
  options: TrainOptions,
): Promise<TrainResult> {
  const trainer = new Loop(trainingRunOf(source, dataset, options));
  try {
    return await trainer.go();
  } finally {
    await trainer.close();
  }
}

/** Makes sure that a network can be trained so, without training it. Fails as {@link train} does before its first step. */
export function requireTrainable(
  source: TrainSource,
  dataset: Dataset,
  options: TrainOptions,
): void {
  trainingRunOf(source, dataset, options);
}

/** A run as it goes on: where it stands, its session, and its best weights. */
class Loop {
  readonly #run: TrainingRun;
  readonly #plan: TrainPlan;
  readonly #pace: Pace;
  /** One for each replica's share, or that of the whole batch. */
  #steps: readonly TrainingStep[];
  #trainer: Trainer | undefined;
  #position: Position = startPosition();
  /** Weights after the best epoch. */
  #best: Feeds = new Map();
  /** When the clock showed that `position.seconds` had passed. */
  #since = 0;

  constructor(run: TrainingRun) {
    this.#run = run;
    this.#plan = run.plan;
    this.#pace = new Pace(run.plan.clock);
    this.#steps = run.firstSteps;
  }

  async go(): Promise<TrainResult> {
    const { checkpoint, clock, epochs, rollsBack } = this.#plan;
    const saved = checkpoint?.resumes
      ? await loadCheckpoint(checkpoint.path, this.#run.name, checkpoint.origin)
      : undefined;
    if (saved !== undefined) {
      this.#position = saved.position;
      this.#best = saved.best;
    } else {
      if (rollsBack !== undefined) this.#best = this.#initialWeights();
      if (this.#run.note !== undefined) this.#warn(this.#run.note);
      this.#warnOfUntrained();
      await this.#checkMemorisation();
    }
    await this.#chooseBlock(saved !== undefined);
    await this.#open(saved?.state ?? this.#step.initial);
    this.#since = clock();
    while (this.#position.end === undefined) {
      const isWhole = await this.#trainEpoch();
      if (isWhole) await this.#endEpoch();
      else this.#position.end = "time-budget";
      const { epoch } = this.#position;
      if (epoch >= epochs) this.#position.end ??= "completed";
      await this.#boundary();
    }
    return this.#result();
  }

  async close(): Promise<void> {
    await this.#trainer?.close();
    this.#trainer = undefined;
  }

  #initialWeights(): Feeds {
    const { weightState, initial } = this.#step;
    return new Map([...initial].filter(([name]) => weightState.includes(name)));
  }

  async #open(state: Feeds): Promise<void> {
    await this.close();
    const { step, block } = this.#position;
    if (this.#step.isNoisy && step > 0) this.#steps = stepsAt(this.#run, step);
    this.#trainer = await openStep(this.#steps, {
      plan: this.#plan,
      block,
      state,
      noiseSeed: noiseSeedAt(this.#plan, step),
    });
  }

  /** What all replicas have in common, with the names by which they are asked. */
  get #step(): TrainingStep {
    return this.#steps[0];
  }

  /** A run goes on in the form in which it began: others round differently. */
  async #chooseBlock(isResumed: boolean): Promise<void> {
    const position = this.#position;
    if (isResumed && position.block === undefined) return;
    const block = await findBlockSize(sessionOptionsOf(this.#plan));
    if (isResumed && block !== position.block && position.end === undefined) {
      const warning =
        "Convolutions are computed in another layout here than where the run began; " +
        "its last digits will differ from those of a run without interruption.";
      this.#warn(warning);
    }
    position.block = block;
  }

  #warnOfUntrained(): void {
    const { network, parameters } = this.#step;
    const groups = this.#plan.groups ?? [];
    const warning = untrainedWarning(untrainedWeights(network, groups, new Set(parameters)));
    if (warning !== undefined) this.#warn(warning);
  }

  #warn(warning: string): void {
    this.#position.warnings.push(warning);
    this.#plan.onWarning?.(warning);
  }

  async #checkMemorisation(): Promise<void> {
    const { checksMemorisation = true } = this.#plan;
    const { dataset, evaluator } = this.#run;
    if (!checksMemorisation || evaluator === undefined) return;
    const network = this.#network(this.#step.initial);
    const warning = await memorisationWarning(network, dataset, evaluator);
    if (warning !== undefined) this.#warn(warning);
  }

  /** Trains to the end of the epoch; false when the time is spent before it. */
  async #trainEpoch(): Promise<boolean> {
    const { checkpoint, signal, timeBudgetSeconds = Number.POSITIVE_INFINITY } = this.#plan;
    const everySteps = checkpoint?.everySteps ?? Number.POSITIVE_INFINITY;
    const waiting: Promise<StepResult>[] = [];
    let posted = this.#position.step;
    this.#pace.begin();
    const settle = async (atMost: number) => {
      while (waiting.length > atMost) await this.#settled(await waiting.shift());
    };
    for await (const batch of this.#batches(this.#position.batch)) {
      if (signal?.aborted) {
        await settle(0);
        return this.#abort();
      }
      if (this.#elapsed() >= timeBudgetSeconds) {
        await settle(0);
        return false;
      }
      const step = this.#post(batch, posted++);
      // Awaited later; until then its failure must not count as unhandled.
      step.catch(() => undefined);
      waiting.push(step);
      await settle(depth - 1);
      if (posted % everySteps !== 0) continue;
      await settle(0);
      if (this.#position.batch < this.#plan.stepsPerEpoch) await this.#boundary();
    }
    await settle(0);
    return true;
  }

  #batches(from: number): AsyncIterable<Batch> {
    const { batchSize, limit, epochSamples: most, seed, augment } = this.#plan;
    const { epoch } = this.#position;
    return this.#run.dataset.batches("fit", {
      batchSize,
      limit,
      most,
      skip: from * batchSize,
      dropsLast: true,
      shuffle: { seed, epoch },
      augment: augment && { ...augment, seed, epoch },
    });
  }

  #post(batch: Batch, step: number): Promise<StepResult> {
    const trainer = this.#opened();
    const { loss, accuracy, terms } = this.#step;
    const fetches = [loss, ...terms.values(), ...(accuracy === undefined ? [] : [accuracy])];
    return trainer.step(this.#feeds(batch, step), fetches);
  }

  #feeds(batch: Batch, step: number, of = this.#step): Map<string, HostTensor> {
    const feeds = this.#run.feeding.feeds(batch, of.target);
    for (const [name, value] of of.scalars(step, rateAt(this.#plan, step))) feeds.set(name, value);
    return feeds;
  }

  #opened(): Trainer {
    if (this.#trainer === undefined) throw new EspalierError("ABORTED", "the run is closed");
    return this.#trainer;
  }

  async #settled(result: StepResult | undefined): Promise<void> {
    if (result === undefined) return;
    if (result.status !== "done") throw await this.#diagnose();
    countStep(this.#position, this.#step, result.results);
    this.#pace.countStep();
    this.#report("train");
  }

  /** The step that is next was refused; its batch is loaded once more. */
  async #diagnose(): Promise<EspalierError> {
    const { step, epoch, batch: from, block } = this.#position;
    const state = await this.#opened().readState();
    const [whole] = stepsAt({ ...this.#run, plan: { ...this.#plan, replicas: 1 } }, step);
    for await (const batch of this.#batches(from)) {
      const feeds = new Map([...this.#feeds(batch, step, whole), ...state]);
      return diagnosisOf(whole, feeds, { step, epoch }, { ...sessionOptionsOf(this.#plan), block });
    }
    return new EspalierError("TRAINING_DIVERGED", `Step ${step} is not finite.`);
  }

  async #endEpoch(): Promise<void> {
    const position = this.#position;
    const { patience, rollsBack } = this.#plan;
    const weights = await this.#opened().readState(this.#step.weightState);
    const select = await this.#pace.evaluation(() => this.#evaluate(weights));
    const record = epochRecordOf(this.#plan, position, this.#step, select);
    position.history.push(record);
    const best = bestScore(this.#position);
    const isBest = best === undefined || (select !== undefined && select.value > best.value);
    const isBroken = rollsBack?.(record) ?? false;
    if (rollsBack === undefined ? isBest : !isBroken) {
      position.bestEpoch = position.epoch;
      this.#best = weights;
    }
    this.#plan.onEpoch?.(record, isBest);
    const since = position.epoch - (position.bestEpoch ?? 0);
    toNextEpoch(position);
    if (patience !== undefined && select !== undefined && since >= patience)
      position.end = "early-stop";
    if (isBroken) position.end = "rolled-back";
  }

  async #evaluate(weights: Feeds): Promise<Score | undefined> {
    this.#report("evaluate");
    return this.#run.evaluator?.(this.#network(weights), "select", this.#plan.selectLimit);
  }

  /** Where a run may be taken up: writes the checkpoint, and begins new streams of noise. */
  async #boundary(): Promise<void> {
    const { checkpoint } = this.#plan;
    const isOver = this.#position.end !== undefined;
    if (checkpoint === undefined && (isOver || !this.#step.isNoisy)) return;
    const state = await this.#opened().readState();
    await this.#save(state);
    if (this.#step.isNoisy && !isOver) await this.#open(state);
  }

  async #save(state: Feeds): Promise<void> {
    const { checkpoint, clock } = this.#plan;
    if (checkpoint === undefined) return;
    this.#position.seconds = this.#elapsed();
    this.#since = clock();
    const { path, origin } = checkpoint;
    await saveCheckpoint(path, {
      run: this.#run.name,
      ...(origin !== undefined && { origin }),
      position: this.#position,
      state,
      best: this.#best,
    });
  }

  /** Noise can be taken up only where an uninterrupted run would have begun it anew. */
  async #abort(): Promise<never> {
    const { checkpoint } = this.#plan;
    const isSaved = checkpoint !== undefined && !this.#step.isNoisy;
    if (isSaved) await this.#save(await this.#opened().readState());
    throw new EspalierError("ABORTED", `Training stopped after ${this.#position.step} steps.`, {
      ...(checkpoint && { hint: "Resume goes on from the last checkpoint." }),
      data: { step: this.#position.step },
    });
  }

  #elapsed(): number {
    return this.#position.seconds + (this.#plan.clock() - this.#since) / 1000;
  }

  #network(weights: Feeds): TrainedNetwork {
    const { network, weightsOf } = this.#step;
    const { source, dataset } = this.#run;
    return trainedNetwork(source, network, weightsOf(weights), dataset.preprocessing);
  }

  async #result(): Promise<TrainResult> {
    const { history, end, step: steps, warnings, bestEpoch, epoch } = this.#position;
    const seconds = this.#elapsed();
    const weights = await this.#opened().readState(this.#step.weightState);
    const final = this.#network(weights);
    const score = bestScore(this.#position);
    const hasBest = score !== undefined || end === "rolled-back";
    const best = hasBest ? this.#network(this.#best) : final;
    return {
      history,
      final,
      steps,
      warnings,
      seconds,
      end: end ?? "completed",
      best: { ...best, epoch: bestEpoch ?? (hasBest ? 0 : epoch), score },
    };
  }

  #report(phase: TrainProgress["phase"]): void {
    this.#plan.onProgress?.(progressOf(phase, this.#plan, this.#position, this.#step, this.#pace));
  }
}
