/** @file Chooses units to remove under budgets: lowest scores first, with allowed widths. */

import { EspalierError } from "../../errors.ts";
import { globMatcher } from "../../ir/names.ts";
import type { Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import type { Zeros } from "../weights/zeros.ts";
import type { SelectionRules } from "./selection-rules.ts";
import { leastEnough, type PrefixOrder } from "./shortest-prefix.ts";
import { widthKeeper } from "./widths.ts";

/** One limit that a removal must respect. */
export interface Budget {
  /** The name in messages: `macs`, `params`, `bytes`, `density`, `latency`. */
  readonly name: string;
  /** Share of the original that may remain, in (0, 1]. */
  readonly fraction: number;
  /** The share that remains after a removal, with these weights at 0 besides. */
  readonly remaining: (removed: Removed, zeros?: Zeros) => number;
  /** The same without steps, by which single units are compared; absent where `remaining` has none. */
  readonly evenly?: (removed: Removed) => number;
}

/** The outcome of a selection. */
export interface Selection {
  readonly removed: Removed;
  /** False when even the most that may be removed stays above a budget. */
  readonly isReached: boolean;
  /** The share that remains, by budget name. */
  readonly remaining: ReadonlyMap<string, number>;
}

/**
 * The shortest prefix of the ranking (ascending `scores`, one per unit) that meets all budgets.
 * Units whose removal would break a rule are passed over; unscored ones stay.
 *
 * Errors: `TARGET_INVALID` for a fraction outside (0, 1]; `PATTERN_UNMATCHED`.
 */
export function selectUnits(
  structure: Structure,
  scores: Float64Array,
  budgets: readonly Budget[],
  rules: SelectionRules = {},
): Selection {
  requireShares(budgets);
  const isMet = (removed: Removed) => budgets.every((b) => b.remaining(removed) <= b.fraction);
  const removed = leastEnough(removalsInOrder(structure, scores, rules), isMet);
  const remaining = new Map(budgets.map((budget) => [budget.name, budget.remaining(removed)]));
  return { removed, isReached: isMet(removed), remaining };
}

/** Fails with `TARGET_INVALID` for a fraction outside (0, 1]. */
export function requireShares(budgets: readonly Budget[]): void {
  for (const { name, fraction } of budgets)
    if (!(fraction > 0 && fraction <= 1))
      throw new EspalierError("TARGET_INVALID", `\`${name}\` is ${fraction}`, {
        hint: "A target is the share that may remain: a number above 0 and up to 1.",
      });
}

/** The removals that a ranking (ascending `scores`, one per unit) gives. Unscored units stay. */
export function removalsInOrder(
  structure: Structure,
  scores: Float64Array,
  rules: SelectionRules = {},
): PrefixOrder<Removed> {
  const candidates = candidateUnits(structure, rules)
    .filter((unit) => isScored(scores[unit]))
    .sort((a, b) => scores[a] - scores[b] || a - b);
  const { choose, giveBack } = widthKeeper(structure, scores, candidates, rules);
  return { least: 0, count: candidates.length, precision: 0, choose, giveBack };
}

/** The units that the rules and their own prunability allow to be removed. */
export function candidateUnits(structure: Structure, rules: SelectionRules): number[] {
  const groups = groupsToPrune(structure, rules);
  return structure.units
    .filter((unit) => unit.reason === undefined && groups.has(unit.group))
    .map((unit) => unit.index);
}

/** Whether a unit is scored: +Infinity and NaN stand for units that a method cannot score. */
export function isScored(score: number): boolean {
  return !Number.isNaN(score) && score !== Number.POSITIVE_INFINITY;
}

/** The prunable units that a ranking has no score for. */
export function unscoredUnits(
  structure: Structure,
  scores: Float64Array,
  rules: SelectionRules = {},
): readonly number[] {
  return candidateUnits(structure, rules).filter((unit) => !isScored(scores[unit]));
}

/** The groups that the rules leave to be pruned, as positions in `Structure.groups`. */
export function groupsToPrune(structure: Structure, rules: SelectionRules): ReadonlySet<number> {
  const only = rules.only && matchGroups(structure, rules.only);
  const except = matchGroups(structure, rules.except ?? []);
  const groups = only ?? new Set(structure.groups.keys());
  return new Set([...groups].filter((group) => !except.has(group)));
}

/** The groups that any of the patterns names, by id, layer name or parameter name. */
function matchGroups(structure: Structure, patterns: readonly string[]): ReadonlySet<number> {
  const matched = new Set<number>();
  for (const pattern of patterns) {
    const before = matched.size;
    const isMatch = globMatcher(pattern);
    let found = false;
    for (const [index, group] of structure.groups.entries()) {
      const names = group.axes.flatMap((axis) => {
        const { node, tensor, isSelection } = structure.filterAxes[axis];
        return isSelection ? [] : [node.name, tensor];
      });
      const isNamed = [group.id, ...names].some(isMatch);
      if (isNamed || (pattern === "stream" && group.isStream)) {
        matched.add(index);
        found = true;
      }
    }
    if (!found && matched.size === before && pattern !== "stream")
      throw new EspalierError("PATTERN_UNMATCHED", `no group or layer matches "${pattern}"`, {
        hint: "`espalier inspect` lists the groups and their layers; * matches any characters.",
        data: { pattern },
      });
  }
  return matched;
}
