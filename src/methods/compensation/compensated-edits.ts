/**
 * @file Compensation for removed channels by statistics of batch normalization or of samples, for methods that train
 * the network first.
 */
import type { Graph } from "../../ir/graph.ts";
import type { Moments } from "../../ops/operator/operator.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import type { Proposal } from "../method/method.ts";
import { sourcesOf } from "./channel-model.ts";
import { compensate } from "./compensation.ts";
import { correlationsOf } from "./correlations.ts";
import { type MeasureOptions, measureMoments } from "./measured-moments.ts";
import { readersOf } from "./readers.ts";
import { momentsOf } from "./statistics.ts";

/**
 * The edits by which readers compensate for channels removed from the trained `graph`, where moments of these channels
 * are known.
 *
 * @param measured Measured moments of values for which batch normalization gives none.
 */
export function compensatedEdits(
  { analysis }: Structure,
  graph: Graph,
  measured: ReadonlyMap<string, Moments> = new Map(),
): Proposal["edits"] {
  return (removed) => {
    const structure = structureOf(graph, analysis);
    const readers = readersOf(structure);
    const moments = momentsOf(structure.analysis);
    const correlations = correlationsOf(structure, readers, moments);
    const sources = sourcesOf(readers, new Map([...measured, ...moments]), correlations);
    return compensate(graph, sources, removed, { variance: true });
  };
}

/**
 * Moments, measured on samples, of the values that layers read and for which batch normalization gives none. {@link
 * compensatedEdits} takes them. Fails as `measureMoments` does.
 */
export async function momentsWithoutStatistics(
  { analysis }: Structure,
  graph: Graph,
  options: MeasureOptions,
): Promise<ReadonlyMap<string, Moments>> {
  const structure = structureOf(graph, analysis);
  const known = momentsOf(structure.analysis);
  const wanted = readersOf(structure).filter(
    ({ source, sourceUnits, axis }) =>
      axis === 1 && !known.has(source) && sourceUnits.some((unit) => unit >= 0),
  );
  const values = new Map(wanted.map(({ source }) => [source, { value: source, axis: 1 }]));
  if (values.size === 0) return new Map();
  const measured = await measureMoments(graph, [...values.values()], options);
  return new Map(
    [...measured].map(([value, { mean, power }]) => {
      const variance = power.map((square, c) => Math.max(0, square - mean[c] ** 2));
      return [value, { mean, variance }];
    }),
  );
}
