/** @file A graph under construction that is fed what a network is fed. */
import { GraphEmitter } from "../../grad/emitter.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { emptyGraph } from "./embed.ts";
import { rebatch } from "./rebatch.ts";

/** The inputs of a network in a graph that is otherwise empty, and what it takes to embed the rest. */
export interface FedNetwork {
  readonly emit: GraphEmitter;
  /** The inputs, in the order of the shapes. */
  readonly inputs: readonly Value[];
  /** What names of the network stand for; `embedNodes` adds what it emits. */
  readonly values: Map<string, Value>;
  /** The network's nodes, as they run with this batch. None is emitted yet. */
  readonly nodes: readonly Node[];
}

/**
 * Begins a graph of this name with the inputs of `network`, in these shapes. Fails with
 * `MODEL_UNSUPPORTED` where the network does not run with their batch.
 */
export function feedNetwork(
  name: string,
  network: Graph,
  shapes: ReadonlyMap<string, readonly number[]>,
): FedNetwork {
  const empty = emptyGraph(name);
  const emit = new GraphEmitter(empty, inferTypes(empty));
  const values = new Map<string, Value>();
  const inputs = [...shapes].map(([input, shape]) => {
    const value = emit.input(input, network.types.get(input)?.dtype ?? "float32", shape);
    values.set(input, value);
    return value;
  });
  const { nodes, sizes } = rebatch(network, shapes);
  for (const [constant, own] of sizes) values.set(constant, emit.ints(own));
  return { emit, inputs, values, nodes };
}
