/** @file The widths that an engine computes without waste, by a function of the time over the width. */

/** A step down pays if it saves at least this share of what it would save if time were proportional to the width. */
const leastShare = 0.4;

/**
 * Which of the widths pay: being narrower than the next one that pays saves time in proportion, or nearly so. The
 * widest always does.
 *
 * @param widths Ascending.
 * @param msAt Milliseconds at a width.
 */
export function widthsThatPay(
  widths: readonly number[],
  msAt: (width: number) => number,
): readonly number[] {
  const [narrowest] = widths;
  const widest = widths[widths.length - 1];
  const times = new Map(widths.map((width) => [width, msAt(width)]));
  const timeOf = (width: number) => times.get(width) ?? 0;
  const span = timeOf(widest) - Math.min(...times.values());
  const perChannel = widest > narrowest ? span / (widest - narrowest) : 0;
  const paying = [widest];
  // The fastest of the wider ones: whoever wants to be as fast can have that one.
  let fastest = timeOf(widest);
  for (const width of widths.toReversed().slice(1)) {
    const saved = fastest - timeOf(width);
    if (saved > 0 && saved >= leastShare * perChannel * (paying[paying.length - 1] - width))
      paying.push(width);
    fastest = Math.min(fastest, timeOf(width));
  }
  return paying.reverse();
}
