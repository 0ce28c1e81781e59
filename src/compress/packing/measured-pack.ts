/** @file The drop that a pack causes, measured on `test`. */
import type { Dataset } from "../../data/dataset.ts";
import type { OutcomeOptions } from "../../measure/evaluation/options.ts";
import {
  type MeasuredMetric,
  measureOutcomes,
  metricOf,
  type PairedDrop,
  pairedDropAsync,
} from "../../measure/outcomes/outcomes.ts";
import type { Model } from "../../onnx/model.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import type { Packed } from "../../pack/pack.ts";

/** A pack, and the drop that it causes. */
export interface MeasuredPack {
  readonly packed: Packed;
  /** On `test`: of the original, and of the very file that unpacking gives. */
  readonly baseline: MeasuredMetric;
  readonly result: MeasuredMetric;
  readonly drop: PairedDrop;
}

/** Measures a model, and what a pack of it unpacks to, on `test`. Fails as `measureOutcomes`. */
export async function measuredPack(
  model: Model,
  packed: Packed,
  dataset: Dataset,
  options: Omit<OutcomeOptions, "split">,
): Promise<MeasuredPack> {
  const run = (bytes: Uint8Array) => measureOutcomes(bytes, dataset, { ...options, split: "test" });
  const before = await run(concatBytes(writeModel(model)));
  const after = await run(packed.unpacked);
  return {
    packed,
    baseline: metricOf(before),
    result: metricOf(after),
    drop: await pairedDropAsync(before, after, { level: 0.025, signal: options.signal }),
  };
}
