/** @file A trained network: the original with other weights, as a graph and as a file. */
import type { Preprocessing } from "../../data/preprocessing.ts";
import { preprocessingMetadata } from "../../data/stored-preprocessing.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { withWeights } from "./parameters.ts";

/** What is trained: a model that was read, or a graph that was built. */
export type TrainSource = Model | Graph;

/** A network with its weights. */
export interface TrainedNetwork {
  readonly graph: Graph;
  /** An ONNX file for inference: the original file with other weights where there was one. */
  readonly bytes: ModelBytes;
}

/** The graph of what is trained. */
export function graphOf(source: TrainSource): Graph {
  return "graph" in source ? source.graph : source;
}

/**
 * `graph`, which a pass made from the source's, with these weights, written in the form of the source.
 */
export function trainedNetwork(
  source: TrainSource,
  graph: Graph,
  weights: ReadonlyMap<string, HostTensor>,
  preprocessing: Preprocessing | undefined,
): TrainedNetwork {
  const trained = withWeights(graph, weights);
  const metadata = preprocessing ? preprocessingMetadata(preprocessing) : new Map();
  const bytes =
    "graph" in source
      ? writeModel(source, trained, { metadata })
      : encodeGraph(trained, { metadata });
  return { graph: trained, bytes };
}
