/** @file What a training step is fed: samples and their targets, as the network takes them. */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import type { Graph } from "../../ir/graph.ts";
import { labelSizeOf } from "../../measure/evaluation/label-size.ts";
import { fitInput } from "../../measure/inputs/fit-input.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { TargetType } from "./step-options.ts";

/** How batches of one size reach a step. */
export interface Feeding {
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
  /**
   * Labels are int32 [N], or [N, H, W] for maps; what another network gave is float32 [N, numbers]; `undefined`
   * where samples have none.
   */
  readonly target: TargetType | undefined;
  /** A full batch as feeds; `targetName` is what the step calls its target. */
  feeds(batch: Batch, targetName: string | undefined): Map<string, HostTensor>;
}

/**
 * Fits the samples to the network's only input, whatever batch its file declares.
 * Fails with `DATA_MISMATCH` where they do not fit.
 */
export function feedingOf(graph: Graph, dataset: Dataset, batchSize: number): Feeding {
  const inputs = graph.inputs.map((name) => {
    const { dtype = "float32", shape = [] } = graph.types.get(name) ?? {};
    return { name, dtype, shape: shape.map((dim, axis) => (axis === 0 ? "N" : dim)) };
  });
  const input = fitInput(inputs, dataset);
  return {
    inputShapes: new Map([[input.name, [batchSize, ...input.sampleShape]]]),
    target: targetOf(dataset, batchSize),
    feeds(batch, targetName) {
      const feeds = new Map([[input.name, input.tensor(batch, 0, batch.indices.length)]]);
      const { labels, labelMaps, outputs } = batch;
      const target =
        outputs ??
        labelMaps ??
        (labels && ({ dtype: "int32", shape: [labels.length], data: labels } as const));
      if (target !== undefined && targetName !== undefined) feeds.set(targetName, target);
      return feeds;
    },
  };
}

function targetOf(dataset: Dataset, batchSize: number): TargetType | undefined {
  if (dataset.labelKind === "none") return undefined;
  const { answers } = dataset;
  if (answers !== undefined) {
    const width = answers.reduce((sum, { size }) => sum + size, 0);
    return { dtype: "float32", shape: [batchSize, width] };
  }
  if (dataset.labelKind === "classes") return { dtype: "int32", shape: [batchSize] };
  return { dtype: "int32", shape: [batchSize, ...labelSizeOf(dataset)] };
}
