/** @file The widths that an engine computes without waste, by a function of the time over the width. */

/** A wider layer that takes at most this much more is as fast. */
const tolerance = 1.01;

/**
 * Which of the widths pay: no wider one up to the layer's own takes as little time.
 *
 * @param widths Ascending.
 * @param msAt Milliseconds at a width.
 */
export function widthsThatPay(
  widths: readonly number[],
  msAt: (width: number) => number,
): readonly number[] {
  const paying: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const width of widths.toReversed()) {
    const ms = msAt(width);
    if (ms * tolerance < least) paying.push(width);
    least = Math.min(least, ms);
  }
  return paying.reverse();
}
