/** @file What a training run is, made from network, data and options before anything is trained. */
import type { Dataset } from "../../data/dataset.ts";
import { digestOf } from "../../files/tensor-file.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { graphOf, type TrainSource } from "../network/network.ts";
import { type Feeding, feedingOf } from "../step/feeding.ts";
import { sharesOf } from "../step/replica-step.ts";
import { buildStep, type TrainingStep } from "../step/step.ts";
import { fittedPlan } from "./batch.ts";
import { evaluatorOf } from "./evaluation.ts";
import { type Evaluator, outputsRead, type TrainOptions, type TrainPlan } from "./options.ts";

/** What a training run is. */
export interface TrainingRun {
  readonly source: TrainSource;
  readonly dataset: Dataset;
  readonly plan: TrainPlan;
  /** What to say before training begins. */
  readonly note: string | undefined;
  readonly feeding: Feeding;
  /** Scores networks between epochs; `undefined` without samples for `select`. */
  readonly evaluator: Evaluator | undefined;
  /** The step with which a run begins that is not resumed: see {@link stepsAt}. */
  readonly firstSteps: readonly TrainingStep[];
  /** Equal for runs that take the same steps. */
  readonly name: string;
}

/** Makes a run of network, data and options. Fails as `train` does before its first step. */
export function trainingRunOf(
  source: TrainSource,
  dataset: Dataset,
  options: TrainOptions,
): TrainingRun {
  const graph = graphOf(source);
  const { plan, note } = fittedPlan(graph, dataset, options);
  const feeding = feedingOf(graph, dataset, plan.batchSize);
  const firstSteps = stepsAt({ source, dataset, plan }, 0);
  return {
    source,
    dataset,
    plan,
    note,
    feeding,
    evaluator: dataset.size("select") === 0 ? undefined : evaluatorFor(plan, dataset),
    firstSteps,
    name: nameOf(plan, firstSteps[0]),
  };
}

function evaluatorFor(plan: TrainPlan, dataset: Dataset): Evaluator {
  const { evaluator, objective, batchSize, output, teacher } = plan;
  const session = sessionOptionsOf(plan);
  return evaluator ?? evaluatorOf(dataset, { ...session, objective, batchSize, output, teacher });
}

/**
 * Builds the step with which a run goes on behind so many steps, by which noise is seeded: one for the share of
 * each replica, or the one of the whole batch.
 */
export function stepsAt(
  { source, dataset, plan }: Pick<TrainingRun, "source" | "dataset" | "plan">,
  steps: number,
): readonly TrainingStep[] {
  const { batchSize, replicas } = plan;
  const { objective, optimizer, output, teacher, groups, clipNorm, statistics } = plan;
  const { keepsZeros, weightSteps } = plan;
  const graph = graphOf(source);
  const stepOf = (samples: number) => {
    const { inputShapes, target } = feedingOf(graph, dataset, samples);
    return buildStep(graph, {
      inputShapes,
      target,
      objective,
      optimizer,
      teacher,
      groups,
      clipNorm,
      outputs: outputsRead(graph, dataset, output),
      statistics,
      keepsZeros,
      weightSteps,
      share: samples / batchSize,
      noiseSeed: noiseSeedAt(plan, steps),
      ignoreLabel: dataset.labelKind === "maps" ? dataset.ignoreLabel : undefined,
    });
  };
  const shares = sharesOf(batchSize, replicas);
  const built = new Map([...new Set(shares)].map((samples) => [samples, stepOf(samples)]));
  return shares.flatMap((samples) => built.get(samples) ?? []);
}

/** What noise is seeded by behind so many steps. */
export function noiseSeedAt({ seed }: TrainPlan, steps: number): string {
  return `${seed} ${steps}`;
}

/** Equal for runs that take the same steps. */
function nameOf(plan: TrainPlan, step: TrainingStep): string {
  const { epochs, batchSize, learningRate, seed, samples, steps, optimizer, schedule } = plan;
  const { clipNorm, augment, statistics, groups, checkpoint, keepsZeros, weightSteps } = plan;
  const { epochSamples, replicas } = plan;
  const places = [0, 1, Math.floor(steps / 3), Math.floor(steps / 2), steps - 1];
  const weights = digestOf(step.initial);
  const everySteps = step.isNoisy ? checkpoint?.everySteps : undefined;
  return JSON.stringify({
    epochs,
    batchSize,
    learningRate,
    seed,
    samples,
    clipNorm,
    augment,
    statistics,
    groups,
    optimizer: [optimizer.name, optimizer.decay, ...[0, 9].map((at) => optimizer.scalarsAt(at, 1))],
    schedule: places.map((at) => schedule(at, steps)),
    nodes: step.graph.nodes.length,
    weights,
    everySteps,
    epochSamples,
    replicas: replicas > 1 ? replicas : undefined,
    keepsZeros: keepsZeros ? true : undefined,
    weightSteps: weightSteps && [...weightSteps],
  });
}
