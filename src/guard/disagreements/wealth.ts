/**
 * @file A test that may be looked at after every image: wealth from bets against "the drop is at least the tolerance".
 *
 * A bet of λ multiplies the wealth by 1 + λ (tolerance - s) for an image that is lost (s = 1), equal (0) or won (-1).
 * While the true drop is at least the tolerance, the expected factor is at most 1, so the mean of the wealth of several
 * bets, begun at 1, is a nonnegative supermartingale: by Ville's inequality it ever reaches 1 / level with probability
 * `level` at most (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024).
 */
import { assert } from "../../errors.ts";
import { exp, log, log1p } from "../../tensor/elementary.ts";

/** Bets that are made side by side. */
const bets = 24;
const largestBet = 0.95;

/** The bets against a tolerance: geometric from 2.5 tolerances, which suits rare disagreements, to 0.95. */
export function betsAgainst(tolerance: number): readonly number[] {
  assert(tolerance > 0 && tolerance < 1, `a tolerance, got ${tolerance}`);
  const smallest = Math.min(tolerance / 0.4, largestBet / 2);
  const ratio = log(largestBet / smallest) / (bets - 1);
  return Array.from({ length: bets }, (_, j) => smallest * exp(ratio * j));
}

/** Images that are looked at together: one, or those of a group. */
export interface Unit {
  /** Images, or pixels. */
  readonly size: number;
  readonly lost: number;
  readonly won: number;
}

/** The wealth of the bets so far. */
export class Wealth {
  readonly #tolerance: number;
  readonly #largest: number;
  readonly #bets: readonly number[];
  readonly #logs: Float64Array;

  /** @param largest No unit is larger; known before any is looked at. */
  constructor(tolerance: number, largest = 1) {
    this.#tolerance = tolerance;
    this.#largest = largest;
    this.#bets = betsAgainst(tolerance);
    this.#logs = new Float64Array(bets);
  }

  /** Bets on a unit, or on `times` units that are alike. The gain is per `largest`, so that it is above -1. */
  bet({ size, lost, won }: Unit, times = 1): void {
    assert(size <= this.#largest && lost + won <= size, "a unit is no larger than was said");
    const gain = (this.#tolerance * size - lost + won) / this.#largest;
    for (const [j, lambda] of this.#bets.entries()) this.#logs[j] += times * log1p(lambda * gain);
  }

  /** The logarithm of the mean wealth. */
  get log(): number {
    const most = Math.max(...this.#logs);
    const sum = this.#logs.reduce((total, one) => total + exp(one - most), 0);
    return most + log(sum / bets);
  }
}
