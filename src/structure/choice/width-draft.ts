/** @file A removal that changes unit by unit, and the width that it leaves of each axis. */

import type { Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import { allowedWidths, type WidthLimit } from "./width-limits.ts";

/** What all drafts of one structure keep to. */
export interface DraftRules {
  readonly structure: Structure;
  readonly limits: readonly WidthLimit[];
  /** The places in `limits` of the axes that hold a unit, by unit. */
  readonly limitsOf: ReadonlyMap<number, readonly number[]>;
  readonly minWidth: number;
}

/** A removal under work. Axes are named by their place in `limits`. */
export class WidthDraft {
  readonly removed: Removed;
  readonly #rules: DraftRules;
  /** The width that is left of each axis. */
  readonly #widths: number[];

  /** The draft changes `removed` itself. */
  constructor(rules: DraftRules, removed: Removed) {
    this.#rules = rules;
    this.removed = removed;
    this.#widths = rules.limits.map(({ width, counts }) => {
      let gone = 0;
      for (const [unit, count] of counts) if (removed[unit] === 1) gone += count;
      return width - gone;
    });
  }

  width(axis: number): number {
    return this.#widths[axis];
  }

  /** Removes a unit with all that cannot be without it, or nothing where an axis would get too narrow. */
  removeIfLegal(unit: number): void {
    const { structure, limitsOf, minWidth } = this.#rules;
    const going = goingAlong(structure, this.removed, unit);
    for (const each of going) this.#change(each, -1);
    const touched = going.flatMap((each) => limitsOf.get(each) ?? []);
    if (touched.every((axis) => this.#widths[axis] >= Math.max(1, minWidth))) return;
    for (const each of going) this.#change(each, 1);
  }

  /** Brings a unit back, with all that it needs. */
  restore(unit: number): void {
    for (const each of [unit, ...this.#rules.structure.units[unit].needs])
      if (this.removed[each] === 1) this.#change(each, 1);
  }

  /** The widths that an axis may have instead of its own; `undefined` where its own is allowed. */
  besides(axis: number): readonly [number, number] | undefined {
    const limit = this.#rules.limits[axis];
    const { width } = limit;
    const left = this.#widths[axis];
    if (left === width) return undefined;
    const [below, above] = allowedWidths(left, limit);
    return below === above ? undefined : [below, Math.min(above, width)];
  }

  /** Changes an axis to a width by some of its units, the first ones first, as far as they fit. */
  changeTo(axis: number, width: number, units: readonly number[]): void {
    const { counts } = this.#rules.limits[axis];
    const widths = this.#widths;
    const fits = (unit: number) => (counts.get(unit) ?? 0) <= Math.abs(widths[axis] - width);
    for (const unit of units)
      if (this.removed[unit] === 0 && widths[axis] > width && fits(unit)) this.removeIfLegal(unit);
    for (const unit of units.toReversed())
      if (this.removed[unit] === 1 && widths[axis] < width && fits(unit)) this.restore(unit);
  }

  #change(unit: number, sign: 1 | -1): void {
    const { limits, limitsOf } = this.#rules;
    this.removed[unit] = sign < 0 ? 1 : 0;
    for (const axis of limitsOf.get(unit) ?? [])
      this.#widths[axis] += sign * (limits[axis].counts.get(unit) ?? 0);
  }
}

/** A unit and all that can't be without it, as far as it is still there. */
function goingAlong({ dependants }: Structure, removed: Removed, unit: number): readonly number[] {
  if (!dependants.has(unit)) return removed[unit] === 1 ? [] : [unit];
  const going = new Set([unit]);
  for (const each of going) for (const other of dependants.get(each) ?? []) going.add(other);
  return [...going].filter((each) => removed[each] === 0);
}
