/** @file A fixed sample of `fit`, for methods that measure the network on it. */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import { EspalierError } from "../../errors.ts";
import type { LearningOptions } from "./learned-method.ts";

/** The number of samples and their batches. */
export interface SampleOptions {
  readonly training: Pick<LearningOptions, "batchSize" | "limit" | "signal">;
  /** Samples of `fit`; as many full batches as they make, at least one. */
  readonly images: number;
  /** The seed that chooses the samples. */
  readonly seed: number;
}

/** The full batches, the same each time. */
export interface FixedSample {
  readonly batchSize: number;
  /** How many batches there are. */
  readonly count: number;
  /** Fails with `DATA_NOT_FOUND` where there is no sample at all, and as data sets do. */
  readonly batches: () => AsyncGenerator<Batch>;
}

/** Chooses the samples; reads none yet. */
export function fixedSampleOf(
  dataset: Dataset,
  { training: { batchSize: wanted = 64, limit, signal }, images, seed }: SampleOptions,
): FixedSample {
  const samples = Math.min(images, dataset.size("fit"), limit ?? Number.POSITIVE_INFINITY);
  const batchSize = Math.max(1, Math.min(wanted, samples));
  const count = Math.max(1, Math.floor(samples / batchSize));
  const order = { batchSize, limit, dropsLast: true, shuffle: { seed, epoch: 0 }, signal };
  async function* batches(): AsyncGenerator<Batch> {
    let done = 0;
    for await (const batch of dataset.batches("fit", order)) {
      yield batch;
      done++;
      if (done === count) return;
    }
    if (done === 0) throw new EspalierError("DATA_NOT_FOUND", "there are no samples to look at");
  }
  return { batchSize, count, batches };
}
