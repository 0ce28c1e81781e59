/**
 * @file Whether a drop of accuracy is certified, from what is known of the images on which two networks differ.
 *
 * An image on which both networks give the same class contributes exactly 0 to the paired drop, whatever its label. So
 * n images, with labels for the disagreements alone, give the very counts (lost, won, n) that n labels give, and the
 * same verdict. A disagreement whose label is not known counts as lost.
 */
import { assert } from "../../errors.ts";
import { pairedDifferenceInterval } from "../../measure/evaluation/classification.ts";
import { log } from "../../tensor/elementary.ts";
import { effectiveCounts } from "./clusters.ts";
import { calibrated, type FalseRate, passes } from "./enumeration.ts";
import type { Procedure } from "./procedures.ts";
import { spendingLevels } from "./spending.ts";
import { type Unit, Wealth } from "./wealth.ts";

/** What is to be certified. */
export interface Claim {
  readonly procedure: Procedure;
  /** The largest drop allowed; in (0, 1). */
  readonly tolerance: number;
  /** Probability of a certificate although the drop is larger; in (0, 0.5). */
  readonly level: number;
}

/** A look that is declared beforehand. */
export interface DeclaredLook {
  /** Units at the beginning of the order that it takes in. */
  readonly units: number;
  /** Their images, or pixels. */
  readonly samples: number;
  readonly level: number;
}

/** A claim, and all that is fixed before an answer is known. */
export interface Declaration extends Claim {
  readonly looks: readonly DeclaredLook[];
  /** The size of the largest unit. */
  readonly largestUnit: number;
  /** Images by themselves: the exact rate of false certificates, and how far the levels were lowered for it. */
  readonly exact: (FalseRate & { readonly factor: number }) | null;
}

/** Looks at equal shares. */
const looksOfFive = [0.2, 0.4, 0.6, 0.8, 1] as const;

/** @param sizes Of the units, in their random order. */
export function declare(claim: Claim, sizes: readonly number[]): Declaration {
  const { procedure, tolerance, level } = claim;
  assert(tolerance > 0 && tolerance < 1, `a tolerance in (0, 1), got ${tolerance}`);
  assert(sizes.length > 0, "there are images");
  const largestUnit = sizes.reduce((most, size) => Math.max(most, size), 0);
  if (procedure === "anytime") return { ...claim, looks: [], largestUnit, exact: null };
  const shares = procedure === "fixed" || sizes.length < looksOfFive.length ? [1] : looksOfFive;
  const levels = shares.length === 1 ? [level] : spendingLevels(level, shares);
  const looks = shares.map((share, k) => ({ ...prefixOf(sizes, share), level: levels[k] }));
  if (largestUnit > 1) return { ...claim, looks, largestUnit, exact: null };
  const { plan, falseRate, factor } = calibrated({ tolerance, looks }, level);
  const lowered = looks.map((look, k) => ({ ...look, level: plan.looks[k].level }));
  return { ...claim, looks: lowered, largestUnit, exact: { ...falseRate, factor } };
}

/** The fewest units at the beginning that hold this share of all images. */
function prefixOf(sizes: readonly number[], share: number): Omit<DeclaredLook, "level"> {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let samples = 0;
  let units = 0;
  while (units < sizes.length && (samples === 0 || samples < Math.round(share * total)))
    samples += sizes[units++];
  return { units, samples };
}

/** What a look found. */
export interface LookResult extends DeclaredLook {
  readonly lost: number;
  readonly won: number;
  /** By how much less the samples say than as many independent ones; 1 for images by themselves. */
  readonly designEffect: number;
  readonly drop: number;
  /** The true drop lies above with probability `level`, in this look by itself. */
  readonly upper: number;
  readonly isPassed: boolean;
}

/** What follows from the units. */
export interface Judgement {
  readonly isCertified: boolean;
  readonly looks: readonly LookResult[];
  /** The look that passed; else the last. None in the procedure `anytime`. */
  readonly decisive: LookResult | undefined;
  /** In the procedure `anytime`: the largest wealth on the way, as a logarithm, and the images at which it was reached. */
  readonly wealth: { readonly log: number; readonly samples: number } | undefined;
}

/**
 * Applies a declared procedure to units in the declared order.
 * @param tolerance Another one than that of the declaration: corrected for wrong answers.
 */
export function judge(
  declaration: Declaration,
  units: readonly Unit[],
  tolerance = declaration.tolerance,
): Judgement {
  if (declaration.procedure === "anytime") return judgeWealth(declaration, units, tolerance);
  const looks = declaration.looks.map((look): LookResult => {
    const { samples, level } = look;
    const counts = effectiveCounts(units.slice(0, look.units));
    const { lost, won, effect } = counts;
    const paired = { onlyFirst: won, onlySecond: lost, samples: counts.samples };
    return {
      ...look,
      lost: lost * effect,
      won: won * effect,
      designEffect: effect,
      drop: samples === 0 ? 0 : (lost - won) / counts.samples,
      upper: pairedDifferenceInterval(paired, 1 - 2 * level)[1],
      isPassed: tolerance > 0 && passes(counts, tolerance, level),
    };
  });
  const passed = looks.find(({ isPassed }) => isPassed);
  return {
    isCertified: passed !== undefined,
    looks,
    decisive: passed ?? looks.at(-1),
    wealth: undefined,
  };
}

function judgeWealth(
  { level, largestUnit }: Declaration,
  units: readonly Unit[],
  tolerance: number,
): Judgement {
  const enough = -log(level);
  let best = { log: 0, samples: 0 };
  if (tolerance > 0) {
    const wealth = new Wealth(tolerance, largestUnit);
    let samples = 0;
    for (let i = 0; i < units.length; ) {
      const from = i;
      // Units without a difference only add to the wealth: those of one size are bet on at once.
      while (i < units.length && isEqual(units[i]) && units[i].size === units[from].size) i++;
      const times = Math.max(1, i - from);
      if (i === from) i++;
      wealth.bet(units[from], times);
      samples += times * units[from].size;
      const own = wealth.log;
      if (own > best.log) best = { log: own, samples };
    }
  }
  return { isCertified: best.log >= enough, looks: [], decisive: undefined, wealth: best };
}

function isEqual({ lost, won }: Unit): boolean {
  return lost === 0 && won === 0;
}
