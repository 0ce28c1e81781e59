/** @file Which samples a network is run on, and how. */
import type { Role } from "../../data/splits.ts";
import type { SessionOptions } from "../../runtime/session.ts";

/** Which samples to run a network on, and how. */
export interface OutcomeOptions extends SessionOptions {
  /** The samples to take. Default `test`. */
  readonly split?: Role | undefined;
  /** How many samples of the split are taken, the first ones. Default: all. */
  readonly limit?: number | undefined;
  /** Samples per run, where the network's shape leaves it open. Default 128; 16 with label maps or outputs. */
  readonly batchSize?: number | undefined;
  /**
   * The output to measure. Default: the first of shape [N, C] or [N, C, 1, 1]; with label maps the
   * first of shape [N, C, H, W].
   */
  readonly output?: string | undefined;
  /**
   * For a network that draws random numbers: each batch is run so many times, and the means of its
   * probabilities count. Default: run once, as it is.
   */
  readonly draws?: number | undefined;
  /** Called after every batch. */
  readonly onProgress?: ((progress: EvaluateProgress) => void) | undefined;
}

/** How far an evaluation is. */
export interface EvaluateProgress {
  readonly done: number;
  readonly total: number;
  readonly metric: "top1" | "miou" | "similarity";
  /** The metric of the samples so far. */
  readonly value: number;
}
