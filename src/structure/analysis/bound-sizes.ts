/** @file Sizes for symbolic dims, and the results of shape arithmetic that change with them. */
import type { Graph, Shape } from "../../ir/graph.ts";
import { type Inference, inferTypes } from "../../ops/passes/infer.ts";

/** Batch sizes to try; networks over the frames of a film take multiples of their number only. */
const batchSizes = [1, 8, 16, 12];

/** Spatial sizes to try for symbolic dims; the first that the network accepts is taken. */
const imageSides = [224, 256, 32, 28, 64, 128, 299, 227, 320, 416, 512, 640];
const volumeSides = [64, 32, 128, 96, 16, 28, 224, 256];

/** The sizes to try for the open spatial axes of an input, the usual one first: of images, or of volumes (three axes). */
export function usualSides(shape: Shape): readonly number[] {
  const open = shape.slice(1).filter((dim) => typeof dim === "string");
  return open.length > 2 ? volumeSides : imageSides;
}

/**
 * Gives every symbolic input dim a size: what the caller says; else the first of the usual sizes of
 * batches (1, where that can be) and images for which all shapes work out.
 */
export function bindDims(
  graph: Graph,
  given: ReadonlyMap<string, number>,
): { readonly dims: ReadonlyMap<string, number>; readonly inference: Inference } {
  const batch = new Set<string>();
  const spatial = new Set<string>();
  const shapes = graph.inputs.map((name) => graph.types.get(name)?.shape ?? []);
  for (const shape of shapes)
    for (const [axis, dim] of shape.entries())
      if (typeof dim === "string" && !given.has(dim)) (axis === 0 ? batch : spatial).add(dim);
  const hasVolume = shapes.some((shape) => usualSides(shape) === volumeSides);
  const sides = hasVolume ? volumeSides : imageSides;
  const open = [...spatial].filter((dim) => !batch.has(dim));
  let first: unknown;
  for (const samples of batch.size > 0 ? batchSizes : [1])
    for (const size of open.length > 0 ? sides : [0]) {
      const bound = new Map(given);
      for (const dim of batch) bound.set(dim, samples);
      for (const dim of open) bound.set(dim, size);
      try {
        return { dims: bound, inference: inferTypes(graph, { dims: bound }) };
      } catch (error) {
        first ??= error;
      }
    }
  throw first;
}

/** The graph whose inputs declare the given sizes in place of names. */
export function withSizes(graph: Graph, dims: ReadonlyMap<string, number>): Graph {
  const types = new Map(graph.types);
  for (const name of graph.inputs) {
    const type = types.get(name);
    const isNamed = type?.shape?.some((dim) => typeof dim === "string" && dims.has(dim));
    if (type?.shape === undefined || !isNamed) continue;
    const shape = type.shape.map((dim) => (typeof dim === "string" ? (dims.get(dim) ?? dim) : dim));
    types.set(name, { ...type, shape });
  }
  return { ...graph, types };
}

/**
 * Tells which elements of values that shape arithmetic computes change with the symbolic dims. They are found by
 * inferring with other sizes; an element that stays the same under all of them is static.
 */
export function dynamicElements(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  inference: Inference,
): (name: string) => readonly boolean[] | undefined {
  if (dims.size === 0) return () => undefined;
  const inputDims = new Set(
    graph.inputs.flatMap((name) => {
      const shape = graph.types.get(name)?.shape ?? [];
      return shape.flatMap((dim, axis) => (typeof dim === "string" && axis > 0 ? [dim] : []));
    }),
  );
  const sizes = (batch: (size: number) => number, side: (size: number) => number) =>
    new Map([...dims].map(([dim, size]) => [dim, inputDims.has(dim) ? side(size) : batch(size)]));
  const plus = (count: number) => (size: number) => size + count;
  const twice = (size: number) => 2 * size;
  // Most networks compute no shapes: nothing is inferred for them.
  let known: readonly Inference[] | undefined;
  const probesOf = (): readonly Inference[] =>
    [
      ...[sizes(plus(2), twice), sizes(plus(2), plus(0)), sizes(twice, plus(0))],
      ...(inputDims.size > 0 ? [sizes(plus(0), twice), sizes(plus(0), plus(33))] : []),
    ].flatMap((bound) => {
      try {
        return [inferTypes(graph, { dims: bound })];
      } catch {
        return []; // A network may accept only some batches and sizes; the other probes then decide.
      }
    });
  return (name) => {
    const value = inference.values.get(name);
    if (value === undefined || graph.constants.has(name)) return undefined;
    known ??= probesOf();
    const probes = known;
    const others = probes.map(({ values }) => values.get(name)?.data);
    const isUnclear = others.some((other) => other?.length !== value.data.length);
    return Array.from(
      { length: value.data.length },
      (_, i) => probes.length === 0 || isUnclear || others.some((o) => o?.[i] !== value.data[i]),
    );
  };
}
