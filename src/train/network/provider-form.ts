/** @file The form of a graph that an execution provider computes rightly. */
import type { Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withComposedStatistics } from "../../ops/passes/batch-statistics.ts";
import { type BlockSize, withBlockedConvolutions } from "../../ops/passes/blocked.ts";
import { withPaddedConvolutions } from "../../ops/passes/padded-convolutions.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import type { TrainedNetwork } from "./network.ts";

type Providers = Pick<SessionOptions, "providers">;

/** What onnxruntime 1.30 needs: its WebGPU has no batch statistics, and errs in some convolutions. */
const forms: Readonly<Record<string, (graph: Graph) => Graph>> = {
  webgpu: (graph) => withPaddedConvolutions(withComposedStatistics(graph)),
};

/** A graph as the bytes of a model that the first of the providers (default `cpu`) runs. */
export function emitFor(graph: Graph, options: Providers): readonly Uint8Array[] {
  return encodeGraph(formOf(options)?.(graph) ?? graph).chunks;
}

/**
 * A graph that is run here and kept nowhere: with `block`, its convolutions are in blocked layout
 * where that is faster. Such a size is what `findBlockSize` found for the same options.
 */
export function emitStep(
  graph: Graph,
  options: Providers,
  block: BlockSize | undefined,
): readonly Uint8Array[] {
  if (block === undefined) return emitFor(graph, options);
  return encodeGraph(withBlockedConvolutions(graph, block), { isForThisMachine: true }).chunks;
}

/** What `emitFor` gives, of a network that was trained; its own file where the provider asks for nothing else. */
export function modelFor(network: TrainedNetwork, options: Providers): readonly Uint8Array[] {
  return formOf(options) === undefined ? network.bytes.chunks : emitFor(network.graph, options);
}

function formOf({ providers = ["cpu"] }: Providers): ((graph: Graph) => Graph) | undefined {
  const [provider] = providers;
  return Object.hasOwn(forms, provider) ? forms[provider] : undefined;
}
