/** @file Batch normalization in training form, made of operators that more execution providers have. */
import { constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { withoutDead } from "../../ir/live.ts";
import { freshNames } from "../../ir/names.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { attributesOf } from "../operator/attributes.ts";
import { inferTypes } from "./infer.ts";

/**
 * The graph in which nodes of their own compute the statistics of batches: every BatchNormalization in training
 * mode whose statistics are those of the batch (momentum 0) becomes
 *
 *     mean = Σ X / n        variance = Σ (X - mean)² / n        Y = BatchNormalization(X, ..., mean, variance)
 *
 * All values keep their names. Other nodes stay as they are, and so do nodes over an X of unknown rank.
 */
export function withComposedStatistics(graph: Graph): Graph {
  const { types } = inferTypes(graph);
  const fresh = freshNames(graph);
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const rank = types.get(node.inputs[0])?.shape?.length;
    if (rank === undefined || !takesBatchStatistics(node)) return [node];
    const [x, scale, shift] = node.inputs;
    const y = node.outputs[0];
    // Axes 0, 2, 3, ...: all but the channels.
    const numbers = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
    const axes = fresh(`${y}:axes`);
    constants.set(axes, constantOf(axes, tensorOf("int64", [rank - 1], numbers)));
    const make = (opType: string, inputs: readonly string[], output: string) =>
      newNode(fresh(`${node.name}:${opType}`), opType, inputs, output);
    const [mean, variance] = [1, 2].map((i) => node.outputs[i] || fresh(`${y}:statistic`));
    const [column, centred, square, spread] = ["column", "centred", "square", "spread"].map(
      (stem) => fresh(`${y}:${stem}`),
    );
    const attributes = new Map(node.attributes);
    attributes.delete("training_mode");
    const inputs = [x, scale, shift, mean, variance];
    return [
      make("ReduceMean", [x, axes], column),
      make("Squeeze", [column, axes], mean),
      make("Sub", [x, column], centred),
      make("Mul", [centred, centred], square),
      make("ReduceMean", [square, axes], spread),
      make("Squeeze", [spread, axes], variance),
      { ...node, inputs, outputs: [y], attributes },
    ];
  });
  return nodes.length === graph.nodes.length ? graph : withoutDead({ ...graph, nodes, constants });
}

function takesBatchStatistics(node: Node): boolean {
  if (node.domain !== "" || node.opType !== "BatchNormalization") return false;
  const raw = attributesOf(node);
  return raw.int("training_mode", 0) !== 0 && raw.float("momentum", 0.9) === 0;
}
