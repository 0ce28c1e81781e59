/** @file Widths that rules allow: the least, multiples, and removals that keep to them. */

import { type Removed, removeNothing } from "./removal.ts";
import type { Rounding, SelectionRules } from "./selection-rules.ts";
import type { FilterAxis, Structure } from "./units.ts";

/**
 * The multiples that `auto` rounds convolutions to, by the least width that each is for. ONNX Runtime computes
 * convolutions in blocks of 8 channels with AVX2 and of 16 with AVX-512, pads what is left of a block, and leaves its
 * blocked layout where channels are no multiple of 4 (`docs/decisions/0020-widths-that-pay.md`).
 */
const multiples: readonly { readonly from: number; readonly multiple: number }[] = [
  { from: 128, multiple: 16 },
  { from: 32, multiple: 8 },
  { from: 4, multiple: 4 },
  { from: 0, multiple: 1 },
];

/** The widths next to one that a rounding allows: at or below it, and at or above it. */
function allowedWidths(width: number, rounding: Rounding): readonly [number, number] {
  const multiple =
    rounding === "auto"
      ? (multiples.find(({ from }) => width >= from)?.multiple ?? 1)
      : Math.max(1, rounding);
  return [Math.floor(width / multiple) * multiple, Math.ceil(width / multiple) * multiple];
}

/** The positions of one tensor axis, as units; axes with the same list are the same constraint. */
interface WidthLimit {
  readonly width: number;
  /** Positions per unit. */
  readonly counts: ReadonlyMap<number, number>;
  /** What the width is rounded to; 1 for axes that no filters lie along. */
  readonly rounding: Rounding;
}

function widthLimits(structure: Structure, roundTo: Rounding): readonly WidthLimit[] {
  const limits = new Map<string, WidthLimit>();
  const add = (units: Int32Array, rounding: Rounding): void => {
    const counts = new Map<number, number>();
    for (const unit of units) if (unit >= 0) counts.set(unit, (counts.get(unit) ?? 0) + 1);
    if (counts.size === 0) return;
    const key = units.join(",");
    const known = limits.get(key);
    if (known === undefined || (rounding !== 1 && known.rounding === 1))
      limits.set(key, { width: units.length, counts, rounding });
  };
  for (const axis of structure.filterAxes) add(axis.units, roundingOf(structure, axis, roundTo));
  const { layouts, parameters } = structure.analysis;
  for (const layout of [...layouts.values(), ...parameters.values()])
    for (let axis = 0; axis < layout.shape.length; axis++)
      add(structure.unitsAlong(layout, axis), 1);
  return [...limits.values()];
}

/** `auto` concerns the filters of convolutions over images: others are computed as fast at any width. */
function roundingOf(structure: Structure, { tensor }: FilterAxis, roundTo: Rounding): Rounding {
  if (roundTo !== "auto") return roundTo;
  return structure.analysis.parameters.get(tensor)?.shape.length === 4 ? "auto" : 1;
}

/** A unit and all that can't be without it, as far as it is still there. */
function goingAlong({ dependants }: Structure, removed: Removed, unit: number): readonly number[] {
  if (!dependants.has(unit)) return removed[unit] === 1 ? [] : [unit];
  const going = new Set([unit]);
  for (const each of going) for (const other of dependants.get(each) ?? []) going.add(other);
  return [...going].filter((each) => removed[each] === 0);
}

