/**
 * @file Networks whose file fixes the batch, run with another: constant shapes in which the batch takes
 * part are rewritten, for the training graph alone. What is written keeps its own.
 */
import { EspalierError } from "../../errors.ts";
import type { Graph, Node, TensorType } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { numericShape } from "../../ops/operator/known.ts";
import { inferNode, inferTypes, maxFoldedElements } from "../../ops/passes/infer.ts";
import { shapeInput } from "../../ops/passes/roles.ts";
import { type HostTensor, int64Vector, sizeOf, toNumbers } from "../../tensor/host-tensor.ts";

/** A network as it runs with the batch that it is fed. */
export interface Rebatched {
  readonly nodes: readonly Node[];
  /** Shapes that nodes read in place of the network's own, by the name of a new constant. */
  readonly sizes: ReadonlyMap<string, readonly number[]>;
}

/**
 * Rewrites constant shapes for inputs of these shapes. Samples stay apart: the batch lies outermost in
 * what is reshaped, and its first size grows with it; or it is the outermost part of an axis whose size
 * is left open (-1), with the same sizes before it.
 *
 * Errors: `MODEL_UNSUPPORTED`, naming the node, where neither holds.
 */
export function rebatch(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Rebatched {
  const ratio = ratioOf(graph, shapes);
  if (ratio === 1) return { nodes: graph.nodes, sizes: new Map() };
  const before = inferTypes(graph).types;
  const types = new Map<string, TensorType>();
  const values = new Map<string, HostTensor>();
  for (const name of graph.inputs) {
    const { dtype = "float32", shape } = graph.types.get(name) ?? {};
    types.set(name, { dtype, shape: shapes.get(name) ?? shape });
  }
  for (const { name, dtype, shape, read } of graph.constants.values()) {
    types.set(name, { dtype, shape });
    if (sizeOf(shape) <= maxFoldedElements) values.set(name, read());
  }
  const fresh = freshNames(graph);
  const sizes = new Map<string, readonly number[]>();
  const nodes = graph.nodes.map((node) => {
    let own = node;
    const index = shapeInput(node);
    const wanted =
      index === undefined ? undefined : graph.constants.get(node.inputs[index])?.read();
    if (index !== undefined && wanted !== undefined) {
      const [old, now] = [before, types].map((all) => numericShape(all.get(node.inputs[0])?.shape));
      const scaled = old && now && scaledSizes(node, old, now, [...toNumbers(wanted)], ratio);
      if (scaled !== undefined) {
        const name = fresh(node.inputs[index]);
        sizes.set(name, scaled);
        const tensor = int64Vector(scaled);
        types.set(name, tensor);
        values.set(name, tensor);
        own = { ...node, inputs: node.inputs.with(index, name) };
      }
    }
    infer(own, types, values);
    return own;
  });
  return { nodes, sizes };
}

/** How many times the declared batch is fed; 1 where none is declared. */
function ratioOf(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): number {
  for (const name of graph.inputs) {
    const declared = graph.types.get(name)?.shape?.[0];
    const fed = shapes.get(name)?.[0];
    if (typeof declared === "number" && fed !== undefined) return fed / declared;
  }
  return 1;
}

/** The new shape, or `undefined` where the old one serves. */
function scaledSizes(
  node: Node,
  old: readonly number[],
  now: readonly number[],
  wanted: readonly number[],
  ratio: number,
): readonly number[] | undefined {
  const axis = old.findIndex((size, i) => size !== now[i]);
  if (axis < 0) return undefined;
  const before = sizeOf(old.slice(0, axis));
  const [first, ...rest] = wanted;
  if (before === 1 && first > 0) return [first * ratio, ...rest];
  const open = wanted.indexOf(-1);
  // 0 stands for the size of the input.
  const ahead = wanted.slice(0, Math.max(open, 0)).map((size, i) => (size === 0 ? now[i] : size));
  const isOutermost = before === 1 && first === 0;
  if (isOutermost || (open >= 0 && sizeOf(ahead) === before)) return undefined;
  throw fixed(node, `it reshapes [${old.join(", ")}] to [${wanted.join(", ")}]`);
}

function infer(node: Node, types: Map<string, TensorType>, values: Map<string, HostTensor>): void {
  try {
    const inferred = inferNode(node, types, values, () => "?");
    for (const [i, name] of node.outputs.entries()) {
      const type = inferred?.types[i] ?? { dtype: "float32", shape: undefined };
      if (name !== "") types.set(name, type);
      const value = inferred?.values?.[i];
      if (value !== undefined) values.set(name, value);
    }
  } catch (cause) {
    throw fixed(node, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function fixed({ opType, name }: Node, why: string, cause?: unknown): EspalierError {
  return new EspalierError(
    "MODEL_UNSUPPORTED",
    `${opType} "${name}" fixes the batch of the network: ${why}`,
    {
      hint: "Train with the batch that the file declares, or export it with a dynamic one.",
      data: { node: name, fixesBatch: true },
      cause,
    },
  );
}
