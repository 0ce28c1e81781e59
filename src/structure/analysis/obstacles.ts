/** @file The reasons why a node cannot be tied by its operator's rule, so that it is a barrier as a whole. */
import type { Graph, Node } from "../../ir/graph.ts";
import { numericShape } from "../../ops/operator/known.ts";
import { type Inference, inferNode } from "../../ops/passes/infer.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { Layout } from "./layout.ts";

/** The shape of a value when every size is known. */
export function knownShape(inference: Inference, name: string): readonly number[] | undefined {
  return numericShape(inference.types.get(name)?.shape);
}

/** The shapes of all outputs of a node, those without a name included; `undefined` for one that is not known. */
export function outputShapes(
  node: Node,
  inference: Inference,
): readonly (readonly number[] | undefined)[] {
  const { types, values } = inference;
  const inferred = node.outputs.includes("")
    ? inferNode(node, types, values, () => "?", 0)?.types
    : undefined;
  return node.outputs.map((name, i) => {
    if (name !== "") return knownShape(inference, name);
    const type = inferred?.[i];
    return type === undefined ? [] : numericShape(type.shape);
  });
}

/** The known facts about a node of a known operator before it is tied. */
export interface Untied {
  readonly graph: Graph;
  readonly node: Node;
  readonly inference: Inference;
  /** Layouts of the inputs; `undefined` for one that is absent, has no known sizes or is too large. */
  readonly inputs: readonly (Layout | undefined)[];
  /** See {@link outputShapes}. */
  readonly outputs: readonly (readonly number[] | undefined)[];
  /** Constants, and values computed from constants alone: these may be empty. */
  readonly fromConstants: ReadonlySet<string>;
  /** Whether so many more indices can be listed. */
  readonly takeIndices: (count: number) => boolean;
}

/** The reason, as the end of a clause; `undefined` where the rule may speak. */
export function obstacleOf(untied: Untied): string | undefined {
  const { graph, node, inference, inputs, outputs, fromConstants, takeIndices } = untied;
  if (node.outputs.every((name) => name === "")) return "names no output";
  const isTooLarge = (name: string, i: number) =>
    inputs[i] === undefined &&
    (graph.constants.has(name) || knownShape(inference, name) !== undefined);
  const indices = outputs.flatMap((shape) => shape ?? []).reduce((sum, size) => sum + size, 0);
  if (node.inputs.some(isTooLarge) || !takeIndices(indices))
    return "has more positions along its axes than are followed";
  const isWhole =
    node.captures.length === 0 &&
    node.inputs.every((name, i) => {
      const layout = inputs[i];
      return name === "" || (layout && (sizeOf(layout.shape) > 0 || fromConstants.has(name)));
    }) &&
    outputs.every((shape, i) => shape && (node.outputs[i] === "" || sizeOf(shape) > 0));
  return isWhole ? undefined : "has a shape that is only known at run time";
}
