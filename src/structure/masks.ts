/**
 * @file The other side of the invariant: the original network with zeros where removed channels were
 * read. A smaller network is right when it computes the same as this one.
 */
import { type Constant, constantOf, type Graph, type Node } from "../ir/graph.ts";
import { freshNames } from "../ir/names.ts";
import { isFloat } from "../tensor/dtype.ts";
import { tensorOf } from "../tensor/host-tensor.ts";
import type { Removed } from "./removal.ts";
import type { Structure } from "./units.ts";

/**
 * The structure's graph with a `Mul` by zeros and ones before every node that sums over channels of
 * which some are removed. All widths stay.
 */
export function maskReads(structure: Structure, removed: Removed): Graph {
  const { graph, operands, reads } = structure.analysis;
  const fresh = freshNames(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const masked = new Map<string, { readonly output: string; readonly node: Node }>();
  const rewritten = new Map<Node, { inputs: string[]; before: Node[] }>();

  for (const { node, input, axis } of reads) {
    const tensor = operands.get(node)?.inputs[input];
    const layout = tensor && operands.get(node)?.layoutOf(tensor);
    if (!tensor || !layout) continue;
    const units = structure.unitsAlong(layout, axis);
    const isRemoved = (unit: number) => unit >= 0 && removed[unit] === 1;
    if (!units.some(isRemoved)) continue;
    const change = rewritten.get(node) ?? { inputs: [...node.inputs], before: [] };
    rewritten.set(node, change);
    // Summing over two axes of one input masks it twice, one on the other.
    const source = change.inputs[input];
    // What a layer selects is its own.
    const key = `${source}\u0000${axis}\u0000${layout.base.name}`;
    let mask = masked.get(key);
    if (mask === undefined) {
      const shape = layout.shape.map((size, i) => (i === axis ? size : 1));
      const name = fresh(`${source}_mask`);
      const values = Array.from(units, (unit) => (isRemoved(unit) ? 0 : 1));
      const dtype = isFloat(tensor.dtype) ? tensor.dtype : "float32";
      constants.set(name, constantOf(name, tensorOf(dtype, shape, values)));
      const output = fresh(`${source}_masked`);
      mask = {
        output,
        node: {
          name: fresh(`Mask_${source}`),
          opType: "Mul",
          domain: "",
          inputs: [source, name],
          outputs: [output],
          attributes: new Map(),
          captures: [],
          origin: undefined,
        },
      };
      masked.set(key, mask);
      change.before.push(mask.node);
    }
    change.inputs[input] = mask.output;
  }
  const nodes = graph.nodes.flatMap((node) => {
    const change = rewritten.get(node);
    return change ? [...change.before, { ...node, inputs: change.inputs }] : [node];
  });
  return { ...graph, nodes, constants };
}
