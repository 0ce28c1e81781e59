/** @file Whether a network squashes its output to probabilities, told by its graph. */
import { EspalierError } from "../../errors.ts";
import { loadModel } from "../../files/model-file.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { rearrangementOf, squashingOf } from "../../ops/passes/roles.ts";
import type { ModelSource } from "../../runtime/values.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { OutputKind } from "./classification.ts";

/**
 * What an output of a network is: probabilities behind a Sigmoid or Softmax, with at most nodes without
 * weights (Identity, Slice, Transpose, Resize ...) in between, else logits; `undefined` for a network that only
 * onnxruntime can read. Values alone don't tell for a single channel: logits may all lie in [0, 1].
 */
export async function declaredKind(
  source: ModelSource,
  output: string,
): Promise<OutputKind | undefined> {
  const model = await modelOf(source);
  return model && kindOf(model.graph, output);
}

/** What an output of a graph is: {@link declaredKind} of what has been read. */
export function kindOf(graph: Graph, output: string): OutputKind {
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])),
  );
  for (let node = producers.get(output); node !== undefined; node = producers.get(node.inputs[0])) {
    const role = squashingOf(node);
    if (role !== undefined) return role.squashing === "log-softmax" ? "logits" : "probabilities";
    const [, ...others] = node.inputs;
    const hasWeights = others.some((name) => {
      const constant = graph.constants.get(name);
      return name !== "" && (constant === undefined || isFloat(constant.dtype));
    });
    // The other inputs of Resize hold scales.
    if (hasWeights && rearrangementOf(node) === undefined) break;
  }
  return "logits";
}

async function modelOf(source: ModelSource): Promise<Model | undefined> {
  try {
    if (source instanceof Uint8Array) return readModel(source);
    if ("graph" in source) return source;
    if ("path" in source) return await loadModel(source.path, { externalData: true });
    const bytes = new Uint8Array(source.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of source) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return readModel(bytes);
  } catch (error) {
    // onnxruntime may read what we cannot: it has loaded the network already.
    if (error instanceof EspalierError) return undefined;
    throw error;
  }
}
