/**
 * @file An oracle for removal that asks no mask: the original with 0 for every number that goes. A
 * channel that nothing makes and no weight reads may go without a trace, so the smaller network must
 * compute what this one computes.
 */
import type { Constant, Graph } from "../../src/ir/graph.ts";
import { trainedInputs } from "../../src/ops/passes/training.ts";
import { keptAlong, type Removed } from "../../src/structure/units/removal.ts";
import type { Structure } from "../../src/structure/units/units.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";

/** The graph with zeros in the weights, biases, scales and shifts that surgery cuts off. */
export function withDeadUnits(structure: Structure, removed: Removed): Graph {
  const { graph, operands } = structure.analysis;
  const constants = new Map<string, Constant>(graph.constants);
  const nodes = graph.nodes.map((node) => {
    const { weights, affine } = trainedInputs(node);
    const own = operands.get(node);
    const inputs = node.inputs.map((name, i) => {
      const constant = graph.constants.get(name);
      const tensor = own?.inputs[i];
      if (!own || !tensor || !constant || !isFloat(constant.dtype)) return name;
      if (![...weights, ...affine].includes(i)) return name;
      const layout = own.layoutOf(tensor);
      const kept = constant.shape.map((_, axis) => keptAlong(structure, removed, layout, axis));
      if (kept.every((list, axis) => list.length === constant.shape[axis])) return name;
      const made = `${name}/${node.name}/${i}`;
      constants.set(made, { ...constant, name: made, read: () => only(constant.read(), kept) });
      return made;
    });
    return { ...node, inputs };
  });
  return { ...graph, nodes, constants };
}

/** The tensor with 0 everywhere but in the grid of kept indices. */
function only(tensor: HostTensor, kept: readonly (readonly number[])[]): HostTensor {
  const values = toNumbers(tensor);
  const isKept = kept.map((list) => new Set(list));
  for (let i = 0; i < values.length; i++) {
    const isIn = tensor.shape.every((size, axis) => {
      const inner = sizeOf(tensor.shape.slice(axis + 1));
      return isKept[axis].has(Math.floor(i / inner) % size);
    });
    if (!isIn) values[i] = 0;
  }
  return tensorOf(tensor.dtype, tensor.shape, values);
}
