/**
 * @file What a method that learns is: it trains the network in a form of its own, reads off what each
 * unit is worth, and hands the network back in its original form.
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

/** How the run that a method serves trains. The method adds what its own training needs. */
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
    | "signal"
    | "onProgress"
    | "onEpoch"
  > {
  /** Where the method keeps its checkpoint; it goes on from one that is there. */
  readonly checkpoint: TrainOptions["checkpoint"];
}

/** What a method that learns is given, with options as they are given, or as its own code reads them. */
export interface LearningContext<Options extends GivenOptions = GivenOptions>
  extends MethodContext<Options> {
  /** The network to prune; `structure` is that of its graph. */
  readonly model: Model;
  /** Trains on `fit`. */
  readonly dataset: Dataset;
  readonly training: LearningOptions;
  /** How far the network is to shrink, where that is known beforehand. */
  readonly budgets?: readonly Budget[];
  /** The proposal's `memory` of the round before, from which the same was removed as from the network. */
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

/** What a method that learns answers. */
export interface LearnedProposal extends Proposal {
  /**
   * The network that is to be pruned: nodes, names and shapes of the context's, with the weights that
   * were learnt. What the method added is folded into them, or gone.
   */
  readonly graph: Graph;
  /** The epochs of its training, those before an interruption included. */
  readonly history: readonly EpochRecord[];
  /** What was learnt of each unit, where the method learns a posterior. */
  readonly posteriorFacts?: readonly PosteriorFacts[];
  /** What the method wants to know in the next round: `graph` with other values in its constants. */
  readonly memory?: Graph;
}

/** One pruning method that trains. Found by its name, as others are. */
export interface LearnedMethod extends Omit<Method, "propose" | "needs"> {
  readonly needs: { readonly batchNorm: boolean; readonly data: true };
  /**
   * Epochs that `learn` takes in one round, with all of its stages. Reads every option, and fails as `learn` would
   * for what cannot be.
   */
  readonly learningEpochs: (context: MethodContext) => number;
  /**
   * Trains and scores. The same context gives the same bytes, interrupted or not.
   * Throws what `train` throws, and `MODEL_UNSUPPORTED` where the method has nothing to hold on to.
   */
  readonly learn: (context: LearningContext) => Promise<LearnedProposal>;
  /**
   * The network with parameters that are drawn anew at every run, from what the proposal's `memory`, of which
   * the same was removed, holds of their posterior. Only methods that learn one have it.
   */
  readonly posterior?: (network: Structure, memory: Graph) => Graph;
  /**
   * Deviations of the elements of weights, by the constant's name in the network, from the same `memory`.
   * Only methods whose posterior is one of single weights have it.
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

/** Whether a method has to learn first. */
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
  /** Those of which less is known than {@link deadKl} nats per weight; of gates those up to the threshold. */
  readonly dead: number;
  /** KL in nats of each of the units, in their order. */
  readonly kl: readonly number[];
  /** Signal over noise √(Σ μ² / Σ σ²) of each of the units. */
  readonly snr: readonly number[];
}

/** A method that learns a posterior. */
type BayesianMethod = LearnedMethod & Required<Pick<LearnedMethod, "posterior">>;

/** Whether a method learns one. */
export function learnsPosterior(method: AnyMethod): method is BayesianMethod {
  return isLearned(method) && method.posterior !== undefined;
}
