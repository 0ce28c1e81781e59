/**
 * @file The ladder of networks that the guard tests on `certify`, declared from figures on `select` before `certify` is
 * consulted. The guard in `guard.ts` is honest for any ladder; this is about its power.
 */
import { assert } from "../errors.ts";
import { normalQuantile } from "../tensor/normal-quantile.ts";

/** A drop against the original, measured on paired samples. Fractions: 0.01 is one point. */
export interface Drop {
  /** Original minus this network; below 0 where this one is better. */
  readonly drop: number;
  /** Upper bound of the drop at the one-sided level that was asked for. */
  readonly upper: number;
  readonly samples: number;
}

/** An accepted point on the way, measured on `select` at the level of {@link levelOf}. */
export interface State extends Drop {
  /** The share of the original that is left, of its MACs, say; smaller is better. */
  readonly size: number;
}

/** The networks to test on `certify`, fixed beforehand; the mildest (largest) first in both ladders. */
export interface Ladder<S> {
  readonly main: readonly S[];
  /** Tested only where the first rung of `main` fails. */
  readonly milder: readonly S[];
}

/** How to declare a ladder. */
export interface LadderOptions {
  /** The largest drop allowed. */
  readonly maxDrop: number;
  /** Probability with which a certificate is to be right; default 0.95. */
  readonly confidence?: number | undefined;
  /** Samples of `certify`. */
  readonly samples: number;
  /** Rungs of each ladder at most; default {@link mostRungs}. */
  readonly rungs?: number | undefined;
}

/** Rungs of a ladder, unless another number is asked for. */
export const mostRungs = 4;

/** The one-sided level of each test: half of alpha = 1 - confidence, for there are two ladders. */
export function levelOf(confidence: number): number {
  assert(confidence > 0 && confidence < 1, `a confidence in (0, 1), got ${confidence}`);
  return (1 - confidence) / 2;
}

/**
 * The first rung is the most aggressive state that `certify` is foretold to pass, or to fail by half a
 * standard error at most: about one chance in three. That is bold, but where it fails the milder ladder
 * has a level of its own, and a first rung too mild spends rungs on what says little. Any value is
 * as honest as any other; this one gave the most power in `npm run bench:guard`.
 */
const boldness = 0.5;

/**
 * Tolerances on `select` for the rounds of a search, one after the other, rising to `maxDrop`: 0.25,
 * 0.5, 0.75 and 1 of it by default. A search for `maxDrop` at once comes to rest just below it, where
 * `certify` needs many more images to agree; with stages there are accepted states with room to
 * spare, and the ladder has something to stand on.
 */
export function stagesOf(maxDrop: number, count = 4): readonly number[] {
  assert(Number.isInteger(count) && count >= 1, `a number of stages, got ${count}`);
  return Array.from({ length: count }, (_, i) => maxDrop * ((i + 1) / count));
}

/**
 * Chooses, from what held on `select`, what `certify` will be asked.
 *
 * A test passes when the drop on `certify` lies below the tolerance by a margin, z standard errors. The
 * margin is foretold from `select`: it shrinks with the root of the number of samples. So is whether
 * a state will pass, but for noise of both roles:
 *
 *     clear = (maxDrop - drop - margin) / √(se²(select) + se²(certify))
 *
 * Drops are smoothed first, as more removal does more harm on the whole: a lucky state does not count
 * for more than its neighbours. The main ladder begins with the most aggressive state that has a fair
 * chance (clear ≥ -0.5) and ends with the most aggressive that held; the others are spread evenly
 * between. The milder ladder is spread over all that is milder than the first rung.
 */
export function declareLadder<S extends State>(
  states: readonly S[],
  options: LadderOptions,
): Ladder<S> {
  const { maxDrop, confidence = 0.95, samples, rungs = mostRungs } = options;
  assert(Number.isInteger(rungs) && rungs >= 1, `a number of rungs, got ${rungs}`);
  const z = normalQuantile(1 - levelOf(confidence));
  const held = states.filter(({ drop }) => drop <= maxDrop).toSorted((a, b) => b.size - a.size);
  const smoothed = nonDecreasing(held.map(({ drop }) => drop));
  const first = held.findLastIndex((state, i) => {
    const half = state.upper - state.drop;
    const margin = half * Math.sqrt(state.samples / samples);
    return maxDrop - smoothed[i] - margin >= (-boldness * Math.hypot(half, margin)) / z;
  });
  const from = Math.max(0, first);
  return {
    main: spread(held.slice(from), rungs),
    milder: spread(held.slice(0, from), rungs),
  };
}

/** At most `count` of the items, evenly spread, with both ends; of one, the last. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  const last = items.length - 1;
  if (count === 1) return [items[last]];
  return Array.from({ length: count }, (_, i) => items[Math.round((i * last) / (count - 1))]);
}

/** The nearest non-decreasing sequence in least squares: pool adjacent violators. */
function nonDecreasing(values: readonly number[]): readonly number[] {
  const pools: { sum: number; count: number }[] = [];
  const mean = ({ sum, count }: { sum: number; count: number }): number => sum / count;
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (let last = pools.at(-1); last !== undefined && mean(last) > mean(pool); ) {
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
      pools.pop();
      last = pools.at(-1);
    }
    pools.push(pool);
  }
  return pools.flatMap((pool) => Array.from({ length: pool.count }, () => mean(pool)));
}
