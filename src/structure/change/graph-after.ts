/** @file The graph that a removal leaves: its types, its shapes, and the nodes that still count. */
import { assert } from "../../errors.ts";
import type { Constant, Graph, Node, TensorType } from "../../ir/graph.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { knownShape } from "../analysis/obstacles.ts";
import { type Removed, shapeAfter } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/** The declared types of the smaller graph, with the new widths; symbolic dims stay as they are. */
export function typesAfter(
  structure: Structure,
  removed: Removed,
  nodes: readonly Node[],
  constants: Pick<ReadonlyMap<string, Constant>, "get">,
): ReadonlyMap<string, TensorType> {
  const { graph, layouts } = structure.analysis;
  const produced = new Set([...graph.inputs, ...nodes.flatMap((node) => node.outputs)]);
  const types = new Map<string, TensorType>();
  for (const [name, type] of graph.types) {
    const constant = constants.get(name);
    const layout = layouts.get(name);
    if (constant) {
      const isSame = type.shape?.every((dim, axis) => dim === constant.shape[axis]);
      types.set(name, isSame ? type : { ...type, shape: constant.shape });
    } else if (!produced.has(name)) continue;
    else if (layout === undefined || type.shape?.length !== layout.shape.length)
      types.set(name, type);
    else {
      const after = shapeAfter(structure, removed, layout);
      const isSame = after.every((size, axis) => size === layout.shape[axis]);
      const shape = type.shape.map((dim, axis) =>
        after[axis] === layout.shape[axis] ? dim : after[axis],
      );
      types.set(name, isSame ? type : { ...type, shape });
    }
  }
  return types;
}

/** The smaller graph, with its shapes inferred anew: they must be what the layouts say. */
export function checkedAfter(structure: Structure, removed: Removed, graph: Graph): Graph {
  const { analysis } = structure;
  const inference = inferTypes(graph, { dims: analysis.dims });
  for (const node of graph.nodes) {
    for (const name of node.outputs) {
      const layout = analysis.layouts.get(name);
      const actual = name === "" ? undefined : knownShape(inference, name);
      if (layout === undefined || actual === undefined) continue;
      const expected = shapeAfter(structure, removed, layout);
      assert(
        actual.length === expected.length && actual.every((size, i) => size === expected[i]),
        `after removal "${name}" (${node.opType} "${node.name}") should be [${expected.join(", ")}], is [${actual.join(", ")}]`,
      );
    }
  }
  return graph;
}

/** Drops nodes whose outputs nothing reads any more, though something read them before. */
export function withoutNewlyDead(nodes: readonly Node[], original: Graph): readonly Node[] {
  const readBefore = new Set(original.nodes.flatMap((node) => [...node.inputs, ...node.captures]));
  const read = new Set(original.outputs);
  const live: Node[] = [];
  for (const node of [...nodes].reverse()) {
    const isRead = node.outputs.some((name) => read.has(name));
    const wasDead = node.origin !== undefined && !node.outputs.some((name) => readBefore.has(name));
    if (!isRead && !wasDead) continue;
    live.push(node);
    for (const name of [...node.inputs, ...node.captures]) read.add(name);
  }
  return live.reverse();
}
