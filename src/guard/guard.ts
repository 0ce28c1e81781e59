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
import { assert } from "../errors.ts";
import { normalQuantile } from "../tensor/normal-quantile.ts";
import { metricWords } from "../words/metrics.ts";
import { counted, formatInteger, inShortPoints } from "../words/numbers.ts";
import { type Drop, type Ladder, levelOf } from "./ladder.ts";

/** One consultation of `certify`. It is spent: a rung is never looked at twice. */
export interface Look extends Drop {
  readonly ladder: keyof Ladder<unknown>;
  /** Place in its ladder, from 0. */
  readonly rung: number;
  /** The one-sided level of the test, and of `upper`. */
  readonly level: number;
  /** `upper` is at most the tolerance, on no fewer samples than {@link fewestSamples}. */
  readonly passed: boolean;
}

/** How to climb. */
export interface ClimbOptions<S> {
  readonly maxDrop: number;
  /** What drops, by the name that reports give it: `top1`, `miou`. */
  readonly metric: string;
  /** Default 0.95. */
  readonly confidence?: number | undefined;
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
  const { maxDrop, metric, confidence = 0.95, look } = options;
  const level = levelOf(confidence);
  const looks: Look[] = [];
  const passedOf = async (name: keyof Ladder<S>): Promise<number> => {
    for (const [rung, state] of ladder[name].entries()) {
      const { drop, upper, samples } = await look(state, level);
      const passed = upper <= maxDrop && samples >= fewestSamples(level);
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
  const made = looks.filter(({ ladder: own }) => own === name);
  const decisive = made.at(Math.max(0, passed - 1));
  return { certified, decisive, looks, ...explain(made, passed, { maxDrop, metric, confidence }) };
}

/** The verdict and its words, from the looks at the ladder that decided. */
function explain(
  looks: readonly Look[],
  passed: number,
  { maxDrop, metric, confidence }: { maxDrop: number; metric: string; confidence: number },
): Pick<Climb<unknown>, "verdict" | "samplesNeeded" | "words"> {
  const { name, isShare, shortDifference: amount } = metricWords(metric);
  const tolerance = amount(maxDrop);
  const samplesNeeded = undefined;
  if (looks.length === 0)
    return {
      verdict: "nothing-to-certify",
      samplesNeeded,
      words: `Nothing that was tried kept the drop of ${name} within ${tolerance} on select.`,
    };
  const onImages = ({ samples }: Look) => `on ${counted(samples, "image")} of certify`;
  if (passed > 0) {
    const look = looks[passed - 1];
    const next = looks.at(passed);
    const limit =
      next === undefined
        ? ""
        : ` The next smaller network was not certified: ${amount(next.drop)} observed, up to ${amount(next.upper)}.`;
    return {
      verdict: "certified",
      samplesNeeded,
      words:
        `Certified with ${percent(confidence)} confidence: the drop of ${name} is at most ${tolerance} ` +
        `(${look.drop < 0 ? `a gain of ${amount(-look.drop)}` : amount(look.drop)} observed ${onImages(look)}, up to ${amount(look.upper)}).` +
        `${limit}${caveatOf(look, isShare ? maxDrop : undefined)}`,
    };
  }
  const [look] = looks;
  const { drop, upper, samples, level } = look;
  const change = drop < 0 ? "gain" : "drop";
  const observed = `Not certified: a ${change} of ${name} of ${amount(Math.abs(drop))} observed ${onImages(look)}`;
  if (drop > maxDrop || (drop === maxDrop && upper > maxDrop))
    return {
      verdict: "drop-too-large",
      samplesNeeded,
      words: `${observed}, and the tolerance is ${tolerance}.`,
    };
  const few =
    samples < fewestSamples(level)
      ? `fewer than ${fewestSamples(level)} images certify nothing at this confidence`
      : `so few images leave room for a drop up to ${amount(upper)}`;
  const within = `${observed}, which is within the tolerance of ${tolerance}, but ${few}.`;
  if (drop === maxDrop) return { verdict: "too-few-samples", samplesNeeded, words: within };
  const variance = varianceOf(look);
  const needed = samplesToCertify({ variance, maxDrop, level, drop: Math.max(0, drop) });
  const atBest = samplesToCertify({ variance, maxDrop, level });
  const without =
    drop > 0 && atBest > samples ? `, and about ${roundUp(atBest)} had no drop been observed` : "";
  return {
    verdict: "too-few-samples",
    samplesNeeded: needed,
    words: `${within} It would take about ${roundUp(needed)} images to certify it${without}.`,
  };
}

/**
 * A warning about the risk that remains where a certificate rests on few images; none where there are enough. The
 * tolerance is none of shares where the metric is not: then {@link smallKind} counts.
 */
function caveatOf({ samples, level }: Look, maxDrop: number | undefined): string {
  if (!isFew({ samples, level }, maxDrop)) return "";
  const share = maxDrop ?? smallKind;
  const unseen = Number((100 * largestUnseen(samples, level)).toPrecision(2));
  const enough = Number.isFinite(samplesToSee(share, level))
    ? ` ${roundUp(samplesToSee(share, level))} images show every kind that makes up ${percent(share)} or more.`
    : "";
  return (
    ` Mind that ${samples} images are few: a kind of image that makes up as much as ` +
    `${unseen} % of all may be missing among them, and what it loses is not known.${enough}`
  );
}

/** The kind of image that is looked for where the metric, and so its tolerance, is no share of all. */
const smallKind = 0.05;

/**
 * Whether a certificate rests on few samples: a kind of sample that makes up the tolerance, and that the
 * result gets wrong entirely, may be missing among them. Bounds for right and wrong answers never pass on
 * so few; a bootstrap, which knows only of the differences that it has seen, may. The tolerance is
 * `undefined` where the metric is no share of all.
 */
export function isFew(
  { samples, level }: Pick<Look, "samples" | "level">,
  maxDrop: number | undefined,
): boolean {
  return samples < samplesToSee(maxDrop ?? smallKind, level);
}

/**
 * The largest share of all samples that may be missing among so many with probability `level`:
 * (1 - share)ⁿ = level. Of 12 images at level 0.025 it is 26.5 %.
 */
export function largestUnseen(samples: number, level: number): number {
  return 1 - level ** (1 / samples);
}

/** How many samples show at least one of a kind that makes up this share of all, but with probability `level`. */
export function samplesToSee(share: number, level: number): number {
  return Math.ceil(Math.log(level) / Math.log1p(-share));
}

/**
 * Fewer samples certify nothing, whatever they say: that all of n lie on one side of a median has probability
 * 2⁻ⁿ by chance alone, which must not exceed the level. Six at level 0.025.
 */
export function fewestSamples(level: number): number {
  return Math.ceil(-Math.log2(level));
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

function percent(share: number): string {
  return `${inShortPoints(share)} %`;
}

/** Rounds up to three digits, because the forecast is no more precise. */
function roundUp(count: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 2);
  return formatInteger(Math.ceil(count / unit) * unit);
}
