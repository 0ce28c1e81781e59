/** @file The form of a graph that an execution provider can train. */
import type { Graph } from "../ir/graph.ts";
import { emitModel } from "../onnx/emit.ts";
import { withComposedStatistics } from "../ops/batch-statistics.ts";
import type { SessionOptions } from "../runtime/session.ts";

/** Providers of onnxruntime 1.30 that have batch normalization in its inference form only. */
const withoutBatchStatistics: ReadonlySet<string> = new Set(["webgpu"]);

/** A graph as the bytes of a model that the first of the providers (default `cpu`) runs. */
export function emitFor(
  graph: Graph,
  { providers = ["cpu"] }: Pick<SessionOptions, "providers">,
): readonly Uint8Array[] {
  const [provider] = providers;
  const form = withoutBatchStatistics.has(provider) ? withComposedStatistics(graph) : graph;
  return emitModel(form).chunks;
}
