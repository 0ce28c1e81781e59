/** @file What a run gave for consecutive samples. */
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** Outputs of samples `from` to `to` of a batch. */
export interface Rows {
  readonly from: number;
  readonly to: number;
  /** The first output that was asked for. */
  readonly tensor: HostTensor;
  /** All of them, in that order. */
  readonly tensors: readonly HostTensor[];
}
