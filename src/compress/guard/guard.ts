/**
 * @file The tolerance guard: Learn-then-Test by fixed-sequence testing (Angelopoulos, Bates, Candès,
 * Jordan, Lei, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control", 2021).
 *
 * Search goes on freely on `select`. What it accepted is then laid out as a ladder, fixed before
 * `certify` is consulted: each rung is tested against "the true drop exceeds the tolerance", mildest
 * first, and the first failure ends it. Testing in a fixed order needs no correction for the number of
 * rungs: to certify anything too large, the first rung that is too large must pass, and that happens
 * with at most the level of one test. There are two ladders, each at half of alpha, so a wrong
 * certificate has at most probability alpha, whatever the search did and whatever the rungs are.
 *
 * Which rungs are declared is therefore a question of power only; see `declareLadder` in `ladder.ts`.
 */
import { assert } from "../../errors.ts";
import { inShortPoints } from "../../measure/words.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";
import { type Drop, type Ladder, levelOf } from "./ladder.ts";

/** One consultation of `certify`. It is spent: a rung is never looked at twice. */
export interface Look extends Drop {
  readonly ladder: keyof Ladder<unknown>;
  /** Place in its ladder, from 0. */
  readonly rung: number;
  /** The one-sided level of the test, and of `upper`. */
  readonly level: number;
  /** `upper` is at most the tolerance. */
  readonly passed: boolean;
}

/** How to climb. */
export interface ClimbOptions<S> {
  readonly maxDrop: number;
  /** Default 0.95. */
  readonly confidence?: number;
  /**
   * Measures a rung on `certify`, with the upper bound at this one-sided level. A look is spent when it is
   * made: where a climb may be interrupted, this puts it on record, and gives it from there later.
   */
  readonly look: (rung: S, level: number) => Promise<Drop>;
}

/** Why it ended as it did. */
export type Verdict =
  /** A rung passed. */
  | "certified"
  /** The mildest rung's drop exceeds the tolerance already. */
  | "drop-too-large"
  /** The mildest rung's drop is within the tolerance, but too few samples say so. */
  | "too-few-samples"
  /** No state held on `select`. */
  | "nothing-to-certify";

/** What `certify` said. */
export interface Climb<S> {
  readonly verdict: Verdict;
  /** The most aggressive state that is certified. */
  readonly certified: S | undefined;
  /** The look that certified it; else the one at the mildest rung; `undefined` where none was made. */
  readonly decisive: Look | undefined;
  /** All looks, in order. */
  readonly looks: readonly Look[];
  /** How many samples of `certify` would do, were the drop the same; where it took too few. */
  readonly samplesNeeded: number | undefined;
  /** The same, in a sentence or two. */
  readonly words: string;
}

/**
 * Tests the rungs of the main ladder, mildest first, until one fails, and returns the last that
 * passed; where already the first fails, the milder ladder likewise.
 */
export async function climb<S>(ladder: Ladder<S>, options: ClimbOptions<S>): Promise<Climb<S>> {
  const { maxDrop, confidence = 0.95, look } = options;
  const level = levelOf(confidence);
  const looks: Look[] = [];
  const passedOf = async (name: keyof Ladder<S>): Promise<number> => {
    for (const [rung, state] of ladder[name].entries()) {
      const { drop, upper, samples } = await look(state, level);
      const passed = upper <= maxDrop;
      looks.push({ ladder: name, rung, level, drop, upper, samples, passed });
      if (!passed) return rung;
    }
    return ladder[name].length;
  };

  let name: keyof Ladder<S> = "main";
  let passed = await passedOf(name);
  if (passed === 0 && ladder.milder.length > 0) {
    name = "milder";
    passed = await passedOf(name);
  }

  const tested = ladder[name];
  const certified = passed > 0 ? tested[passed - 1] : undefined;
  const mine = looks.filter((made) => made.ladder === name);
  const decisive = mine.at(Math.max(0, passed - 1));
  return { certified, decisive, looks, ...explain(mine, passed, maxDrop, confidence) };
}

