/**
 * @file Trains a network with random weights by stochastic variational inference, and takes it back to the
 * network of its means.
 */

import type { Graph } from "../../ir/graph.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { evaluatorOf } from "../../train/loop/evaluation.ts";
import type { Evaluator } from "../../train/loop/options.ts";
import { objectiveFor, type TrainOptions, trainPlanOf } from "../../train/loop/options.ts";
import { recalibrate } from "../../train/loop/recalibrate.ts";
import { train } from "../../train/loop/train.ts";
import type { TrainedNetwork } from "../../train/network/network.ts";
import { frozen } from "../../train/network/parameters.ts";
import type { Objective } from "../../train/step/objectives.ts";
import { adam, withScalar } from "../../train/step/optimizers.ts";
import type { LearnedProposal, LearningContext, PosteriorFacts } from "../method/learned-method.ts";
import { freeEnergyOf, klWeight } from "../posterior/free-energy.ts";
import { epochFacts } from "../posterior/monitors.ts";
import { meanNetwork, type VariationalGraph } from "./variational.ts";
import type { VariationalWeight } from "./variational-layers.ts";
import { emitTotalKl, type Prior } from "./variational-loss.ts";

/** The settings of the training of the posterior. */
export interface PosteriorTraining {
  /** The number of epochs; with 0 nothing is trained. */
  readonly epochs: number;
  /** Learning rate of the means. */
  readonly rate: number;
  /** Weight of the KL when it has risen; 1 is Bayes' rule. */
  readonly lambda: number;
  /** Share of the steps over which it rises from 0; default 0.3. */
  readonly warmUp?: number;
  /** Whether batch normalization takes the statistics of batches, which are measured anew at the end. */
  readonly usesBatchStatistics: boolean;
  /** The figures about a network with noise that are reported after each epoch; default none. */
  readonly monitor?: ((trained: Graph) => Promise<readonly PosteriorFacts[]>) | undefined;
  /** Says which epochs are rolled back, as in `train`. */
  readonly rollsBack?: TrainOptions["rollsBack"];
}

/** Factor of the learning rate of ln σ, which has far to go. */
export const spreadRate = 10;
/** Samples of `fit` on which statistics are measured. */
const recalibrationSamples = 2000;

/** The network with noise in it, with other constants. Fails as `train` does. */
export async function trainPosterior<W extends VariationalWeight>(
  context: LearningContext,
  how: PosteriorTraining,
  noisy: VariationalGraph,
  weights: readonly W[],
  priorOf: (weight: W) => Prior,
): Promise<{ readonly trained: Graph; readonly history: LearnedProposal["history"] }> {
  const { dataset, training, seed } = context;
  const { epochs, rate, lambda, warmUp = 0.3, usesBatchStatistics } = how;
  if (epochs === 0) return { trained: noisy.graph, history: [] };
  const { samples, steps } = trainPlanOf(dataset, { ...training, epochs });
  const rising = Math.max(1, warmUp * steps);
  const lambdaAt = (step: number) => lambda * Math.min(1, (step + 1) / rising);
  const task = objectiveFor(dataset, training);
  const { final, best, end, history } = await train(noisy.graph, dataset, {
    ...training,
    epochs,
    learningRate: rate,
    seed,
    checksMemorisation: false,
    statistics: usesBatchStatistics ? "batch" : "frozen",
    optimizer: withScalar(adam(), klWeight, (step) => lambdaAt(step) / samples),
    objective: freeEnergyOf(task, (step) => emitTotalKl(step, weights, noisy, priorOf)),
    groups: [...frozen(noisy.fixed), { match: `${noisy.prefix}*`, rateFactor: spreadRate }],
    evaluator: ofMeans(context, how, task),
    rollsBack: how.rollsBack,
    checkpoint: training.checkpoint && { ...training.checkpoint, resumes: true },
  });
  return { trained: (end === "rolled-back" ? best : final).graph, history };
}

/** Scores the network of the means, and reports figures about the posterior. */
function ofMeans(context: LearningContext, how: PosteriorTraining, task: Objective): Evaluator {
  const { dataset, training } = context;
  const { batchSize = 64, output, teacher } = training;
  const evaluator = evaluatorOf(dataset, {
    objective: task,
    batchSize,
    output,
    teacher,
    ...sessionOptionsOf(training),
  });
  return async ({ graph }, role, limit) => {
    const score = await evaluator(await atMeans(context, how, graph), role, limit);
    const facts = await how.monitor?.(graph);
    return facts === undefined ? score : { ...score, facts: epochFacts(facts) };
  };
}

/**
 * The original network with the means of a trained one. Statistics of batches are measured anew: those
 * that training kept hold the noise.
 */
export async function atMeans(
  { structure, model, dataset, training }: LearningContext,
  { usesBatchStatistics, epochs }: PosteriorTraining,
  trained: Graph,
): Promise<TrainedNetwork> {
  const graph = meanNetwork(structure.analysis.graph, trained);
  if (!usesBatchStatistics || epochs === 0) return { graph, bytes: writeModel(model, graph) };
  const { limit = Number.POSITIVE_INFINITY } = training;
  const measured = await recalibrate(graph, dataset, {
    ...sessionOptionsOf(training),
    limit: Math.min(limit, recalibrationSamples),
  });
  return { graph: measured.graph, bytes: writeModel(model, measured.graph) };
}
