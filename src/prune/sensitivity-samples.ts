/** @file Samples that many networks are run on, one after the other: they are read and decoded once. */

import type { Dataset } from "../data/dataset.ts";
import type { Batch, BatchOptions } from "../data/serve.ts";
import type { Role } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";

/** Samples are kept up to so many bytes of input; what is larger is read each time. */
const mostBytes = 2 ** 29;

/**
 * The same samples. Batches that are served in order, without augmentation, are kept, and served again
 * where the same role, size and limit are asked for. Nobody may write into them.
 */
export function readOnce(dataset: Dataset): Dataset {
  const kept = new Map<string, readonly Batch[]>();
  let freeBytes = mostBytes;

  async function* batches(role: Role, options: BatchOptions): AsyncGenerator<Batch> {
    const { signal, ahead, ...asked } = options;
    const key = JSON.stringify([role, asked]);
    const known = kept.get(key);
    for (const batch of known ?? []) {
      if (signal?.aborted) throw new EspalierError("ABORTED", "Stopped while samples were served.");
      yield batch;
    }
    if (known !== undefined) return;
    const own: Batch[] = [];
    let bytes = 0;
    for await (const batch of dataset.batches(role, options)) {
      const { input, labelMaps, outputs } = batch;
      for (const part of [input, labelMaps, outputs]) bytes += part?.data.byteLength ?? 0;
      if (bytes <= freeBytes) own.push(batch);
      else own.length = 0;
      yield batch;
    }
    if (options.augment !== undefined || options.shuffle !== undefined || bytes > freeBytes) return;
    freeBytes -= bytes;
    kept.set(key, own);
  }

  return { ...dataset, batches };
}