/** Removals of which every axis has a width that the rules allow. */
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
  const { roundTo = 1, minWidth = 1 } = rules;
  const limits = widthLimits(structure, roundTo);
  const isCandidate = new Set(candidates);
  const carriers = structure.carriers.filter((unit) => isCandidate.has(unit));
  const limitsOf = new Map<number, number[]>();
  for (const [i, { counts }] of limits.entries())
    for (const unit of counts.keys()) limitsOf.set(unit, [...(limitsOf.get(unit) ?? []), i]);
  const candidatesAlong = limits.map((): number[] => []);
  for (const unit of candidates)
    for (const i of limitsOf.get(unit) ?? []) candidatesAlong[i].push(unit);
  /** The axes that are rounded, the narrowest first. */
  const rounded = [...limits.keys()]
    .filter((i) => limits[i].rounding !== 1)
    .sort((a, b) => limits[a].width - limits[b].width || a - b);

  /** A removal that changes, with the width that it leaves of each axis. */
  const draftOf = (removed: Removed) => {
    const widths = limits.map(({ width, counts }) => {
      let gone = 0;
      for (const [unit, count] of counts) if (removed[unit] === 1) gone += count;
      return width - gone;
    });
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
      if (touched.every((i) => widths[i] >= Math.max(1, minWidth))) return;
      for (const each of going) change(each, 1);
    };
    const restore = (unit: number): void => {
      for (const each of [unit, ...structure.units[unit].needs])
        if (removed[each] === 1) change(each, 1);
    };
    /** The widths that axis `i` may have instead of its own; `undefined` where that is allowed. */
    const besides = (i: number): readonly [number, number] | undefined => {
      const { width, rounding } = limits[i];
      if (widths[i] === width) return undefined;
      const [below, above] = allowedWidths(widths[i], rounding);
      return below === above ? undefined : [below, Math.min(above, width)];
    };
    /** Changes axis `i` to a width by some of its units, the first ones first, as far as they fit. */
    const changeTo = (i: number, width: number, units: readonly number[]): void => {
      const fits = (unit: number) =>
        (limits[i].counts.get(unit) ?? 0) <= Math.abs(widths[i] - width);
      for (const unit of units)
        if (removed[unit] === 0 && widths[i] > width && fits(unit)) removeIfLegal(unit);
      for (const unit of units.toReversed())
        if (removed[unit] === 1 && widths[i] < width && fits(unit)) restore(unit);
    };
    return { removed, removeIfLegal, restore, besides, changeTo, widths };
  };
  type Draft = ReturnType<typeof draftOf>;

  /**
   * Brings the rounded axes to allowed widths, the narrowest first, each by units of which no axis before it holds
   * any: the stages of a residual stream share channels, and what suits one is not undone by the next. An axis that has
   * no such units, or not enough, stays as it is.
   */
  const settle = (
    draft: Draft,
    widthFor: (width: number, below: number, above: number) => number,
  ): void => {
    const settled = new Set<number>();
    for (const axis of rounded) {
      const units = candidatesAlong[axis];
      const beside = draft.besides(axis);
      if (beside !== undefined) {
        const [below, above] = beside;
        const free = units.filter((unit) => !settled.has(unit));
        draft.changeTo(axis, widthFor(draft.widths[axis], below, above), free);
        if (draft.besides(axis) !== undefined) draft.changeTo(axis, above, free);
      }
      for (const unit of units) settled.add(unit);
    }
    if (roundTo !== "auto") widen(draft);
  };
  const nearer = (width: number, below: number, above: number): number =>
    width - below < above - width && below >= minWidth ? below : above;
  const wider = (_width: number, _below: number, above: number): number => above;

  /** Widens every axis to a multiple that was asked for; axes that share units may need several turns. */
  const widen = ({ removed, restore, besides }: Draft): void => {
    for (let isStable = false; !isStable; ) {
      isStable = true;
      for (const [i, { counts }] of limits.entries()) {
        if (besides(i) === undefined) continue;
        const gone = [...counts.keys()].filter((unit) => removed[unit] === 1);
        restore(gone.reduce((a, b) => (scores[b] > scores[a] ? b : a)));
        isStable = false;
      }
    }
  };
  const unroundedIn = ({ besides }: Draft): number =>
    rounded.filter((axis) => besides(axis) !== undefined).length;

  return {
    choose(count) {
      const draft = draftOf(removeNothing(structure));
      for (const unit of candidates.slice(0, count)) draft.removeIfLegal(unit);
      for (const unit of carriers)
        if (structure.dependants.get(unit)?.every((each) => draft.removed[each] === 1))
          draft.removeIfLegal(unit);
      settle(draft, nearer);
      return draft.removed;
    },

    giveBack(removed, isAllowed) {
      if (roundTo === 1) return removed;
      let best = removed;
      let unrounded = unroundedIn(draftOf(removed.slice()));
      // There is less and less room: a group that once did not fit never will.
      const full = new Set<number>();
      for (const unit of [...candidates].reverse()) {
        const { group } = structure.units[unit];
        if (best[unit] === 0 || full.has(group)) continue;
        const draft = draftOf(best.slice());
        draft.restore(unit);
        settle(draft, wider);
        const left = unroundedIn(draft);
        if (left <= unrounded && isAllowed(draft.removed)) {
          best = draft.removed;
          unrounded = left;
        } else full.add(group);
      }
      return best;
    },
  };
}
