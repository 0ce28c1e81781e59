/** @file Notes where the cost of layers is not known, or operators are not understood. */

import { EspalierError } from "../errors.ts";
import { type Cost, costOf, type UncountedLayer } from "../structure/cost/cost.ts";
import { type NotUnderstood, notUnderstood } from "../structure/units/not-understood.ts";
import type { Structure } from "../structure/units/units.ts";
import { counted } from "../words/numbers.ts";

/** Targets that speak of what can be counted. */
interface CountedTargets {
  readonly macs?: number | undefined;
  readonly params?: number | undefined;
  readonly bytes?: number | undefined;
}

/** Names that are listed before the rest is only counted. */
const namesShown = 4;

/** All that a user should know of what is not known of a network, one sentence each. */
export function unknownsOf(structure: Structure): readonly string[] {
  const cost = structureCost(structure);
  return [
    ...uncountedWarnings(cost),
    ...notUnderstoodNotes(structure),
    ...immovable(structure, cost),
  ];
}

/** The note that layers are missing from all figures; none where all are counted. */
function uncountedWarnings({ uncounted }: Pick<Cost, "uncounted">): readonly string[] {
  if (uncounted.length === 0) return [];
  return [
    `The multiply-accumulates of ${layers(uncounted.length)} are not known, and no figure holds ` +
      `them: ${listed(uncounted)}.`,
  ];
}

/** Why nobody can say that a target for multiply-accumulates is reached; none where one can. */
export function unclaimable(
  { uncounted }: Pick<Cost, "uncounted">,
  { macs }: { readonly macs?: number | undefined },
): readonly string[] {
  if (macs === undefined || uncounted.length === 0) return [];
  return [
    "Whether the target for multiply-accumulates is reached cannot be said: those of " +
      `${layers(uncounted.length)} are not known.`,
  ];
}

/** The cost of the network at the sizes of its analysis. */
export function structureCost({ analysis }: Structure): Cost {
  return costOf(analysis.graph, analysis.dims, analysis.inference);
}

const layers = (count: number) => counted(count, "layer");

/** One sentence for each operator without a rule that channels stay for, or whose bodies hold layers. */
function notUnderstoodNotes(structure: Structure): readonly string[] {
  return notUnderstood(structure).flatMap((found) => [...heldBy(found), ...insideOf(found)]);
}

function heldBy({ operator, nodes, units }: NotUnderstood): readonly string[] {
  if (units === 0) return [];
  const times = counted(nodes.length, "node");
  return [
    `${operator} (${times}) is not understood: ${counted(units, "unit stays", "units stay")} because of it.`,
  ];
}

function insideOf({ operator, nodes, contents }: NotUnderstood): readonly string[] {
  const { products, params } = contents;
  if (products === 0) return [];
  return [
    `The bodies of ${operator} ${listOf(nodes.map((name) => `"${name}"`))} hold ` +
      `${layers(products)} with ${params} parameters, which are not looked into.`,
  ];
}

/** The note that nothing at all may be removed, where that is so. */
function immovable({ units }: Structure, cost: Cost): readonly string[] {
  if (units.some(({ reason }) => reason === undefined)) return [];
  const reasons = new Map<string, number>();
  for (const { reason = "" } of units) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const [commonest] = [...reasons].sort((a, b) => b[1] - a[1]);
  if (commonest !== undefined)
    return [`No unit may be removed; ${commonest[1]} of ${units.length}: ${commonest[0]}.`];
  const kinds = new Set(cost.layers.flatMap(({ macs, opType }) => (macs > 0 ? [opType] : [])));
  const products = kinds.size === 0 ? "" : `: what it multiplies with is ${listOf([...kinds])}`;
  return [`The network has no layer whose channels could be removed${products}.`];
}

/**
 * Makes sure that there is something of what targets speak of. Fails with `TARGET_INVALID` for a share of
 * nothing.
 */
export function requireCountable(structure: Structure, targets: CountedTargets): void {
  const cost = structureCost(structure);
  const counts = [
    { target: "macs", count: cost.macs, what: "multiply-accumulates" },
    { target: "params", count: cost.params, what: "parameters" },
    { target: "bytes", count: cost.parameterBytes, what: "bytes of parameters" },
  ] as const;
  for (const { target, count, what } of counts) {
    if (targets[target] === undefined || count > 0) continue;
    const why =
      cost.uncounted.length === 0
        ? "it has no layer with any"
        : `those of its layers are not known (${listed(cost.uncounted)})`;
    throw new EspalierError(
      "TARGET_INVALID",
      `a share of the network's ${what} was asked for, but ${why}`,
      {
        hint: "`espalier inspect` shows what is understood of the network, and what is not.",
        data: { target, uncounted: cost.uncounted },
      },
    );
  }
}

function listed(layers: readonly UncountedLayer[]): string {
  return listOf(layers.map(({ name, operator }) => `${operator} "${name}"`));
}

function listOf(names: readonly string[]): string {
  const rest = names.length - namesShown;
  const shown = names.slice(0, namesShown).join(", ");
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}
