/** @file Scores that estimate a loss, divided by the saving of each unit's removal. */
import { type Removed, removeNothing } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import type { Budget } from "./select.ts";

/** The least saving that a unit counts with; a unit that saves nothing is removed last. */
const leastSaving = 1e-12;

/**
 * Scores divided by the share that the removal of the unit alone saves, summed over the budgets. In the
 * order of these ratios each step costs least for what it saves: the greedy solution of the knapsack
 * problem, where losses add up (Dantzig, Operations Research 5(2), 1957).
 *
 * @param scores One per unit, 0 or more.
 */
export function perSaving(
  structure: Structure,
  scores: Float64Array,
  budgets: readonly Budget[],
): Float64Array {
  const savingOf = savingAlone(structure, (removed) =>
    budgets.reduce((sum, { remaining, evenly = remaining }) => sum + evenly(removed), 0),
  );
  return scores.map((score, unit) =>
    structure.units[unit].reason === undefined
      ? score / Math.max(savingOf(unit), leastSaving)
      : score,
  );
}

/**
 * {@link savingAlone} that looks at one unit of each kind: those with filters of the same layers count as alike. At
 * least 1e-12, so that losses can be divided by it.
 */
export function savingOfKind(
  structure: Structure,
  figureOf: (removed: Removed) => number,
): (unit: number) => number {
  const savingOf = savingAlone(structure, figureOf);
  const known = new Map<string, number>();
  return (unit) => {
    const kind = structure.units[unit].filters.map(({ axis }) => axis).join();
    const saving = known.get(kind) ?? Math.max(savingOf(unit), leastSaving);
    known.set(kind, saving);
    return saving;
  };
}

/** By how much a figure of the network falls when a unit goes alone. */
function savingAlone(
  structure: Structure,
  figureOf: (removed: Removed) => number,
): (unit: number) => number {
  const removed = removeNothing(structure);
  const whole = figureOf(removed);
  return (unit) => {
    removed[unit] = 1;
    const saving = whole - figureOf(removed);
    removed[unit] = 0;
    return saving;
  };
}
