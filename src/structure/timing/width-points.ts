/** @file The widths at which layers are timed: some dozens tell the blocks of an engine and what it wastes beside them. */
import { alignmentOf } from "./interpolate.ts";

/** The multiples that carry the line of times over widths, by the least width that each is for. */
const carriers = [
  { from: 64, multiple: 16 },
  { from: 32, multiple: 8 },
  { from: 8, multiple: 4 },
  { from: 0, multiple: 1 },
] as const;

/** Points on the line besides the width itself. */
const pointsOnLine = 5;

/**
 * The widths to time, ascending, up to the layer's own: points on the line, and for each finer multiple, and for widths
 * that are multiples of nothing, one or two in the middle.
 */
export function widthPoints(width: number): readonly number[] {
  const multiple = carrierFor(width);
  const multiples = Array.from(
    { length: Math.floor(width / multiple) },
    (_, i) => (i + 1) * multiple,
  );
  const points = new Set([...spread(multiples), width]);
  for (const alignment of [8, 4, 1].filter((each) => each < multiple)) {
    const own = Array.from({ length: width - 1 }, (_, i) => i + 1).filter(
      (each) => alignmentOf(each) === alignment && each > multiple / 2,
    );
    // Widths off every multiple may be computed in another way altogether, whose time has a slope of its own.
    const shares = alignment === 1 ? [0.4, 0.9] : [0.7];
    for (const share of shares) {
      const nearest = nearestTo(own, share * width);
      if (nearest !== undefined) points.add(nearest);
    }
  }
  return [...points].sort((a, b) => a - b);
}

/** The widths to time of products of matrices, which engines compute as fast at any width. */
export function productPoints(width: number): readonly number[] {
  const all = Array.from({ length: width }, (_, i) => i + 1);
  return spread(all.filter((each) => each === width || each % carrierFor(width) === 0));
}

function carrierFor(width: number): number {
  return carriers.find(({ from }) => width >= from)?.multiple ?? 1;
}

/** Some of a list, its first and last ones among them, the others evenly between. */
function spread(list: readonly number[]): readonly number[] {
  if (list.length <= pointsOnLine) return list;
  const step = (list.length - 1) / (pointsOnLine - 1);
  return Array.from({ length: pointsOnLine }, (_, i) => list[Math.round(i * step)]);
}

function nearestTo(list: readonly number[], wanted: number): number | undefined {
  return list.reduce<number | undefined>(
    (best, each) =>
      best === undefined || Math.abs(each - wanted) < Math.abs(best - wanted) ? each : best,
    undefined,
  );
}
