/** @file What a training step is made of. */
import type { Graph } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { RandomKey } from "../../tensor/random.ts";
import type { ParameterGroup } from "../network/parameters.ts";
import type { Objective } from "./objectives.ts";
import type { Optimizer } from "./optimizers.ts";

/** Type and shape of what is fed as a target. */
export interface TargetType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What a step is made of. */
export interface StepOptions {
  /** The shape of every input that is fed, batch included. */
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
  /** `undefined` where there are no targets. */
  readonly target: TargetType | undefined;
  readonly objective: Objective;
  readonly optimizer: Optimizer;
  /** The output whose scores are the objective's prediction; default the first. */
  readonly output?: string | undefined;
  /** All outputs that the objective reads. Default: that one. */
  readonly outputs?: readonly string[] | undefined;
  /** A network that takes the same inputs, whose scores the objective may read. */
  readonly teacher?: Graph | undefined;
  readonly groups?: readonly ParameterGroup[] | undefined;
  /** Gradients are scaled down to this global norm where theirs is larger. */
  readonly clipNorm?: number | undefined;
  /** Weights of linear layers that are 0 in the network stay 0. Default false. */
  readonly keepsZeros?: boolean | undefined;
  /** Steps of weights, by name: the network reads them rounded ({@link emitRounded}). */
  readonly weightSteps?: ReadonlyMap<string, number> | undefined;
  /** Whether batch normalization uses and updates the statistics of batches (default), or keeps its own. */
  readonly statistics?: "batch" | "frozen" | undefined;
  /** The label of what does not count, for the accuracy. */
  readonly ignoreLabel?: number | undefined;
  /**
   * The share of a batch that this one is, as replicas take it: its loss, what is told of it, its gradients and next
   * statistics are multiplied by it, so that their sums over all shares are those of the batch. Default 1.
   */
  readonly share?: number | undefined;
  /** Seed of noise inside the network (Dropout). Default 0. */
  readonly noiseSeed?: RandomKey | undefined;
}
