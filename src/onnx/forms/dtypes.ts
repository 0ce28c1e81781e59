/** @file The element type of a value where the file does not declare it: that of what it is computed from. */
import type { Constant, Node, TensorType } from "../../ir/graph.ts";
import { producersOf } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import { dtypeOf } from "../parts/data-types.ts";

/** Tells the element type of a value; float32 when nothing is known. */
export type DTypes = (name: string) => DType;

/** A lookup over nodes in topological order. */
export function dtypesOf(
  nodes: readonly Node[],
  constants: ReadonlyMap<string, Constant>,
  types: ReadonlyMap<string, TensorType>,
): DTypes {
  const producers = producersOf({
    name: "",
    inputs: [],
    outputs: [],
    nodes,
    constants,
    types,
  });
  const computed = new Map<string, DType>();
  return (name) => {
    // A loop, not a recursion: chains of undeclared values are as long as the network.
    const path: string[] = [];
    let at = name;
    let found: DType | undefined;
    while (found === undefined) {
      path.push(at);
      const node = producers.get(at);
      found = types.get(at)?.dtype ?? constants.get(at)?.dtype ?? computed.get(at);
      if (found !== undefined || node === undefined || path.length > nodes.length) break;
      const to = node.opType === "Cast" ? node.attributes.get("to") : undefined;
      found = to?.kind === "int" ? dtypeOf(to.value) : undefined;
      at = node.inputs[0] ?? "";
    }
    const dtype = found ?? "float32";
    for (const value of path) computed.set(value, dtype);
    return dtype;
  };
}
