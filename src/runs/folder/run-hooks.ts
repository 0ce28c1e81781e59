/** @file The callbacks of a run for its progress, and the signal that stops it. */
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import type { TrainProgress } from "../../train/loop/options.ts";

/** The callbacks for progress. */
export interface RunHooks {
  readonly signal?: AbortSignal;
  /** What begins now, in a few words. */
  readonly onPhase?: (phase: string) => void;
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly onEpoch?: (record: EpochRecord, isBest: boolean) => void;
  readonly onTest?: (progress: {
    readonly done: number;
    readonly total: number;
    /** What is counted; default `samples`. */
    readonly unit?: string;
  }) => void;
  /** Called with a result: a round was accepted, or `certify` was consulted. */
  readonly onNote?: (note: string) => void;
  readonly onWarning?: (warning: string) => void;
}
