/** @file Whether a network is small enough to be run here, before anything is allocated for it. */
import { EspalierError } from "../../errors.ts";
import type { Graph, Shape } from "../../ir/graph.ts";
import { numericShape } from "../../ops/operator/known.ts";
import { bindDims } from "../../structure/analysis/bound-sizes.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";

/** Elements of an input that is made up: half a GiB of float32. */
const mostFed = 2 ** 27;

/** Elements of anything that a network computes: 4 GiB of float32. */
const mostComputed = 2 ** 30;

/**
 * Throws `MODEL_TOO_LARGE` where an input of this shape would be too large to be made up. `declared` is the
 * shape with its open sizes.
 */
export function requireFeedable(input: string, shape: readonly number[], declared: Shape): void {
  if (sizeOf(shape) <= mostFed) return;
  const open = declared.filter((dim) => typeof dim === "string");
  throw new EspalierError(
    "MODEL_TOO_LARGE",
    `Input "${input}" takes [${shape.join(", ")}]; inputs of at most ${mostFed} elements are made up.`,
    {
      hint:
        open.length > 0
          ? `Give smaller sizes for ${open.join(", ")} with \`dims\`.`
          : "Export the network for smaller inputs, or with open sizes, which `dims` can set.",
      data: { input, shape },
    },
  );
}

/**
 * Throws `MODEL_TOO_LARGE` where a network computes a tensor that is too large to be run, and what
 * `inferTypes` throws. Open sizes are those of `dims`, or else the usual ones.
 */
export function requireRunnable(graph: Graph, dims: ReadonlyMap<string, number>): void {
  const { types } = bindDims(graph, dims).inference;
  for (const node of graph.nodes)
    for (const name of node.outputs) {
      const shape = numericShape(types.get(name)?.shape);
      if (shape === undefined || sizeOf(shape) <= mostComputed) continue;
      throw new EspalierError(
        "MODEL_TOO_LARGE",
        `${node.opType} node "${node.name}" computes [${shape.join(", ")}]; tensors of at most ${mostComputed} elements are run.`,
        {
          hint: "Give smaller sizes with `dims` where the network leaves them open, or export it for smaller inputs.",
          data: { node: node.name, tensor: name, shape },
        },
      );
    }
}
