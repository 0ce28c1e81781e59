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
  readonly #widths: Int32Array;
  /** Which axes have a width that is not allowed, and how many they are. */
  readonly #isOff: Uint8Array;
  #offCount = 0;

  /** The draft changes `removed` itself. It is `like` another one, of the same rules and removal, where one is given. */
  constructor(rules: DraftRules, removed: Removed, like?: WidthDraft) {
    this.#rules = rules;
    this.removed = removed;
    if (like) {
      this.#widths = like.#widths.slice();
      this.#isOff = like.#isOff.slice();
      this.#offCount = like.#offCount;
      return;
    }
    this.#widths = Int32Array.from(rules.limits, ({ width }) => width);
    this.#isOff = new Uint8Array(rules.limits.length);
    for (const [axis, { counts }] of rules.limits.entries()) {
      for (const [unit, count] of counts) if (removed[unit] === 1) this.#widths[axis] -= count;
      this.#lookAt(axis);
    }
  }

  /** A draft that begins where this one is. */
  copy(): WidthDraft {
    return new WidthDraft(this.#rules, this.removed.slice(), this);
  }

  /** How many axes have a width that is not allowed. */
  get offCount(): number {
    return this.#offCount;
  }

  width(axis: number): number {
    return this.#widths[axis];
  }

  /** Removes a unit with all that cannot be without it, or nothing where an axis would get too narrow. */
  removeIfLegal(unit: number): void {
    const { structure } = this.#rules;
    if (structure.dependants.has(unit)) {
      const going = goingAlong(structure, this.removed, unit);
      for (const each of going) this.#change(each, -1);
      if (going.every((each) => this.#isWideEnough(each))) return;
      for (const each of going) this.#change(each, 1);
    } else if (this.removed[unit] === 0) {
      this.#change(unit, -1);
      if (!this.#isWideEnough(unit)) this.#change(unit, 1);
    }
  }

  /** Whether the axes that hold a unit are as wide as they must be. */
  #isWideEnough(unit: number): boolean {
    const least = Math.max(1, this.#rules.minWidth);
    for (const axis of this.#rules.limitsOf.get(unit) ?? [])
      if (this.#widths[axis] < least) return false;
    return true;
  }

  /** Brings a unit back, with all that it needs. */
  restore(unit: number): void {
    for (const each of [unit, ...this.#rules.structure.units[unit].needs])
      if (this.removed[each] === 1) this.#change(each, 1);
  }

  /** The widths that an axis may have instead of its own; `undefined` where its own is allowed. */
  besides(axis: number): readonly [number, number] | undefined {
    return this.#isOff[axis] === 1 ? this.#nearest(axis) : undefined;
  }

  #nearest(axis: number): readonly [number, number] | undefined {
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
    for (const axis of limitsOf.get(unit) ?? []) {
      this.#widths[axis] += sign * (limits[axis].counts.get(unit) ?? 0);
      this.#lookAt(axis);
    }
  }

  /** Notes whether an axis has an allowed width. */
  #lookAt(axis: number): void {
    const isOff = this.#nearest(axis) === undefined ? 0 : 1;
    this.#offCount += isOff - this.#isOff[axis];
    this.#isOff[axis] = isOff;
  }
}

/** A unit and all that can't be without it, as far as it is still there. */
function goingAlong({ dependants }: Structure, removed: Removed, unit: number): readonly number[] {
  const going = new Set([unit]);
  for (const each of going) for (const other of dependants.get(each) ?? []) going.add(other);
  return [...going].filter((each) => removed[each] === 0);
}
