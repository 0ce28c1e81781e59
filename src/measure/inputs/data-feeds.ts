/** @file Samples of a data set as inputs of a network, a few at a time. */
import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Feeds } from "../../runtime/values.ts";
import { declaredInputs } from "./feeds.ts";
import { fitInput } from "./fit-input.ts";

/** Which samples are fed. */
export interface DataFeedOptions {
  /** Samples at most. */
  readonly count: number;
  /** Default `fit`, or `test` where there is no other. */
  readonly role?: Role | undefined;
  /** Samples per feed where the network leaves it open; default 1. */
  readonly batchSize?: number | undefined;
  /** Leaves out a last batch that is not full, so that all feeds have one shape. Default false. */
  readonly isWhole?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The first `count` samples of a role, one feed per batch.
 * Fails with `DATA_MISMATCH` where they do not fit the network's only input, `DATA_NOT_FOUND`.
 */
export async function dataFeeds(
  graph: Graph,
  dataset: Dataset,
  { count, role, batchSize = 1, isWhole = false, signal }: DataFeedOptions,
): Promise<Feeds[]> {
  const inputs = declaredInputs(graph).map(({ name, dtype, shape = [] }) => ({
    name,
    dtype,
    shape,
  }));
  const input = fitInput(inputs, dataset);
  const from = role ?? (dataset.size("fit") > 0 ? "fit" : "test");
  const step = input.fixedBatch ?? batchSize;
  const feeds: Feeds[] = [];
  const options = { batchSize: step, limit: count, signal };
  for await (const batch of dataset.batches(from, options)) {
    const size = batch.indices.length;
    if (size === step || !isWhole)
      feeds.push(new Map([[input.name, input.tensor(batch, 0, size)]]));
  }
  return feeds;
}
