/** @file Single weights that become 0, apart from units that go: flags for the elements of constants. */
import type { Constant, Graph } from "../../ir/graph.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { useKey } from "../analysis/analysis.ts";
import { keptAlong, type Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import { layerWeights, weightConstants } from "./layer-weights.ts";

/** One flag for each element of a constant, by the constant's name: 1 where the element becomes 0. */
export type Zeros = ReadonlyMap<string, Uint8Array>;

/** Nothing becomes 0. */
export const noZeros: Zeros = new Map();

/** The weights of linear layers that hold zeros, with a flag for each of these. */
export function zerosIn(graph: Graph): Zeros {
  const found = new Map<string, Uint8Array>();
  for (const [name, constant] of weightConstants(graph)) {
    const values = toNumbers(constant.read());
    const flags = new Uint8Array(values.length);
    for (let i = 0; i < values.length; i++) if (values[i] === 0) flags[i] = 1;
    if (flags.includes(1)) found.set(name, flags);
  }
  return found;
}

/** The graph with these elements at 0. All uses of a constant that is shared stay tied. */
export function withZeros(graph: Graph, zeros: Zeros): Graph {
  if (zeros.size === 0) return graph;
  const constants = new Map(graph.constants);
  for (const [name, flags] of zeros) {
    const constant = graph.constants.get(name);
    if (constant !== undefined)
      constants.set(name, { ...constant, read: () => zeroed(constant, flags) });
  }
  return { ...graph, constants };
}

function zeroed({ read }: Constant, flags: Uint8Array): HostTensor {
  const tensor = read();
  const values = toNumbers(tensor);
  for (let i = 0; i < values.length; i++) if (flags[i] === 1) values[i] = 0;
  const data = tensor.dtype === "float32" ? new Float32Array(values) : undefined;
  return data ? { ...tensor, data } : tensorOf(tensor.dtype, tensor.shape, values);
}

/** How many flags are set. */
export function countZeros(zeros: Zeros): number {
  let count = 0;
  for (const flags of zeros.values()) for (const flag of flags) count += flag;
  return count;
}

/**
 * A function that counts the weights of linear layers that are not 0 when units go and elements become 0.
 * Layers that lose no elements but by their units are counted once beforehand.
 */
export function nonZeroModel(structure: Structure): (removed: Removed, zeros?: Zeros) => number {
  const { graph, parameters } = structure.analysis;
  const once = new Map(layerWeights(graph).map((weight) => [weight.constant.name, weight]));
  const weights = [...once.values()].map(({ node, role, constant }) => {
    const layout = parameters.get(useKey(constant.name, constant.shape, node, role.weightInput));
    return { constant, layout, pairs: pairCounts(constant) };
  });
  return (removed, zeros = noZeros) => {
    let count = 0;
    for (const { constant, layout, pairs: all } of weights) {
      const flags = zeros.get(constant.name);
      const pairs = flags === undefined ? all : pairCounts(constant, flags);
      const [first, second] = [0, 1].map((axis) =>
        layout
          ? keptAlong(structure, removed, layout, axis)
          : [...Array(constant.shape[axis]).keys()],
      );
      for (const i of first) for (const j of second) count += pairs[i * constant.shape[1] + j];
    }
    return count;
  };
}

/** Elements that are not 0, over the first two axes. */
function pairCounts({ shape, read }: Constant, flags?: Uint8Array): Float64Array {
  const inner = sizeOf(shape.slice(2));
  const counts = new Float64Array(shape[0] * shape[1]);
  const values = toNumbers(read());
  for (let i = 0; i < values.length; i++)
    if (values[i] !== 0 && flags?.[i] !== 1) counts[Math.floor(i / inner)]++;
  return counts;
}
