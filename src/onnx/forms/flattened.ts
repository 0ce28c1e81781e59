/** @file The one canonical form that no opset has: Softmax and its kin over several axes as one. */
import type { Graph, Node } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";

/**
 * The graph's nodes as its opset has them: a node marked `flatten` (see `lift-rules.ts`) becomes
 * Flatten, the operator along axis 1, and a Reshape to the shape that there was.
 */
export function withoutFlattening(graph: Graph): readonly Node[] {
  const isMarked = ({ attributes }: Node) => attributes.has("flatten");
  if (!graph.nodes.some(isMarked)) return graph.nodes;
  const fresh = freshNames(graph);
  return graph.nodes.flatMap((node) => {
    if (!isMarked(node)) return [node];
    const [flat, result, shape] = ["flat", "flat result", "shape"].map((what) =>
      fresh(`${node.name} ${what}`),
    );
    const axis = node.attributes.get("axis") ?? { kind: "int", value: 1 };
    const step = (opType: string, inputs: readonly string[], output: string): Node => ({
      ...node,
      name: fresh(`${node.name} ${opType}`),
      opType,
      inputs,
      outputs: [output],
      attributes: new Map(),
    });
    return [
      { ...step("Flatten", node.inputs, flat), attributes: new Map([["axis", axis]]) },
      {
        ...step(node.opType, [flat], result),
        attributes: new Map([["axis", { kind: "int", value: 1 }]]),
      },
      step("Shape", node.inputs, shape),
      step("Reshape", [result, shape], node.outputs[0]),
    ];
  });
}
