/** @file Searches the largest k that a test accepts, in O(log n) tests. */
import { assert } from "../../errors.ts";

/** One answer of a test. */
export interface Evaluation {
  readonly k: number;
  readonly isWithin: boolean;
}

/** How to search. */
export interface SearchOptions {
  /** Where to begin, in 1..count; default 1. A near guess saves tests, a wrong one costs a few. */
  readonly start?: number | undefined;
}

/** The result of a search. */
export interface Found {
  /** 0, or one that was found within. */
  readonly k: number;
  /** Answers of `isWithin`, in the order in which they were given. No k occurs twice. */
  readonly evaluations: readonly Evaluation[];
}

/**
 * The largest k in 0..count within the tolerance, where removing more does more harm: galloping from
 * `start` (steps of 1, 2, 4, ...) until the answer turns, then bisection. At most
 * 2 log₂(count) + 1 tests; each k is tested once at most, and 0 never, since nothing is removed.
 *
 * Where the curve is not monotone, k is still one that was found within, with k + 1 found not to be (or
 * k = count); it need not be the largest.
 */
export async function largestWithin(
  count: number,
  isWithin: (k: number) => Promise<boolean>,
  options: SearchOptions = {},
): Promise<Found> {
  const { start = 1 } = options;
  assert(Number.isInteger(count) && count >= 0, `a count, got ${count}`);
  assert(Number.isInteger(start), `a start, got ${start}`);
  const within = remembered(isWithin);

  // Invariant: `low` is 0 or was found within; `high` is count + 1 or was found not to be.
  let low = 0;
  let high = count + 1;
  let at = Math.min(Math.max(start, 1), count);
  for (let step = 1; low < at && at < high; step *= 2) {
    if (await within.ask(at)) low = at;
    else high = at;
    if (low > 0 && high <= count) break;
    at = low > 0 ? Math.min(count, low + step) : Math.max(0, high - step);
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await within.ask(middle)) low = middle;
    else high = middle;
  }
  return { k: low, evaluations: within.answers };
}

/** Asks once per k, and keeps the answers in order. */
function remembered(test: (k: number) => Promise<boolean>) {
  const known = new Map<number, boolean>();
  const answers: Evaluation[] = [];
  const ask = async (k: number): Promise<boolean> => {
    const before = known.get(k);
    if (before !== undefined) return before;
    const isWithin = await test(k);
    known.set(k, isWithin);
    answers.push({ k, isWithin });
    return isWithin;
  };
  return { ask, answers };
}
