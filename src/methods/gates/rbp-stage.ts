/** @file The network of one stage of `rbp`: without the units that have died, and with random gates on one layer. */
import type { Graph } from "../../ir/graph.ts";
import { restoreUnits } from "../../structure/change/restore.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import type { Removed } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { type Gate, type GateSite, gatesOf } from "./filter-gates-sites.ts";
import { firstSpread, type GatePosterior } from "./gate-posterior.ts";
import { randomizable } from "./noisy-gates.ts";

/** A smaller network, and how it maps to the whole network. */
export interface RbpStage {
  readonly structure: Structure;
  /** The gates of the gate's layers in the smaller network; several where the layers are no longer tied. */
  readonly gates: readonly Gate[];
  /** Selects, from numbers for the units of the whole gate, those of one of `gates`. */
  readonly select: (values: Float64Array) => (gate: Gate) => Float64Array;
  /** The posterior of the whole gate; a unit without a gate here keeps its initial posterior, or is gone. */
  readonly posteriorOf: (trained: ReadonlyMap<Gate, GatePosterior>) => GatePosterior;
  /** The whole network with the weights that the smaller one has learnt. */
  readonly restore: (trained: Graph) => Graph;
}

/**
 * The stage of `gate` in a network without `removed`. Units of the gate that can only be removed together with dead
 * ones are gone as well.
 */
export function rbpStage(whole: Structure, gate: Gate, removed: Removed): RbpStage {
  const structure = structureOf(removeUnits(whole, removed), whole.analysis);
  const unitOf = unitsOf(structure, whole, removed);
  const placeAt = ({ layer, selects }: GateSite) => `${layer}\u0000${selects}`;
  const places = new Set(gate.sites.map(placeAt));
  const gates = randomizable(gatesOf(structure), structure).filter(({ sites }) =>
    sites.some((site) => places.has(placeAt(site))),
  );
  const place = new Map([...gate.units].map((unit, i) => [unit, i]));
  const placeOf = (unit: number) => place.get(unitOf[unit]);
  return {
    structure,
    gates,
    select: (values) => (own) =>
      Float64Array.from(own.units, (unit) => values[placeOf(unit) ?? -1] ?? 0),
    posteriorOf(trained) {
      const means = Float64Array.from(gate.units, (unit) => 1 - removed[unit]);
      const variances = means.map(() => Math.exp(firstSpread));
      for (const [own, posterior] of trained)
        for (const [k, unit] of own.units.entries()) {
          const i = placeOf(unit);
          if (i === undefined) continue;
          means[i] = posterior.means[k];
          variances[i] = posterior.variances[k];
        }
      return { means, variances };
    },
    restore: (trained) => restoreUnits(whole, removed, trained),
  };
}

/** The unit of the whole network for each unit of the smaller one; -1 where it is not known. */
function unitsOf(small: Structure, whole: Structure, removed: Removed): Int32Array {
  const units = new Int32Array(small.units.length).fill(-1);
  const key = ({ node, input, axis }: Structure["filterAxes"][number]) =>
    [node.name, input, axis].join("\u0000");
  const axes = new Map(whole.filterAxes.map((axis) => [key(axis), axis]));
  for (const axis of small.filterAxes) {
    const kept = axes.get(key(axis))?.units.filter((unit) => removed[unit] === 0);
    if (kept?.length !== axis.width) continue;
    for (const [k, unit] of axis.units.entries()) units[unit] = kept[k];
  }
  return units;
}
