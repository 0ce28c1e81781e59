/**
 * @file The extremes of lists of any length. `Math.max(...list)` fails with a RangeError for some hundred thousand
 * elements, because arguments lie on the stack.
 */

/** The largest value, as `Math.max` has it: -Infinity for an empty list, NaN where there is one. */
export function largestOf(values: Iterable<number>): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const value of values) largest = Math.max(largest, value);
  return largest;
}

/** The smallest value, as `Math.min` has it: Infinity for an empty list, NaN where there is one. */
export function smallestOf(values: Iterable<number>): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (const value of values) smallest = Math.min(smallest, value);
  return smallest;
}
