/** @file Shares and drops as reports, notes, warnings and lines of progress word them. */

/** A share in [0, 1], in percent: `92.9 %`. */
export function inPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A metric or a drop of it, in points of a hundredth each: `1.20`. */
export function inPoints(value: number): string {
  return (100 * value).toFixed(2);
}

/** As {@link inPoints}, without zeros at the end: `1.2`. */
export function inShortPoints(value: number): string {
  return String(Number(inPoints(value)));
}
