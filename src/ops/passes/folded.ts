/** @file Nodes that engines compute together with the layer in front of them, so that they take no time of their own. */
import { consumersOf, type Graph, type Node, producersOf } from "../../ir/graph.ts";

/** What engines apply to results of a layer before they store them. */
const activations = new Set([
  ...["Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid"],
  ...["BatchNormalization"],
]);
/** What engines fold into a layer where the other operand is constant. */
const shifts = new Set(["Add", "Mul"]);
/** What engines leave out. */
const nothing = new Set(["Identity", "Dropout"]);

/**
 * A test for nodes that engines fold into the layer whose only reader they are, or leave out altogether.
 *
 * @param isLayer Tells which nodes are layers.
 */
export function isFoldedInto(
  graph: Graph,
  isLayer: (node: Node) => boolean,
): (node: Node) => boolean {
  const makers = producersOf(graph);
  const consumers = consumersOf(graph);
  const outputs = new Set(graph.outputs);
  const isFolded = (node: Node): boolean => {
    if (nothing.has(node.opType)) return true;
    const isShift = shifts.has(node.opType);
    if (!isShift && !activations.has(node.opType)) return false;
    const data = isShift ? node.inputs.filter((name) => !graph.constants.has(name)) : node.inputs;
    if (isShift && data.length !== 1) return false;
    const [name] = data;
    if (outputs.has(name) || consumers.get(name)?.length !== 1) return false;
    const maker = makers.get(name);
    return maker !== undefined && (isLayer(maker) || isFolded(maker));
  };
  const folded = new Set(graph.nodes.filter(isFolded));
  return (node) => folded.has(node);
}
