/** @file Scores that estimate a loss, weighed against what the removal of each unit saves. */
import { removeNothing } from "./removal.ts";
import type { Budget } from "./select.ts";
import type { Structure } from "./units.ts";

/** Of a unit whose removal saves nothing: it goes last. */
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
  const removed = removeNothing(structure);
  return scores.map((score, unit) => {
    if (structure.units[unit].reason !== undefined) return score;
    removed[unit] = 1;
    const saving = budgets.reduce((sum, { remaining }) => sum + 1 - remaining(removed), 0);
    removed[unit] = 0;
    return score / Math.max(saving, leastSaving);
  });
}
