/**
 * @file Trains a network with random gates in it, by stochastic variational inference:
 *
 *     mean loss + λ(t) / (N P) Σ over units of A_c KL_c
 *
 * for N samples of P positions each. λ rises straight from 0 over the first part of the run. Between
 * epochs the network is judged at the means of its gates.
 */

import { assert } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { evaluatorOf } from "../../train/loop/evaluation.ts";
import type { Evaluator } from "../../train/loop/options.ts";
import { objectiveFor, type TrainOptions, trainPlanOf } from "../../train/loop/options.ts";
import { recalibrate } from "../../train/loop/recalibrate.ts";
import { train } from "../../train/loop/train.ts";
import type { Objective, ObjectiveContext } from "../../train/step/objectives.ts";
import { adam, withScalar } from "../../train/step/optimizers.ts";
import type { LearnedProposal, LearningContext } from "../method/learned-method.ts";
import { freeEnergyOf, klWeight } from "../posterior/free-energy.ts";
import { epochFacts } from "../posterior/monitors.ts";
import { foldGates } from "./filter-gates.ts";
import type { Gate } from "./filter-gates-sites.ts";
import { emitGateKl, type GateForm, type GatePosterior, posteriorOf } from "./gate-posterior.ts";
import { gateFacts } from "./gate-scores.ts";
import { insertNoisyGates, type NoisyGraph } from "./noisy-gates.ts";

/** The settings of the training of gates. */
export interface GateTraining {
  readonly form: GateForm;
  readonly epochs: number;
  /** Learning rates of the network and of its gates. */
  readonly rate: number;
  readonly gateRate: number;
  /** Share of the steps over which the KL's weight rises from 0. */
  readonly warmUp: number;
  readonly statistics: "batch" | "frozen";
  /** The μ²/σ² up to which a unit counts as dead in the figures of an epoch. */
  readonly threshold: number;
  /** Says which epochs are rolled back, as in `train`. */
  readonly rollsBack?: TrainOptions["rollsBack"];
}

/** The network, the gates and the data of one training. */
export interface GateStage {
  readonly graph: Graph;
  readonly gates: readonly Gate[];
  /** λ A_c of each unit of a gate. */
  readonly weights: (gate: Gate) => Float64Array;
  readonly seed: number;
  readonly training: LearningContext["training"];
}

/** The result of training. */
export interface TrainedGates {
  /** The stage's graph with other constants: the network at the means of its gates. */
  readonly graph: Graph;
  readonly posteriors: ReadonlyMap<Gate, GatePosterior>;
  readonly history: LearnedProposal["history"];
}

/** Trains the gates of a stage with the network. Fails as `train` does. */
export async function trainGates(
  { structure, dataset }: Pick<LearningContext, "structure" | "dataset">,
  how: GateTraining,
  stage: GateStage,
): Promise<TrainedGates> {
  const { epochs, rate, gateRate, warmUp, form, statistics } = how;
  const { graph, gates, seed, training } = stage;
  const noisy = insertNoisyGates(graph, gates, form);
  const { samples, steps } = trainPlanOf(dataset, { ...training, epochs });
  const rising = Math.max(1, warmUp * steps);
  const task = objectiveFor(dataset, training);
  const options: TrainOptions = {
    ...training,
    epochs,
    learningRate: rate,
    seed,
    statistics,
    checksMemorisation: false,
    optimizer: withScalar(adam(), klWeight, (step) => Math.min(1, (step + 1) / rising) / samples),
    objective: freeEnergy(task, noisy, stage, form),
    groups: [{ match: `${noisy.prefix}*`, decay: 0, rateFactor: gateRate / rate }],
    evaluator: ofMeans({ structure, dataset }, task, noisy, stage, how),
    rollsBack: how.rollsBack,
    checkpoint: training.checkpoint && { ...training.checkpoint, resumes: true },
  };
  const { final, best, end, history } = await train(noisy.graph, dataset, options);
  const learnt = end === "rolled-back" ? best : final;
  const folded = foldGates(graph, learnt.graph, gates, noisy.names);
  return {
    graph: statistics === "batch" ? await withoutNoise(folded, dataset, training) : folded,
    posteriors: posteriorsOf(learnt.graph, gates, noisy, form),
    history,
  };
}

/** Measures the running statistics again, because those of training contain the noise of the gates. */
async function withoutNoise(
  graph: Graph,
  dataset: LearningContext["dataset"],
  { limit, ...training }: LearningContext["training"],
): Promise<Graph> {
  const recalibrated = await recalibrate(graph, dataset, {
    ...sessionOptionsOf(training),
    ...(limit !== undefined && { limit }),
  });
  return recalibrated.graph;
}

/** The task's loss and the divergence of all gates, per sample and position. */
export function freeEnergy(
  task: Objective,
  noisy: NoisyGraph,
  { gates, weights }: Pick<GateStage, "gates" | "weights">,
  form: GateForm,
): Objective {
  return freeEnergyOf(task, (context) =>
    gates.reduce((sum, gate, i) => {
      const kl = divergence(context, noisy, i, form, weights(gate));
      return kl === undefined ? sum : context.emit.add(sum, kl);
    }, context.emit.scalar(0)),
  );
}

/** Σ λ A_c KL_c of one gate, rank 0; `undefined` where the output does not depend on it. */
function divergence(
  { emit, parameters }: ObjectiveContext,
  { names, spreads }: NoisyGraph,
  i: number,
  form: GateForm,
  weights: Float64Array,
) {
  const [mean, spread] = [parameters.get(names[i]), parameters.get(spreads[i])];
  if (mean === undefined || spread === undefined) return undefined;
  const own = emit.constant(tensorOf("float32", [weights.length], weights));
  const kl = algebraOf(emit, own).cast(emitGateKl(emit, form, mean, spread));
  return emit.op("ReduceSum", [emit.mul(own, kl)], { keepdims: 0 });
}

function posteriorsOf(
  trained: Graph,
  gates: readonly Gate[],
  { names, spreads }: NoisyGraph,
  form: GateForm,
): ReadonlyMap<Gate, GatePosterior> {
  const read = (name: string) => {
    const constant = trained.constants.get(name);
    assert(constant !== undefined, "training keeps the gates");
    return toNumbers(constant.read());
  };
  return new Map(
    gates.map((gate, i) => [gate, posteriorOf(form, read(names[i]), read(spreads[i]))]),
  );
}

/** Scores the network at the means, and reports figures about the gates. */
function ofMeans(
  { structure, dataset }: Pick<LearningContext, "structure" | "dataset">,
  task: Objective,
  noisy: NoisyGraph,
  { graph, gates, training }: GateStage,
  { form, threshold }: GateTraining,
): Evaluator {
  const { batchSize = 64, output, teacher } = training;
  const evaluator = evaluatorOf(dataset, {
    ...sessionOptionsOf(training),
    objective: task,
    batchSize,
    output,
    teacher,
  });
  return async (network, role, limit) => {
    const folded = foldGates(graph, network.graph, gates, noisy.names);
    const score = await evaluator({ graph: folded, bytes: encodeGraph(folded) }, role, limit);
    const posteriors = posteriorsOf(network.graph, gates, noisy, form);
    return { ...score, facts: epochFacts(gateFacts(structure, posteriors, threshold)) };
  };
}
