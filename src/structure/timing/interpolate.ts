/**
 * @file Times between measured widths.
 *
 * Engines compute channels in blocks and pad what is left of one, or take another kernel: the time over the width is
 * a line with steps. Widths are therefore told apart by what divides them: 16, 8, 4, or none of these. The coarsest
 * multiple that three points share carries a line, and the points of each finer kind of width say how much more such
 * widths take.
 */

/** What may divide a width, the coarsest first. */
const alignments = [16, 8, 4, 1] as const;

/** The coarsest of the alignments that divides a width. */
export function alignmentOf(width: number): number {
  return alignments.find((alignment) => width % alignment === 0) ?? 1;
}

/** A function over widths, known at some. */
interface Curve {
  readonly widths: readonly number[];
  readonly values: readonly number[];
}

/** Points that are enough to carry the line. */
const enoughPoints = 3;

/**
 * The value at a width, at least 0: exact at points, else that of the line, and what widths of its alignment take more.
 *
 * @param widths Ascending, above 0.
 */
export function interpolate({ widths, values }: Curve, width: number): number {
  const at = widths.indexOf(width);
  if (at >= 0) return values[at];
  const carrier = carrierOf(widths);
  const onCarrier = pointsWhere({ widths, values }, (each) => each % carrier === 0);
  const line = lineAt(onCarrier, width);
  const excess = excessFor({ widths, values }, onCarrier, { width, carrier });
  return Math.max(0, line + excess);
}

/** The coarsest multiple that enough points share; 1 where none does. */
function carrierOf(widths: readonly number[]): number {
  const shared = (alignment: number) => widths.filter((width) => width % alignment === 0).length;
  return alignments.find((alignment) => shared(alignment) >= enoughPoints) ?? 1;
}

function pointsWhere({ widths, values }: Curve, isWanted: (width: number) => boolean): Curve {
  const places = [...widths.keys()].filter((place) => isWanted(widths[place]));
  return { widths: places.map((i) => widths[i]), values: places.map((i) => values[i]) };
}

/** Linear between points; below the first half of it stays, beyond the last one the line goes on. */
function lineAt({ widths, values }: Curve, width: number): number {
  const last = widths.length - 1;
  if (width <= widths[0]) return (values[0] * (1 + width / widths[0])) / 2;
  if (last === 0) return (values[0] * width) / widths[0];
  const above = width >= widths[last] ? last : widths.findIndex((each) => each >= width);
  const [a, b] = [above - 1, above];
  const slope = (values[b] - values[a]) / (widths[b] - widths[a]);
  const isBeyond = width > widths[last];
  // A wider layer is not taken to be faster than the widest that was measured.
  return isBeyond
    ? values[b] + Math.max(0, slope) * (width - widths[b])
    : values[a] + slope * (width - widths[a]);
}

/** What a width off the carrier takes more: from points of its own alignment, else of the next finer one that has any. */
function excessFor(
  curve: Curve,
  onCarrier: Curve,
  { width, carrier }: { readonly width: number; readonly carrier: number },
): number {
  if (width % carrier === 0) return 0;
  const own = alignmentOf(width);
  for (const alignment of alignments.filter((each) => each <= own)) {
    const points = pointsWhere(
      curve,
      (each) => each % carrier !== 0 && alignmentOf(each) === alignment,
    );
    if (points.widths.length === 0) continue;
    const more = points.values.map((value, i) => value - lineAt(onCarrier, points.widths[i]));
    return between({ widths: points.widths, values: more }, width);
  }
  return 0;
}

/** Linear between points, and the nearest point's value outside. */
function between({ widths, values }: Curve, width: number): number {
  const above = widths.findIndex((each) => each >= width);
  if (above === 0) return values[0];
  if (above < 0) return values[values.length - 1];
  const share = (width - widths[above - 1]) / (widths[above] - widths[above - 1]);
  return values[above - 1] + share * (values[above] - values[above - 1]);
}

/** The value of a grid at two widths: along the second axis in each row, then along the first. */
export function interpolateGrid(
  rows: readonly number[],
  columns: readonly number[],
  values: readonly (readonly number[])[],
  [row, column]: readonly [number, number],
): number {
  const at = rows.indexOf(row);
  if (at >= 0) return interpolate({ widths: columns, values: values[at] }, column);
  const across = values.map((own) => interpolate({ widths: columns, values: own }, column));
  return interpolate({ widths: rows, values: across }, row);
}
