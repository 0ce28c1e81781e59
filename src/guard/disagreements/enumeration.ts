/**
 * @file How often a plan of looks certifies, summed over all outcomes rather than approximated.
 *
 * Of n images, L are lost (the first network alone is right), W are won, and the rest are equal, each image by
 * itself: (L, W) is trinomial. The probability that some look passes is a sum over the lattice of (L, W), from
 * which what a look passes is taken out before the next images are added.
 */
import { assert } from "../../errors.ts";
import { pairedScore } from "../../measure/evaluation/classification.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";

/** A look at the first images. */
export interface Look {
  readonly samples: number;
  /** One-sided level of the score statistic. */
  readonly level: number;
}

/** Looks that are declared beforehand, the smallest first. The first that passes ends the plan. */
export interface Plan {
  /** A drop of at least so much must not pass. */
  readonly tolerance: number;
  readonly looks: readonly Look[];
}

/** Images by what happened to them. In clusters they count less, and need not be whole. */
export interface Counts {
  /** The first network alone is right. */
  readonly lost: number;
  /** The second network alone is right. */
  readonly won: number;
  readonly samples: number;
}

/** Whether Tango's score statistic of "the drop is the tolerance" lies at or below the quantile of `level`. */
export function passes({ lost, won, samples }: Counts, tolerance: number, level: number): boolean {
  return scoreOf({ lost, won, samples }, tolerance) <= normalQuantile(level);
}

/** Tango's score statistic of "the drop is the tolerance": negative where the drop lies below it. */
export function scoreOf({ lost, won, samples }: Counts, tolerance: number): number {
  return pairedScore({ onlyFirst: won, onlySecond: lost, samples }, tolerance);
}

/** The exact probability that a look of the plan passes, for images that are lost and won with these probabilities. */
export function passProbability(plan: Plan, lost: number, won: number): number {
  return passAt(boundariesOf(plan), lost, won);
}

/** A look by what it passes. */
interface Boundary {
  readonly samples: number;
  /** For a number of won images, the largest number of lost ones with which the look passes; -1 for none. */
  readonly mostLost: (won: number) => number;
}

function boundariesOf({ tolerance, looks }: Plan): readonly Boundary[] {
  return looks.map((look) => ({
    samples: look.samples,
    mostLost: boundaryOf(look, tolerance),
  }));
}

function passAt(boundaries: readonly Boundary[], lost: number, won: number): number {
  assert(lost >= 0 && won >= 0 && lost + won <= 1, `probabilities, got ${lost} and ${won}`);
  const lattice = new Lattice(boundaries[boundaries.length - 1].samples, lost, won);
  let passed = 0;
  for (const { samples, mostLost } of boundaries) {
    lattice.advanceTo(samples);
    passed += lattice.take(mostLost);
  }
  return Math.min(1, passed);
}

function boundaryOf({ samples, level }: Look, tolerance: number): (won: number) => number {
  const known: number[] = [];
  const quantile = normalQuantile(level);
  const isPassed = (lost: number, won: number) =>
    lost + won <= samples && scoreOf({ lost, won, samples }, tolerance) <= quantile;
  return (won) => {
    // More won images never make a look harder to pass, so the search goes on from the one before.
    for (let w = known.length; w <= won; w++) {
      let lost = known[w - 1] ?? -1;
      while (isPassed(lost + 1, w)) lost++;
      known.push(Math.min(lost, samples - w));
    }
    return known[won];
  };
}

/** Beyond so many standard deviations, and a few counts, probabilities are below 1e-12. */
const reach = 7.2;
const fewCounts = 12;

/** The distribution of (L, W) among outcomes that no look has passed. */
class Lattice {
  readonly #lost: number;
  readonly #won: number;
  readonly #width: number;
  /** Row by number of lost images, column by number of won ones. */
  readonly #cells: Float64Array;
  #samples = 0;

  constructor(samples: number, lost: number, won: number) {
    this.#lost = lost;
    this.#won = won;
    this.#width = rangeOf(samples, won)[1] + 1;
    this.#cells = new Float64Array(this.#width * (rangeOf(samples, lost)[1] + 1));
  }

