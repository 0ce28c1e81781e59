/** @file A removal: its units, and the indices of every axis that it leaves. */
import type { Layout } from "../analysis/layout.ts";
import { elementIds, isJoint } from "../analysis/layout.ts";
import type { Structure } from "./units.ts";

/** A set of units to remove, one flag per unit of the structure. */
export type Removed = Uint8Array;

/** No unit removed. */
export function removeNothing(structure: Structure): Removed {
  return new Uint8Array(structure.units.length);
}

/** How many units go. */
export function countRemoved(removed: Removed): number {
  return removed.reduce((sum, gone) => sum + gone, 0);
}

/** The removal with all that can't be without what it removes; the same object where that is nothing more. */
export function withDependants({ dependants }: Structure, removed: Removed): Removed {
  if (dependants.size === 0) return removed;
  const all = removed.slice();
  const pending = [...dependants.keys()].filter((unit) => removed[unit] === 1);
  for (const unit of pending)
    for (const other of dependants.get(unit) ?? []) {
      if (all[other] === 1) continue;
      all[other] = 1;
      pending.push(other);
    }
  return all.some((flag, unit) => flag !== removed[unit]) ? all : removed;
}

/** Positions along one axis that stay, ascending. */
export function keptAlong(
  structure: Structure,
  removed: Removed,
  layout: Layout,
  axis: number,
): number[] {
  const kept: number[] = [];
  for (const [index, unit] of structure.unitsAlong(layout, axis).entries())
    if (unit < 0 || removed[unit] === 0) kept.push(index);
  return kept;
}

/** The shape that is left. Not for virtual layouts. */
export function shapeAfter(structure: Structure, removed: Removed, layout: Layout): number[] {
  return layout.shape.map((_, axis) => keptAlong(structure, removed, layout, axis).length);
}

/**
 * True for a tensor that cannot exist after the removal: channels split over several axes that lose
 * no rectangle (or might not). What is selected from it is then gathered from its base directly.
 */
export function isVirtual(structure: Structure, removed: Removed, layout: Layout): boolean {
  return layout.blocks.some(
    (block) =>
      isJoint(block) &&
      elementIds(structure.analysis.pool, block, layout.base).some((id) => {
        const unit = structure.unitOf(id);
        return unit >= 0 && removed[unit] === 1;
      }),
  );
}

/** True when any unit along any axis of the layout is removed. */
export function losesAnything(structure: Structure, removed: Removed, layout: Layout): boolean {
  return (
    isVirtual(structure, removed, layout) ||
    layout.shape.some((size, axis) => keptAlong(structure, removed, layout, axis).length < size)
  );
}
