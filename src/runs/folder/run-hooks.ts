/** @file What a run tells on the way, and how it is stopped. */
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import type { TrainProgress } from "../../train/loop/options.ts";

/** What is told on the way. */
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
  /** Something came out: a round was accepted, a look at `certify` was taken. */
  readonly onNote?: (note: string) => void;
  readonly onWarning?: (warning: string) => void;
}
