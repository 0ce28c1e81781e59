/**
 * @file The interface of a method that learns: it trains the network in a form of its own, scores each unit, and
 * returns the network in its original form.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import type { Budget } from "../../structure/choice/select.ts";
import type { Structure } from "../../structure/units/units.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import { outputsRead, type TrainOptions } from "../../train/loop/options.ts";

import type { ChosenMethod, Method, MethodContext, Proposal } from "./method.ts";
import { type GivenOptions, type OptionsOf, type OptionTable, readOptions } from "./options.ts";

/** The training settings of the run. The method adds settings of its own training. */
export interface LearningOptions
  extends Pick<
    TrainOptions,
    | "batchSize"
    | "learningRate"
    | "objective"
    | "teacher"
    | "output"
    | "limit"
    | "epochSamples"
    | "augment"
    | "clipNorm"
    | "timeBudgetSeconds"
    | "providers"
    | "threads"
    | "replicas"
    | "signal"
    | "onProgress"
    | "onEpoch"
  > {
  /** The path of the method's checkpoint; the method goes on from a checkpoint that is there. */
  readonly checkpoint: TrainOptions["checkpoint"];
}

/** The input of a method that learns, with its options as given, or as its own code reads them. */
export interface LearningContext<Options extends GivenOptions = GivenOptions>
  extends MethodContext<Options> {
  /** The network to prune; `structure` is that of its graph. */
  readonly model: Model;
  /** Trains on `fit`. */
  readonly dataset: Dataset;
  readonly training: LearningOptions;
  /** The budgets that the network is to meet, where they are known beforehand. */
  readonly budgets?: readonly Budget[];
  /** The `memory` of the previous round's proposal, pruned like the network. */
  readonly memory?: Graph | undefined;
}

/** The outputs of the network that are trained. */
export function outputsTrained({
  structure,
  dataset,
  training,
}: Pick<LearningContext, "structure" | "dataset" | "training">): readonly string[] {
  return outputsRead(structure.analysis.graph, dataset, training.output);
}

/** The result of a method that learns. */
export interface LearnedProposal extends Proposal {
  /**
   * The network that is to be pruned: nodes, names and shapes of the context's, with the weights that were learnt.
   * Parts that the method added are folded into these weights, or gone.
   */
  readonly graph: Graph;
  /** The epochs of its training, including those before an interruption. */
  readonly history: readonly EpochRecord[];
  /** The posterior of each unit, where the method learns one. */
  readonly posteriorFacts?: readonly PosteriorFacts[];
  /** The state that the method needs in the next round: `graph` with other values in its constants. */
  readonly memory?: Graph;
}

/** One pruning method that trains. Found by its name, as others are. */
export interface LearnedMethod extends Omit<Method, "propose" | "needs"> {
  readonly needs: { readonly batchNorm: boolean; readonly data: true };
  /**
   * Epochs that `learn` takes in one round, with all of its stages. Reads every option, and fails as `learn` would for
   * invalid ones.
   */
  readonly learningEpochs: (context: MethodContext) => number;
  /**
   * Trains and scores. The same context gives the same bytes, interrupted or not.
   * Throws what `train` throws, and `MODEL_UNSUPPORTED` where the method has nothing to hold on to.
   */
  readonly learn: (context: LearningContext) => Promise<LearnedProposal>;
  /**
   * The network with parameters that are drawn anew at every run from the posterior in the proposal's `memory`, which
   * was pruned like the network. Only methods that learn a posterior have it.
   */
  readonly posterior?: (network: Structure, memory: Graph) => Graph;
  /**
   * Posterior deviations of the elements of weights, by the constant's name in the network, from the same `memory`.
   * Only methods with a posterior of single weights have it.
   */
  readonly weightDeviations?: (
    network: Structure,
    memory: Graph,
  ) => ReadonlyMap<string, HostTensor>;
}

/** A method that trains as its file writes it: its code reads the options of its table, each in its own type. */
export interface LearnedDefinition<T extends OptionTable, P extends LearnedProposal>
  extends Omit<LearnedMethod, "judgesWeights" | "learn" | "learningEpochs" | "options"> {
  readonly options: T;
  readonly judgesWeights?: (options: OptionsOf<T>) => boolean;
  readonly learningEpochs: (context: MethodContext<OptionsOf<T>>) => number;
  /** `given` are the options as they were given, by which a checkpoint may tell whose it is. */
  readonly learn: (context: LearningContext<OptionsOf<T>>, given: GivenOptions) => Promise<P>;
}

/** A method that trains, whose table of options and whose proposal are known to the types. */
export interface DefinedLearnedMethod<T extends OptionTable, P extends LearnedProposal>
  extends LearnedMethod {
  readonly options: T;
  readonly learn: (context: LearningContext) => Promise<P>;
}

/** The method, which reads and checks the options that it is given by its table. */
export function defineLearnedMethod<T extends OptionTable, P extends LearnedProposal>(
  definition: LearnedDefinition<T, P>,
): DefinedLearnedMethod<T, P> {
  const { name, options: table, judgesWeights, learningEpochs, learn } = definition;
  const read = (given: GivenOptions) => readOptions(name, table, given);
  return {
    ...definition,
    judgesWeights: (given) => judgesWeights?.(read(given)) ?? false,
    learningEpochs: (context) => learningEpochs({ ...context, options: read(context.options) }),
    learn: async (context) =>
      learn({ ...context, options: read(context.options) }, context.options),
  };
}

/** Any method, with data or without. */
export type AnyMethod = Method | LearnedMethod;

/** Any method, with options of its own. */
export type AnyChosenMethod = ChosenMethod<AnyMethod>;

/** Whether a method trains before it scores. */
export function isLearned(method: AnyMethod): method is LearnedMethod {
  return "learn" in method;
}

/** The posterior of one group of units. */
export interface PosteriorFacts {
  /** The group's id. */
  readonly group: string;
  /** Units with random weights. */
  readonly units: number;
  /** Their indices in `Structure.units`, in the order of the lists below. */
  readonly members: readonly number[];
  /** The units with less than {@link deadKl} nats per weight; for gates, the units up to the threshold. */
  readonly dead: number;
  /** The KL in nats of each unit, in their order. */
  readonly kl: readonly number[];
  /** The signal-to-noise ratio √(Σ μ² / Σ σ²) of each unit. */
  readonly snr: readonly number[];
}

/** A method that learns a posterior. */
type BayesianMethod = LearnedMethod & Required<Pick<LearnedMethod, "posterior">>;

/** Whether a method learns one. */
export function learnsPosterior(method: AnyMethod): method is BayesianMethod {
  return isLearned(method) && method.posterior !== undefined;
}