/** The verdict and its words, from the looks at the ladder that decided. */
function explain(
  looks: readonly Look[],
  passed: number,
  maxDrop: number,
  confidence: number,
): Pick<Climb<unknown>, "verdict" | "samplesNeeded" | "words"> {
  const tolerance = points(maxDrop);
  const samplesNeeded = undefined;
  if (looks.length === 0)
    return {
      ...{ verdict: "nothing-to-certify", samplesNeeded },
      words: `Nothing that was tried kept the drop within ${tolerance} on select.`,
    };
  if (passed > 0) {
    const { drop, upper, samples } = looks[passed - 1];
    const next = looks.at(passed);
    const limit =
      next === undefined
        ? ""
        : ` The next smaller network was not certified: ${points(next.drop)} observed, up to ${points(next.upper)}.`;
    return {
      ...{ verdict: "certified", samplesNeeded },
      words:
        `Certified with ${percent(confidence)} confidence: the drop is at most ${tolerance} ` +
        `(${points(drop)} observed on ${samples} images of certify, up to ${points(upper)}).${limit}`,
    };
  }
  const [{ drop, upper, samples, level }] = looks;
  const observed = `Not certified: ${points(drop)} observed on ${samples} images of certify`;
  if (drop >= maxDrop)
    return {
      ...{ verdict: "drop-too-large", samplesNeeded },
      words: `${observed}, and the tolerance is ${tolerance}.`,
    };
  const variance = varianceOf(looks[0]);
  const needed = samplesToCertify({ variance, maxDrop, level, drop: Math.max(0, drop) });
  const atBest = samplesToCertify({ variance, maxDrop, level });
  const without =
    drop > 0 && atBest > samples ? `, and about ${roundUp(atBest)} had no drop been observed` : "";
  return {
    ...{ verdict: "too-few-samples", samplesNeeded: needed },
    words:
      `${observed}, which is within the tolerance of ${tolerance}, but so few images leave room ` +
      `for a drop up to ${points(upper)}. It would take about ${roundUp(needed)} images to certify it${without}.`,
  };
}

/** The variance of one sample's difference, as the width of the bound tells it. */
function varianceOf({ drop, upper, samples, level }: Look): number {
  return samples * ((upper - drop) / normalQuantile(1 - level)) ** 2;
}

/** What the number of samples depends on. */
export interface SampleNeed {
  /**
   * Variance of one sample's difference. Of right and wrong answers: the discordance, the share of
   * samples on which just one of the two networks is right.
   */
  readonly variance: number;
  /** Above `drop`. */
  readonly maxDrop: number;
  /** The one-sided level of the test. */
  readonly level: number;
  /** The drop that is observed; default 0. */
  readonly drop?: number;
}

/**
 * How many paired samples it takes to certify a drop: n with z √(variance / n) = maxDrop - drop, for the
 * normal bound, which the score bound approaches. With a discordance of 3 % and no observed drop, 1,152
 * samples certify one point at level 0.025, and 4,610 half a point.
 *
 * A drop at the tolerance has a discordance of at least the tolerance, so the variance counts for no
 * less: where nothing at all differs, n = z² / maxDrop, as the score bound gives.
 */
export function samplesToCertify({ variance, maxDrop, level, drop = 0 }: SampleNeed): number {
  assert(maxDrop > drop, `a tolerance above the drop of ${drop}, got ${maxDrop}`);
  const z = normalQuantile(1 - level);
  return Math.ceil((z * z * Math.max(variance, maxDrop)) / (maxDrop - drop) ** 2);
}

/** 0.0123 as "1.23 points". */
function points(drop: number): string {
  const text = inShortPoints(drop);
  return `${text} ${text === "1" ? "point" : "points"}`;
}

function percent(share: number): string {
  return `${inShortPoints(share)} %`;
}

/** To three digits, upwards: more would be no honest forecast. */
function roundUp(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return (Math.ceil(count / unit) * unit).toLocaleString("en-US");
}
