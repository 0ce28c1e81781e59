/**
 * @file What a fuzz is: inputs made from a seed, and what is done with each.
 *
 * To add one, write a module here that exports a {@link Fuzz} as `fuzz`, and name it in
 * `test/fuzz.slow.test.ts` (how many) and `test/fuzz.test.ts` (a few, fast).
 */
import { randomOf } from "../../../src/tensor/random.ts";

/** Picks at random; the same seed picks the same. */
export interface Pick {
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** One of the items. */
  from<T>(items: readonly T[]): T;
  /** True once in `n` times. */
  onceIn(n: number): boolean;
}

/** Where an attempt works. */
export interface Attempt {
  readonly seed: number;
  readonly pick: Pick;
  /** An empty folder; an attempt writes here and nowhere else. */
  readonly folder: string;
}

/** One kind of input. */
export interface Fuzz {
  /**
   * Makes the input of a seed and does with it what commands do. What comes back is counted by the
   * harness ("ok", or whatever tells results apart); an `EspalierError` counts by its code, and any other
   * error is a failure.
   */
  readonly attempt: (attempt: Attempt) => Promise<string> | string;
}

/** The picks of a seed. */
export function pickOf(seed: number, ...keys: readonly string[]): Pick {
  const random = randomOf(seed, "fuzz", ...keys);
  return {
    below: (bound) => random.integer(bound),
    from: (items) => items[random.integer(items.length)],
    onceIn: (n) => random.integer(n) === 0,
  };
}
