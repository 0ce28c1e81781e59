/** @file Puts the parameters that a smaller network has learnt back into the whole network: the inverse of surgery. */
import { type Constant, constantOf, type Graph } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { isFloat } from "../../tensor/dtype.ts";
import {
  type HostTensor,
  sizeOf,
  takeGrid,
  tensorOf,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import { keptAlong, type Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/**
 * The structure's graph with the float constants of `small` where these were cut from; what was removed
 * keeps the values that it had. A constant whose uses have gone different ways becomes several.
 *
 * @param small What `removeUnits` gave for the same units, its nodes with constants of other values or
 *   names.
 */
export function restoreUnits(structure: Structure, removed: Removed, small: Graph): Graph {
  const { graph, operands } = structure.analysis;
  const fresh = freshNames(graph);
  const smaller = new Map(small.nodes.map((node) => [node.name, node]));
  const constants = new Map<string, Constant>(graph.constants);
  /** Names in the whole, by constant of the whole and of the smaller network. */
  const names = new Map<string, Map<string, string>>();
  const nodes = graph.nodes.map((node) => {
    const own = smaller.get(node.name);
    const seen = operands.get(node);
    if (own === undefined || seen === undefined) return node;
    const inputs = node.inputs.map((name, i) => {
      const old = graph.constants.get(name);
      const learnt = small.constants.get(own.inputs[i] ?? "");
      const tensor = seen.inputs[i];
      if (!old || !learnt || !tensor || !isFloat(old.dtype) || seen.sizeInputs.has(i)) return name;
      const layout = seen.layoutOf(tensor);
      const kept = layout.shape.map((_, axis) => keptAlong(structure, removed, layout, axis));
      const isCut = kept.length === learnt.shape.length;
      if (!isCut || kept.some((list, axis) => list.length !== learnt.shape[axis])) return name;
      const known = names.get(name) ?? new Map<string, string>();
      names.set(name, known);
      const before = known.get(learnt.name);
      if (before !== undefined) return before;
      const values = learnt.read();
      if (isSame(values, takeGrid(old.read(), kept))) return name;
      const isFirst = known.size === 0;
      const restored = isFirst ? name : fresh(name);
      known.set(learnt.name, restored);
      const whole = withGrid(old.read(), kept, values);
      constants.set(
        restored,
        isFirst ? { ...old, read: () => whole } : constantOf(restored, whole),
      );
      return restored;
    });
    return inputs.every((name, i) => name === node.inputs[i]) ? node : { ...node, inputs };
  });
  return { ...graph, nodes, constants };
}

function isSame(a: HostTensor, b: HostTensor): boolean {
  const [x, y] = [toNumbers(a), toNumbers(b)];
  return x.every((value, i) => Object.is(value, y[i]));
}

/** `tensor` with other elements at the given indices of every axis. */
function withGrid(
  tensor: HostTensor,
  indices: readonly (readonly number[])[],
  values: HostTensor,
): HostTensor {
  const { dtype, shape } = tensor;
  const out = toNumbers(tensor).slice();
  const offsets = indices.reduce(
    (before: readonly number[], list, axis) => {
      const stride = sizeOf(shape.slice(axis + 1));
      return before.flatMap((offset) => list.map((index) => offset + index * stride));
    },
    [0],
  );
  for (const [i, value] of toNumbers(values).entries()) out[offsets[i]] = value;
  return tensorOf(dtype, shape, out);
}
