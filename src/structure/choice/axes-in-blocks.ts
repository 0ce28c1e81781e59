/**
 * @file The axes of channels that ONNX Runtime computes in whole blocks or not in its blocked layout: those that grouped
 * and depthwise convolutions, pools and concatenations read. Dense convolutions pad what is left of a block, and what
 * works element by element takes any width.
 */
import type { Node } from "../../ir/graph.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Layout } from "../analysis/layout.ts";
import type { Structure } from "../units/units.ts";

/** Axes of maps: [N, C, H, W]. */
const rank = 4;
const channels = 1;
/** The smallest of ONNX Runtime's blocks. */
const block = 8;

/**
 * The axes, each as the list of its units, joined by commas. An operator with an axis that is no whole blocks in the
 * original never was in the blocked layout, and its axes are free.
 */
export function axesInBlocks(structure: Structure): ReadonlySet<string> {
  const { graph, operands, layouts } = structure.analysis;
  const axes = new Set<string>();
  for (const node of graph.nodes) {
    const own = operands.get(node);
    const result = own?.layoutOf(own.outputs[0]);
    if (result?.shape.length !== rank) continue;
    // Weights have layouts of their own, which no value of the graph has.
    const maps = node.inputs
      .flatMap((name) => layouts.get(name) ?? [])
      .filter(({ shape }) => shape.length === rank);
    if (maps.every(({ shape }) => shape[channels] % block === 0))
      for (const map of maps)
        if (takesWholeBlocks(node, map, result))
          axes.add(structure.unitsAlong(map, channels).join(","));
  }
  return axes;
}

/**
 * Whether a node is a convolution of several groups, or lays maps side by side, or makes maps of another size of the
 * same channels, as pools do.
 */
function takesWholeBlocks(node: Node, { shape }: Layout, { shape: resulting }: Layout): boolean {
  const role = roleOf(node);
  if (role.kind === "linear") return role.group > 1;
  if (shape[channels] !== resulting[channels]) return shape[channels] < resulting[channels];
  return shape.some((size, axis) => size !== resulting[axis]);
}
