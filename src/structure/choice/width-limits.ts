/** @file The axes whose widths rules concern, and the widths that each may have. */

import type { CostTable } from "../timing/cost-table.ts";
import { timeModel } from "../timing/time-model.ts";
import { widthsThatPay } from "../timing/widths-that-pay.ts";
import { type Removed, removeNothing } from "../units/removal.ts";
import type { FilterAxis, Structure } from "../units/units.ts";
import { axesInBlocks } from "./axes-in-blocks.ts";
import type { Rounding } from "./selection-rules.ts";

/**
 * The multiples that `auto` rounds convolutions to, by the least width that each is for. ONNX Runtime computes
 * convolutions in blocks of 8 channels with AVX2 and of 16 with AVX-512, pads what is left of a block, and leaves its
 * blocked layout where channels are no multiple of 4, or no whole blocks where an operator takes those alone
 * (`docs/decisions/0020-widths-that-pay.md`).
 */
const multiples = {
  any: [
    { from: 128, multiple: 16 },
    { from: 32, multiple: 8 },
    { from: 4, multiple: 4 },
    { from: 0, multiple: 1 },
  ],
  wholeBlocks: [
    { from: 128, multiple: 16 },
    { from: 8, multiple: 8 },
    { from: 4, multiple: 4 },
    { from: 0, multiple: 1 },
  ],
} as const;

/** The widths next to one that an axis may have: at or below it, and at or above it. */
export function allowedWidths(
  width: number,
  { rounding, widths, isInBlocks }: Pick<WidthLimit, "rounding" | "widths" | "isInBlocks">,
): readonly [number, number] {
  if (widths !== undefined) {
    const below = widths.findLast((each) => each <= width) ?? 0;
    return [below, widths.find((each) => each >= width) ?? width];
  }
  const multiple =
    rounding === "auto"
      ? (multiples[isInBlocks ? "wholeBlocks" : "any"].find(({ from }) => width >= from)
          ?.multiple ?? 1)
      : Math.max(1, rounding);
  return [Math.floor(width / multiple) * multiple, Math.ceil(width / multiple) * multiple];
}

/** The positions of one tensor axis, as units; axes with the same list are the same constraint. */
export interface WidthLimit {
  readonly width: number;
  /** Positions per unit. */
  readonly counts: ReadonlyMap<number, number>;
  /** What the width is rounded to; 1 for axes that no filters lie along. */
  readonly rounding: Rounding;
  /** Whether an operator along it takes whole blocks of channels alone. */
  readonly isInBlocks: boolean;
  /** The widths that a cost table says pay, ascending, where one does. */
  readonly widths?: readonly number[];
}

/** The constraints on widths of a structure, each once. With a cost table, `auto` allows the widths that it says pay. */
export function widthLimits(
  structure: Structure,
  roundTo: Rounding,
  costs?: CostTable,
): readonly WidthLimit[] {
  const limits = limitsOf(structure, roundTo);
  if (costs === undefined || roundTo !== "auto") return limits;
  const { msAfter } = timeModel(structure, costs);
  return limits.map((limit) =>
    limit.rounding === "auto"
      ? { ...limit, widths: payingWidths(structure, limit, msAfter) }
      : limit,
  );
}

/** Widths that are looked at along an axis: multiples of 4, in coarser steps where there are many. */
const widthsLookedAt = 64;

function payingWidths(
  structure: Structure,
  { width, counts }: WidthLimit,
  msAfter: (removed: Removed) => number,
): readonly number[] {
  // The order does not matter to time: units of an axis that others hold, too, go last.
  const along = [...counts.keys()].filter((unit) => structure.units[unit].reason === undefined);
  const removed = removeNothing(structure);
  const times = new Map([[width, msAfter(removed)]]);
  const step = 4 * Math.max(1, Math.ceil(width / (4 * widthsLookedAt)));
  let left = width;
  for (const unit of along.toReversed()) {
    removed[unit] = 1;
    left -= counts.get(unit) ?? 0;
    if (left > 0 && (left % step === 0 || left < step)) times.set(left, msAfter(removed));
  }
  const widths = [...times.keys()].sort((a, b) => a - b);
  return widthsThatPay(widths, (each) => times.get(each) ?? 0);
}

function limitsOf(structure: Structure, roundTo: Rounding): readonly WidthLimit[] {
  const limits = new Map<string, WidthLimit>();
  const inBlocks = roundTo === "auto" ? axesInBlocks(structure) : new Set<string>();
  const add = (units: Int32Array, rounding: Rounding): void => {
    const counts = new Map<number, number>();
    for (const unit of units) if (unit >= 0) counts.set(unit, (counts.get(unit) ?? 0) + 1);
    if (counts.size === 0) return;
    const key = units.join(",");
    const known = limits.get(key);
    if (known === undefined || (rounding !== 1 && known.rounding === 1))
      limits.set(key, {
        width: units.length,
        counts,
        rounding,
        isInBlocks: inBlocks.has(key),
      });
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
