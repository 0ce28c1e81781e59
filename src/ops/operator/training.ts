/**
 * @file What training makes of an operator: which inputs are trained, which hold running statistics,
 * and how the operator runs while the network learns.
 */
import type { Node } from "../../ir/graph.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { NotApplicable } from "./not-applicable.ts";

/** Where a node keeps statistics of what it has seen, and how it updates them in training. */
export interface RunningStatistics {
  readonly meanInput: number;
  readonly varianceInput: number;
  /** Outputs of the training form: mean and biased variance of the batch. */
  readonly meanOutput: number;
  readonly varianceOutput: number;
  /** The share of the old value that stays at each step. */
  readonly momentum: number;
}

/** What a training form may add to the graph. */
export interface TrainingFormContext {
  /** The name of a new constant. */
  constant(tensor: HostTensor): string;
  /** A name for a further output. */
  fresh(stem: string): string;
  /** A seed that no other node has, below 2^24. */
  seed(): number;
  /** Whether batch normalization takes the statistics of the batch. */
  readonly usesBatchStatistics: boolean;
}

/** What training does to an operator that it does not leave alone. */
export interface Training<A> {
  /** Inputs that hold weights: where they are constant, they are trained. */
  readonly weights: readonly number[];
  /**
   * Inputs that scale or shift the other one. They are parameters behind a layer with weights (a bias
   * that stands alone), and part of the preprocessing or of box arithmetic elsewhere.
   */
  readonly affine: readonly number[];
  readonly statistics: ((attrs: A) => RunningStatistics) | NotApplicable;
  /** The node as it runs in training. */
  readonly form: ((node: Node, context: TrainingFormContext) => Node) | NotApplicable;
  /**
   * The node with the seed of its stream, where it draws noise whenever it runs. What scales and shifts
   * the noise is trained as that of a layer.
   */
  readonly seeded: ((node: Node, seed: number) => Node) | NotApplicable;
}

/** What becomes of an operator in training; or nothing does, because it has no weights or for another reason. */
export type TrainingFacet<A> = Training<A> | NotApplicable;

/** The `form` of operators that compute the same in training. */
const sameInTraining: NotApplicable = { none: "it computes the same in training" };

/** The `statistics` of operators that keep none. */
export const noStatistics: NotApplicable = { none: "it keeps no statistics" };

/** The `seeded` of operators that draw nothing. */
export const noNoise: NotApplicable = { none: "it draws no noise" };

const unchanged = { statistics: noStatistics, form: sameInTraining, seeded: noNoise };

/** The `training` facet of operators that have weights in these inputs and compute the same in training. */
export function trains(...weights: readonly number[]): Training<unknown> {
  return { weights, affine: [], ...unchanged };
}

/** The `training` facet of sums and products of two tensors, either of which may scale or shift the other one. */
export const trainsAffine: Training<unknown> = { weights: [], affine: [0, 1], ...unchanged };

/** The `training` facet of operators without weights that compute the same in training. */
export const noWeights: NotApplicable = {
  none: "no input of it holds weights, and it computes the same in training",
};
