/** @file Choosing units under a budget: lowest scores first, widths kept legal. */
import { EspalierError } from "../errors.ts";
import { globMatcher } from "../ir/names.ts";
import { type Removed, removeNothing } from "./removal.ts";
import type { Structure } from "./units.ts";
import type { Zeros } from "./zeros.ts";

/** One limit that a removal must respect. */
export interface Budget {
  /** For messages: `macs`, `params`, `bytes`, `density`, `latency`. */
  readonly name: string;
  /** Share of the original that may remain, in (0, 1]. */
  readonly fraction: number;
  /** The share that remains after a removal, with these weights at 0 besides. */
  readonly remaining: (removed: Removed, zeros?: Zeros) => number;
}

/** What may be chosen. */
export interface SelectionRules {
  /** Widths of filter axes come out as multiples of this (or as they were). */
  readonly roundTo?: number;
  /** No axis of any tensor gets narrower than this (or than it was). At least 1. */
  readonly minWidth?: number;
  /** Group id or layer patterns (`*` matches anything) of the groups to prune; all when absent. */
  readonly only?: readonly string[];
  /** Patterns of groups to leave alone; `stream` means every residual stream. */
  readonly except?: readonly string[];
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
  const { count, choose } = removalsInOrder(structure, scores, rules);
  const isMet = (removed: Removed) => budgets.every((b) => b.remaining(removed) <= b.fraction);
  let low = 0;
  let high = count;
  const most = choose(high);
  const isReached = isMet(most);
  let best = most;
  while (isReached && low < high) {
    const middle = (low + high) >> 1;
    const removed = choose(middle);
    if (isMet(removed)) {
      best = removed;
      high = middle;
    } else low = middle + 1;
  }
  const remaining = new Map(budgets.map(({ name, remaining: of }) => [name, of(best)]));
  return { removed: best, isReached, remaining };
}

/** Fails with `TARGET_INVALID` for a fraction outside (0, 1]. */
export function requireShares(budgets: readonly Budget[]): void {
  for (const { name, fraction } of budgets)
    if (!(fraction > 0 && fraction <= 1))
      throw new EspalierError("TARGET_INVALID", `--${name} is ${fraction}`, {
        hint: "A target is the share that may remain: a number above 0 and up to 1.",
      });
}

/** Removals of more and more units, the lowest scores first. */
export interface RemovalOrder {
  /** How many units may go at most. */
  readonly count: number;
  /** Removes the first `count` units as far as the rules allow, in [0, count]. */
  readonly choose: (count: number) => Removed;
}

/** The removals that a ranking (ascending `scores`, one per unit) gives. Unscored units stay. */
export function removalsInOrder(
  structure: Structure,
  scores: Float64Array,
  rules: SelectionRules = {},
): RemovalOrder {
  const candidates = candidateUnits(structure, rules)
    .filter((unit) => isScored(scores[unit]))
    .sort((a, b) => scores[a] - scores[b] || a - b);
  return {
    count: candidates.length,
    choose: prefixChooser(structure, scores, candidates, rules),
  };
}

/** The units that the rules and their own prunability allow to be removed. */
export function candidateUnits(structure: Structure, rules: SelectionRules): number[] {
  const groups = groupsToPrune(structure, rules);
  return structure.units
    .filter((unit) => unit.reason === undefined && groups.has(unit.group))
    .map((unit) => unit.index);
}

/** Whether a score tells anything: +Infinity and NaN stand for units of which a method knows nothing. */
export function isScored(score: number): boolean {
  return !Number.isNaN(score) && score !== Number.POSITIVE_INFINITY;
}

/** The units that might go, but of which a ranking knows nothing. */
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

/** A unit and all that can't be without it, as far as it is still there. */
function goingAlong({ dependants }: Structure, removed: Removed, unit: number): readonly number[] {
  if (!dependants.has(unit)) return removed[unit] === 1 ? [] : [unit];
  const going = new Set([unit]);
  for (const each of going) for (const other of dependants.get(each) ?? []) going.add(other);
  return [...going].filter((each) => removed[each] === 0);
}

/** The positions of one tensor axis, as units; axes with the same list are the same constraint. */
interface WidthLimit {
  readonly width: number;
  /** Positions per unit. */
  readonly counts: ReadonlyMap<number, number>;
  readonly isFilterAxis: boolean;
}

function widthLimits(structure: Structure): WidthLimit[] {
  const limits = new Map<string, WidthLimit>();
  const add = (units: Int32Array, isFilterAxis: boolean): void => {
    const counts = new Map<number, number>();
    for (const unit of units) if (unit >= 0) counts.set(unit, (counts.get(unit) ?? 0) + 1);
    if (counts.size === 0) return;
    const key = units.join(",");
    const known = limits.get(key);
    if (known === undefined || (isFilterAxis && !known.isFilterAxis))
      limits.set(key, { width: units.length, counts, isFilterAxis });
  };
  for (const { units } of structure.filterAxes) add(units, true);
  const { layouts, parameters } = structure.analysis;
  for (const layout of [...layouts.values(), ...parameters.values()])
    for (let axis = 0; axis < layout.shape.length; axis++)
      add(structure.unitsAlong(layout, axis), false);
  return [...limits.values()];
}

/** A function that removes the first `count` candidates as far as widths allow. */
function prefixChooser(
  structure: Structure,
  scores: Float64Array,
  candidates: readonly number[],
  rules: SelectionRules,
): (count: number) => Removed {
  const limits = widthLimits(structure);
  const minWidth = Math.max(1, rules.minWidth ?? 1);
  const roundTo = Math.max(1, rules.roundTo ?? 1);
  const limitsOf = new Map<number, number[]>();
  const isCandidate = new Set(candidates);
  const carriers = structure.carriers.filter((unit) => isCandidate.has(unit));
  for (const [i, limit] of limits.entries())
    for (const unit of limit.counts.keys()) limitsOf.set(unit, [...(limitsOf.get(unit) ?? []), i]);

  return (count) => {
    const removed = removeNothing(structure);
    const widths = limits.map((limit) => limit.width);
    const change = (unit: number, sign: 1 | -1): void => {
      removed[unit] = sign < 0 ? 1 : 0;
      for (const i of limitsOf.get(unit) ?? [])
        widths[i] += sign * (limits[i].counts.get(unit) ?? 0);
    };
    // What can't be without a unit goes along, or all of it stays.
    const removeIfLegal = (unit: number): void => {
      const going = goingAlong(structure, removed, unit);
      for (const each of going) change(each, -1);
      const touched = going.flatMap((each) => limitsOf.get(each) ?? []);
      if (touched.every((i) => widths[i] >= minWidth)) return;
      for (const each of going) change(each, 1);
    };
    for (const unit of candidates.slice(0, count)) removeIfLegal(unit);
    for (const unit of carriers)
      if (structure.dependants.get(unit)?.every((each) => removed[each] === 1)) removeIfLegal(unit);
    // Rounding up restores the best of what was removed; tied axes may need several passes.
    for (let isStable = roundTo === 1; !isStable; ) {
      isStable = true;
      for (const [i, { width, counts, isFilterAxis }] of limits.entries()) {
        if (!isFilterAxis || widths[i] === width || widths[i] % roundTo === 0) continue;
        const gone = [...counts.keys()].filter((unit) => removed[unit] === 1);
        const best = gone.reduce((a, b) => (scores[b] > scores[a] ? b : a));
        for (const unit of [best, ...structure.units[best].needs])
          if (removed[unit] === 1) change(unit, 1);
        isStable = false;
      }
    }
    return removed;
  };
}
