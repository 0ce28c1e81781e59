/** @file How many positions a removal leaves along each axis: kept up to date from one removal to the next. */
import type { Layout } from "../analysis/layout.ts";
import { type Removed, removeNothing } from "./removal.ts";
import type { Structure } from "./units.ts";

/** A list of units that are the same one by one count as one axis. */
export class UnitLists {
  readonly #byHash = new Map<number, number[]>();
  readonly #lists: Int32Array[] = [];

  /** The number of a list: that of the first one with the same units. */
  numberOf(units: Int32Array): number {
    let hash = units.length;
    for (const unit of units) hash = (Math.imul(hash, 31) + unit) | 0;
    const alike = this.#byHash.get(hash) ?? [];
    for (const number of alike) if (isSame(this.#lists[number], units)) return number;
    const number = this.#lists.length;
    this.#lists.push(units);
    this.#byHash.set(hash, [...alike, number]);
    return number;
  }

  get count(): number {
    return this.#lists.length;
  }
}

function isSame(a: Int32Array, b: Int32Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The widths of axes after a removal. Axes of the same units have the same number. */
export class AxisWidths {
  readonly #structure: Structure;
  readonly #lists = new UnitLists();
  readonly #widths: number[] = [];
  /** The axes that a unit lies along, one for each position. */
  readonly #axesOf: number[][];
  #removed: Removed;

  constructor(structure: Structure) {
    this.#structure = structure;
    this.#axesOf = structure.units.map(() => []);
    this.#removed = removeNothing(structure);
  }

  /** The numbers of the axes of a layout. All layouts are told before the first removal. */
  axesOf(layout: Layout): readonly number[] {
    return layout.shape.map((size, axis) => {
      const units = this.#structure.unitsAlong(layout, axis);
      const number = this.#lists.numberOf(units);
      if (number === this.#widths.length) {
        this.#widths.push(size);
        for (const unit of units) if (unit >= 0) this.#axesOf[unit].push(number);
      }
      return number;
    });
  }

  /** The positions that are left along an axis. */
  width(axis: number): number {
    return this.#widths[axis];
  }

  /** Goes on to another removal, whose dependent units are in it; returns the axes whose widths have changed, and others. */
  goTo(removed: Removed): ReadonlySet<number> {
    const changed = new Set<number>();
    const before = this.#removed;
    for (let unit = 0; unit < removed.length; unit++) {
      if (removed[unit] === before[unit]) continue;
      const change = removed[unit] === 1 ? -1 : 1;
      for (const axis of this.#axesOf[unit]) {
        this.#widths[axis] += change;
        changed.add(axis);
      }
    }
    this.#removed = removed.slice();
    return changed;
  }
}
