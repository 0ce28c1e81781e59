/** @file Compensation by what batch normalization lets expect, for methods that train the network first. */
import type { Graph } from "../ir/graph.ts";
import { type Structure, structureOf } from "../structure/units.ts";
import { sourcesOf } from "./channel-model.ts";
import { compensate } from "./compensation.ts";
import { correlationsOf } from "./correlations.ts";
import type { Proposal } from "./method.ts";
import { readersOf } from "./readers.ts";
import { momentsOf } from "./statistics.ts";

/** How readers make up for what is removed from the trained `graph`, where statistics tell what it was worth. */
export function compensatedEdits(
  { analysis: { dims } }: Structure,
  graph: Graph,
): Proposal["edits"] {
  return (removed) => {
    const structure = structureOf(graph, { dims });
    const readers = readersOf(structure);
    const moments = momentsOf(structure.analysis);
    const correlations = correlationsOf(structure, readers, moments);
    const sources = sourcesOf(readers, moments, correlations);
    return compensate(graph, sources, removed, { variance: true });
  };
}
