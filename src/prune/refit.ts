/** @file Refitting a pruned network on a few images, before it is verified and written. */

import type { Dataset } from "../data/dataset.ts";
import { EspalierError } from "../errors.ts";
import { dataFeeds } from "../measure/inputs/data-feeds.ts";
import { type RefitOptions, refit } from "../methods/compensation/refit.ts";
import type { Model } from "../onnx/model.ts";
import { counted } from "../words/numbers.ts";
import { finishPruning } from "./prune.ts";
import { type Pruned, partsOf } from "./pruned.ts";

/** Which images, and how. */
export interface RefitPrunedOptions extends RefitOptions {
  /** Images at most, of the role `fit`. Default 256. */
  readonly images?: number | undefined;
}

const defaultImages = 256;
const largestBatch = 32;

/**
 * The pruned network with the layers that lost inputs refitted to what the original computes, on
 * images without labels. What was removed stays the same.
 *
 * Errors: `DATA_NOT_FOUND` without images of the role `fit`, `DATA_MISMATCH`, `RUNTIME_FAILED`,
 * `ABORTED`.
 */
export async function refitPruned(
  model: Model,
  pruned: Pruned,
  dataset: Dataset,
  options: RefitPrunedOptions = {},
): Promise<Pruned> {
  const { images = defaultImages, signal } = options;
  const { structure, removed, ...parts } = partsOf(pruned);
  if (parts.zeros.size > 0)
    throw new EspalierError("USAGE", "refitting would fill the weights that became 0", {
      hint: "Remove whole units, or tune what is left by training with `keepsZeros`.",
    });
  const count = Math.min(images, dataset.size("fit"));
  const batches = await dataFeeds(model.graph, dataset, {
    count,
    role: "fit",
    batchSize: Math.min(largestBatch, count),
    isWhole: true,
    signal,
  });
  if (batches.length === 0)
    throw new EspalierError(
      "DATA_NOT_FOUND",
      `${dataset.path}: ${counted(count, "image does", "images do")} not fill one batch of the network`,
      { hint: "Give more images to refit on.", data: { path: dataset.path, count } },
    );
  const edits = await refit(structure, removed, parts.edits, batches, options);
  const refitted = finishPruning(model, structure, { ...pruned, ...parts, removed, edits });
  const method = `${pruned.method}, refitted on ${counted(count, "image")}`;
  return { ...refitted, plan: { ...refitted.plan, method } };
}