  advanceTo(samples: number): void {
    if (this.#samples === 0) this.#fill(samples);
    else while (this.#samples < samples) this.#addImage();
  }

  /** Takes out what a look passes, and gives its probability. */
  take(mostLost: (won: number) => number): number {
    const [lowest] = rangeOf(this.#samples, this.#lost);
    const [first, last] = rangeOf(this.#samples, this.#won);
    let taken = 0;
    for (let won = first; won <= last; won++) {
      const end = Math.min(mostLost(won), rangeOf(this.#samples, this.#lost)[1]);
      for (let lost = lowest; lost <= end; lost++) {
        taken += this.#cells[lost * this.#width + won];
        this.#cells[lost * this.#width + won] = 0;
      }
    }
    return taken;
  }

  /** The trinomial distribution itself. */
  #fill(samples: number): void {
    const [p, q] = [this.#lost, this.#won];
    const rest = Math.max(0, 1 - p - q);
    const factorials = new Float64Array(samples + 1);
    for (let i = 1; i <= samples; i++) factorials[i] = factorials[i - 1] + Math.log(i);
    const term = (count: number, probability: number) =>
      count === 0 ? 0 : count * Math.log(probability) - factorials[count];
    const [lowest, highest] = rangeOf(samples, p);
    const [first, last] = rangeOf(samples, q);
    for (let lost = lowest; lost <= highest; lost++)
      for (let won = first; won <= Math.min(last, samples - lost); won++) {
        const logs = term(lost, p) + term(won, q) + term(samples - lost - won, rest);
        this.#cells[lost * this.#width + won] = Math.exp(factorials[samples] + logs);
      }
    this.#samples = samples;
  }

  /** One image more, in place: from the last cell to the first, so that each reads what was there before. */
  #addImage(): void {
    const [p, q] = [this.#lost, this.#won];
    const rest = Math.max(0, 1 - p - q);
    const [cells, width] = [this.#cells, this.#width];
    this.#samples++;
    const [lowest, highest] = rangeOf(this.#samples, p);
    const [first, last] = rangeOf(this.#samples, q);
    for (let lost = highest; lost >= lowest; lost--) {
      const row = lost * width;
      for (let at = row + last; at >= row + first; at--)
        cells[at] =
          rest * cells[at] +
          (lost > 0 ? p * cells[at - width] : 0) +
          (at > row ? q * cells[at - 1] : 0);
    }
  }
}

/** The counts of a binomial distribution that are not negligible. */
function rangeOf(samples: number, probability: number): readonly [lowest: number, highest: number] {
  const mean = samples * probability;
  const spread = reach * Math.sqrt(mean * (1 - probability)) + (probability > 0 ? fewCounts : 0);
  return [Math.max(0, Math.floor(mean - spread)), Math.min(samples, Math.ceil(mean + spread))];
}

/** Additions that one sum may take: a few hundredths of a second. */
const mostWork = 3e7;

/** Whether the sum over all outcomes is quick enough to be made. */
function isQuick({ looks }: Plan, lost: number, won: number): boolean {
  const { samples } = looks[looks.length - 1];
  const sizeOf = (probability: number) => {
    const [lowest, highest] = rangeOf(samples, probability);
    return highest - lowest + 1;
  };
  return 0.5 * (samples - looks[0].samples) * sizeOf(lost) * sizeOf(won) <= mostWork;
}

/** What is known of the false certificates of a plan. */
export interface FalseRate {
  /** The largest probability of a certificate while the true drop is the tolerance. */
  readonly rate: number;
  /** The share of images that are lost or won at which it is that large. */
  readonly discordance: number;
  /** Discordances up to this one were summed up; beyond, so many images are discordant that the statistic is normal. */
  readonly upTo: number;
}

const largestDiscordance = 0.3;
const gridRatio = 1.3;

/** The largest exact probability of a false certificate, over a grid of discordances. */
export function falseRateOf(plan: Plan): FalseRate {
  return worstOf(plan, discordances(plan));
}

/** The discordances that are tried: geometric from the tolerance, below which the drop could not be that large. */
function discordances(plan: Plan): readonly number[] {
  const { tolerance } = plan;
  const all: number[] = [];
  for (let share = tolerance; share <= Math.max(tolerance, largestDiscordance); share *= gridRatio)
    if (isQuick(plan, lostAt(share, tolerance), wonAt(share, tolerance))) all.push(share);
  return all;
}

function worstOf(plan: Plan, shares: readonly number[]): FalseRate {
  const { tolerance } = plan;
  const boundaries = boundariesOf(plan);
  let [rate, discordance] = [0, tolerance];
  for (const share of shares) {
    const own = passAt(boundaries, lostAt(share, tolerance), wonAt(share, tolerance));
    if (own > rate) [rate, discordance] = [own, share];
  }
  return { rate, discordance, upTo: shares.at(-1) ?? 0 };
}

const lostAt = (discordance: number, drop: number) => (discordance + drop) / 2;
const wonAt = (discordance: number, drop: number) => Math.max(0, (discordance - drop) / 2);

/** A plan whose false certificates are as rare as they should be, and how rare that is. */
export interface CalibratedPlan {
  readonly plan: Plan;
  readonly falseRate: FalseRate;
  /** The factor by which the levels were lowered; 1 where the approximation was good enough. */
  readonly factor: number;
}

/** Steps of the search for the factor at most. Each takes out what is too much, and a thousandth more. */
const mostSteps = 12;
const caution = 0.999;

/**
 * Lowers the levels of a plan, all by the same factor, until the exact probability of a false certificate is at most
 * `level` on the grid of discordances. Tango's approximation alone errs by a twentieth of the level for a few hundred
 * images.
 */
export function calibrated(plan: Plan, level: number): CalibratedPlan {
  const shares = discordances(plan);
  let factor = 1;
  for (let step = 0; step < mostSteps; step++) {
    const looks = plan.looks.map((look) => ({ ...look, level: factor * look.level }));
    const own = { ...plan, looks };
    const falseRate = worstOf(own, shares);
    if (falseRate.rate <= level) return { plan: own, falseRate, factor };
    factor *= (caution * level) / falseRate.rate;
  }
  throw new Error("espalier bug: lower levels pass less often");
}
