/** @file Widths that rules allow: the least, multiples, and removals that keep to them. */

import { type Removed, removeNothing } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import type { SelectionRules } from "./selection-rules.ts";
import { type DraftRules, WidthDraft } from "./width-draft.ts";
import { type WidthLimit, widthLimits } from "./width-limits.ts";

/** Makes removals that leave every axis a width that the rules allow. */
export interface WidthKeeper {
  /** Removes the first `count` candidates, as far as the rules allow, and rounds the widths that are left. */
  readonly choose: (count: number) => Removed;
  /**
   * A removal of less: widths grow step by step, by the units that score highest, as long as `isAllowed`. Rounding
   * leaves room under a target, and this fills it.
   */
  readonly giveBack: (removed: Removed, isAllowed: (removed: Removed) => boolean) => Removed;
}

/**
 * Keeps removals to the widths that the rules allow.
 *
 * @param scores One per unit; where a width has to change, the lowest go and the highest come back.
 * @param candidates Units that may go, the first ones first.
 */
export function widthKeeper(
  structure: Structure,
  scores: Float64Array,
  candidates: readonly number[],
  rules: SelectionRules,
): WidthKeeper {
  const { roundTo = 1, minWidth = 1, costs } = rules;
  const limits = widthLimits(structure, roundTo, costs);
  const isCandidate = new Set(candidates);
  const carriers = structure.carriers.filter((unit) => isCandidate.has(unit));
  const limitsOf = limitsByUnit(limits);
  const rounded = roundedAxes(limits, limitsOf, candidates);
  const draftRules: DraftRules = { structure, limits, limitsOf, minWidth };
  const settle = (draft: WidthDraft, widthFor: WidthChoice): void => {
    roundAxes(draft, rounded, widthFor);
    if (roundTo !== "auto") widen(draft, limits, scores);
  };
  const nearer: WidthChoice = (width, below, above) =>
    width - below < above - width && below >= minWidth ? below : above;
  const wider: WidthChoice = (_width, _below, above) => above;
  const growsWith = growthOf(structure, rounded);

  return {
    choose(count) {
      const draft = new WidthDraft(draftRules, removeNothing(structure));
      for (const unit of candidates.slice(0, count)) draft.removeIfLegal(unit);
      for (const unit of carriers)
        if (structure.dependants.get(unit)?.every((each) => draft.removed[each] === 1))
          draft.removeIfLegal(unit);
      settle(draft, nearer);
      return draft.removed;
    },

    giveBack(removed, isAllowed) {
      if (roundTo === 1) return removed;
      let best = new WidthDraft(draftRules, removed.slice());
      // There is less and less room: units that once did not fit never will.
      const full = new Set<string>();
      for (const unit of [...candidates].reverse()) {
        const alike = growsWith(unit);
        if (best.removed[unit] === 0 || full.has(alike)) continue;
        const draft = best.copy();
        draft.restore(unit);
        settle(draft, wider);
        if (draft.offCount <= best.offCount && isAllowed(draft.removed)) best = draft;
        else full.add(alike);
      }
      return best.removed;
    },
  };
}

/**
 * What units have in common whose return costs alike: their group, and the narrowest axis that holds them. A channel
 * of a stream's first stage returns to all its stages, one of its last stage to that stage alone.
 */
function growthOf(
  { units: all }: Structure,
  rounded: readonly RoundedAxis[],
): (unit: number) => string {
  const narrowest = new Map<number, number>();
  for (const { axis, units } of rounded.toReversed())
    for (const unit of units) narrowest.set(unit, axis);
  return (unit) => `${all[unit].group}/${narrowest.get(unit)}`;
}

/** The places in `limits` of the axes that hold a unit, by unit. */
function limitsByUnit(limits: readonly WidthLimit[]): ReadonlyMap<number, readonly number[]> {
  const limitsOf = new Map<number, number[]>();
  for (const [axis, { counts }] of limits.entries())
    for (const unit of counts.keys()) limitsOf.set(unit, [...(limitsOf.get(unit) ?? []), axis]);
  return limitsOf;
}

/** An axis whose width is rounded. */
interface RoundedAxis {
  /** Its place among the limits. */
  readonly axis: number;
  /** The candidates along it, the first to go first. */
  readonly units: readonly number[];
  /** Those of them that no axis before it holds. */
  readonly free: readonly number[];
}

/** The axes that are rounded, the narrowest first. */
function roundedAxes(
  limits: readonly WidthLimit[],
  limitsOf: ReadonlyMap<number, readonly number[]>,
  candidates: readonly number[],
): readonly RoundedAxis[] {
  const candidatesAlong = limits.map((): number[] => []);
  for (const unit of candidates)
    for (const axis of limitsOf.get(unit) ?? []) candidatesAlong[axis].push(unit);
  const held = new Set<number>();
  const takenFrom = (units: readonly number[]): readonly number[] => {
    const free = units.filter((unit) => !held.has(unit));
    for (const unit of free) held.add(unit);
    return free;
  };
  return [...limits.keys()]
    .filter((axis) => limits[axis].rounding !== 1)
    .sort((a, b) => limits[a].width - limits[b].width || a - b)
    .map((axis) => ({
      axis,
      units: candidatesAlong[axis],
      free: takenFrom(candidatesAlong[axis]),
    }));
}

/** Which of the two allowed widths beside its own an axis is to get. */
type WidthChoice = (width: number, below: number, above: number) => number;

/**
 * Brings the rounded axes to allowed widths, the narrowest first. Each is changed by units that no axis before it
 * holds: the stages of a residual stream share channels, and what suits one is not undone by the next. An axis that
 * has no such units, or not enough, stays as it is.
 */
function roundAxes(
  draft: WidthDraft,
  rounded: readonly RoundedAxis[],
  widthFor: WidthChoice,
): void {
  for (const { axis, free } of rounded) {
    const beside = draft.besides(axis);
    if (beside === undefined) continue;
    const [below, above] = beside;
    draft.changeTo(axis, widthFor(draft.width(axis), below, above), free);
    if (draft.besides(axis) !== undefined) draft.changeTo(axis, above, free);
  }
}

/** Widens every axis to a multiple that was asked for; axes that share units may need several turns. */
function widen(draft: WidthDraft, limits: readonly WidthLimit[], scores: Float64Array): void {
  for (let isStable = false; !isStable; ) {
    isStable = true;
    for (const [axis, { counts }] of limits.entries()) {
      if (draft.besides(axis) === undefined) continue;
      const gone = [...counts.keys()].filter((unit) => draft.removed[unit] === 1);
      draft.restore(gone.reduce((a, b) => (scores[b] > scores[a] ? b : a)));
      isStable = false;
    }
  }
}
