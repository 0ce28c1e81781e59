/**
 * @file The values besides outputs at which a smaller network can be compared with its reference: before nodes that may
 * hide a difference, and behind every layer. The kept indices of a channel axis are the same there.
 */
import { type Graph, type Node, producersOf } from "../../ir/graph.ts";
import { hidesDifferences, isLayer } from "../../ops/passes/ends.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { isVirtual, keptAlong, type Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/** A value that both networks compute. */
export interface Place {
  readonly name: string;
  readonly dtype: DType;
  /** Number of elements in the larger network, at the sizes that its structure was bound to. */
  readonly size: number;
  /** The indices that the smaller network has, axis by axis; `undefined` for an axis where it has all. */
  readonly kept: readonly (readonly number[] | undefined)[];
}

/** All places of a network. */
export interface Places {
  /** The values before nodes that may hide a difference, by output; empty where no node hides any. */
  readonly ends: ReadonlyMap<string, readonly Place[]>;
  /** The results of layers, in graph order. */
  readonly layers: readonly Place[];
}

/** The places at which `small`, made from `structure` by `removed`, can be compared. */
export function placesOf(structure: Structure, removed: Removed, small: Graph): Places {
  const { graph, layouts, inference } = structure.analysis;
  const makers = producersOf(graph);
  const made = new Set(small.nodes.flatMap((node) => node.outputs));
  const known = new Map<string, Place | undefined>();
  const placeOf = (name: string): Place | undefined => {
    if (!known.has(name)) known.set(name, newPlace(name));
    return known.get(name);
  };
  const newPlace = (name: string): Place | undefined => {
    const layout = layouts.get(name);
    const dtype = inference.types.get(name)?.dtype;
    if (!made.has(name) || !makers.has(name) || layout === undefined || dtype === undefined)
      return undefined;
    if (!isFloat(dtype) || isVirtual(structure, removed, layout)) return undefined;
    const kept = layout.shape.map((size, axis) => {
      const list = keptAlong(structure, removed, layout, axis);
      return list.length === size ? undefined : list;
    });
    return { name, dtype, size: sizeOf(layout.shape), kept };
  };
  const isPlace = (place: Place | undefined) => place !== undefined;
  const outputs = new Set(graph.outputs);
  const layers = graph.nodes
    .filter(isLayer)
    .flatMap((node) => node.outputs)
    .filter((name) => !outputs.has(name))
    .map(placeOf)
    .filter(isPlace);
  const ends = graph.outputs.map((output): [string, readonly Place[]] => {
    const before = hiddenBefore(output, makers).filter((name) => !outputs.has(name));
    return [output, before.map(placeOf).filter(isPlace)];
  });
  return { ends: new Map(ends), layers };
}

/** The values that nodes which may hide a difference read, from the output back to the last layers. */
function hiddenBefore(output: string, makers: ReadonlyMap<string, Node>): readonly string[] {
  const found = new Set<string>();
  const seen = new Set([output]);
  const pending = [output];
  for (const name of pending) {
    const maker = makers.get(name);
    if (maker === undefined || isLayer(maker)) continue;
    for (const input of maker.inputs) {
      if (hidesDifferences(maker)) found.add(input);
      if (input === "" || seen.has(input)) continue;
      seen.add(input);
      pending.push(input);
    }
  }
  return [...found];
}
