/** @file The weights of a unit's filters, wherever the file keeps them. */
import { producersOf } from "../../ir/graph.ts";
import type { FilterAxis, Structure } from "../../structure/units/units.ts";
import { elementReader, type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import { type MethodContext, unscoredNotes } from "./method.ts";

/** All filters along one filter axis. */
export interface Filters {
  readonly axis: FilterAxis;
  /** Reads the weight tensor, row-major [outer, width, inner]: filter f is [:, f, :]. */
  readonly at: (index: number) => number;
  readonly outer: number;
  readonly width: number;
  readonly inner: number;
}

/**
 * The filters along each filter axis whose weights the file holds, in the structure's order, decoded one tensor at a
 * time. Weights that pass through Transpose, Identity, DequantizeLinear and the like are found behind them; integer
 * weights are taken without their scale, since a scale per layer does not change the ranking within it.
 */
function* filtersOf(structure: Structure): Generator<Filters> {
  const { graph, parameters } = structure.analysis;
  const producers = producersOf(graph);
  for (const axis of structure.filterAxes) {
    const pending = [axis.tensor];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const constant = graph.constants.get(name);
      if (constant === undefined) {
        pending.push(...[...(producers.get(name)?.inputs ?? [])].reverse());
        continue;
      }
      const layout = parameters.get(name);
      if (layout === undefined) continue;
      const at = layout.shape.findIndex((_, i) =>
        sameUnits(structure.unitsAlong(layout, i), axis.units),
      );
      if (at < 0) continue;
      yield { axis, ...slicesAlong(constant.read(), at) };
      break;
    }
  }
}

function sameUnits(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((unit, i) => unit === b[i]);
}

function slicesAlong(tensor: HostTensor, axis: number): Omit<Filters, "axis"> {
  const { shape } = tensor;
  return {
    at: elementReader(tensor),
    outer: sizeOf(shape.slice(0, axis)),
    width: shape[axis],
    inner: sizeOf(shape.slice(axis + 1)),
  };
}

/** The filters one after the other: row-major [width, outer * inner]. */
export function rowsOf({ at, outer, width, inner }: Filters): Float64Array {
  const rows = new Float64Array(outer * width * inner);
  for (let o = 0; o < outer; o++)
    for (let w = 0; w < width; w++)
      for (let i = 0; i < inner; i++)
        rows[(w * outer + o) * inner + i] = at((o * width + w) * inner + i);
  return rows;
}

/**
 * One score per unit from one value per filter: each filter's value divided by its layer's mean, then
 * the mean over the unit's filters. Units without known filters are unscored.
 */
export function layerNormalizedScores(
  structure: Structure,
  valuesOf: (filters: Filters) => Float64Array,
): Float64Array {
  const sums = new Float64Array(structure.units.length);
  const counts = new Float64Array(structure.units.length);
  for (const filters of filtersOf(structure)) {
    const values = valuesOf(filters);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length || 1;
    for (const [index, unit] of filters.axis.units.entries()) {
      sums[unit] += values[index] / mean;
      counts[unit]++;
    }
  }
  return sums.map((sum, unit) =>
    counts[unit] > 0 ? sum / counts[unit] : Number.POSITIVE_INFINITY,
  );
}

/** The note that units which {@link layerNormalizedScores} could not score stay. */
export function unknownFilterNotes(
  context: MethodContext,
  scores: Float64Array,
): readonly string[] {
  return unscoredNotes(context, scores, "the file does not hold the weights of their filters");
}
