/**
 * @file Runs of the pipeline's own search and guard on simulated networks, whose true drops are known.
 *
 * Forty candidates, each smaller than the one before. A sample is a pair of outcomes (original right or
 * wrong, candidate right or wrong), drawn so that candidate k loses a share L(k) of what the original
 * has right and gains G(k): L - G is its true drop, L + G its discordance. Candidates are correlated:
 * the samples that k damages are among those that k + 1 damages, but for a share of `churn`, which
 * every candidate draws anew.
 */

import { largestWithin } from "../../src/compress/rounds/search.ts";
import { climb } from "../../src/guard/guard.ts";
import { type Drop, declareLadder, levelOf, type State, stagesOf } from "../../src/guard/ladder.ts";
import { pairedDifferenceInterval } from "../../src/measure/evaluation/classification.ts";
import { type Random, randomOf } from "../../src/tensor/random.ts";

/** How the true drops of the candidates lie. */
export type Curve = "dense" | "noisy" | "above";

/** One kind of run. */
export interface Scenario {
  readonly curve: Curve;
  readonly maxDrop: number;
  /** Of a candidate at the tolerance; a candidate's discordance is at least its drop. */
  readonly discordance: number;
  /** Share of the damage that each candidate draws anew; 0: all nested. */
  readonly churn: number;
  /** Samples of `certify`; `select` has 0.4 times as many, as in the held-out cut. */
  readonly samples: number;
}

/** What came of many runs. */
export interface Outcome {
  readonly runs: number;
  /** Runs that certified a candidate whose true drop exceeds the tolerance. */
  readonly violations: number;
  /** The same, had the smallest candidate that held on `select` been taken at its word. */
  readonly naiveViolations: number;
  readonly certified: number;
  /** Mean share of the largest removal that the tolerance allows; 0 for a run without a certificate. */
  readonly reach: number;
  /** Tests of `certify` in a run. */
  readonly looks: number;
  /** Tests on `select` in a run. */
  readonly evaluations: number;
}

/** Every combination that is reported. */
export const scenarios: readonly Scenario[] = [500, 5000].flatMap((samples) =>
  [0.01, 0.03].flatMap((maxDrop) =>
    [0, 1].flatMap((churn) =>
      [0.01, 0.03, 0.1].flatMap((discordance) =>
        (["dense", "noisy", "above"] as const).map((curve) => ({
          samples,
          maxDrop,
          churn,
          discordance,
          curve,
        })),
      ),
    ),
  ),
);

/** 5 % of the runs and two standard errors of that: 34 of 500. */
export function mostViolations(runs: number): number {
  return Math.floor(0.05 * runs + 2 * Math.sqrt(0.05 * 0.95 * runs));
}

/** Networks to choose from, besides the original. */
export const candidates = 40;
const confidence = 0.95;
/** A round removes a quarter of what is left at most. */
const perRound = 0.25;

/** Runs all of it `runs` times. */
export async function simulate(scenario: Scenario, runs: number, seed = 0): Promise<Outcome> {
  const { samples, maxDrop } = scenario;
  const results: RunResult[] = [];
  for (let run = 0; run < runs; run++) {
    const random = randomOf(seed, "guard", JSON.stringify(scenario), run);
    const drops = trueDrops(scenario, random.split("drops"));
    const select = role(scenario, drops, Math.round(0.4 * samples), random.split("select"));
    const certify = role(scenario, drops, samples, random.split("certify"));
    const dropOf = (k: number) => select(k, levelOf(confidence)).drop;
    results.push(await guardedRun({ maxDrop, samples, drops, dropOf, select, certify }));
  }
  return summarize(results);
}

/** One run, with all that it needs. */
export interface SimulatedRun {
  readonly maxDrop: number;
  /** Samples of `certify`. */
  readonly samples: number;
  /** True drops of the candidates 0 (the original) to 40. */
  readonly drops: readonly number[];
  readonly select: Role;
  /** The drop of `select` alone, without its bound. */
  readonly dropOf: (k: number) => number;
  readonly certify: Role;
}

/** What came of one run. */
export interface RunResult {
  readonly isCertified: boolean;
  readonly isWrong: boolean;
  readonly isSelectWrong: boolean;
  readonly reach: number;
  readonly looks: number;
  readonly evaluations: number;
}

/** Searches on `select`, declares the ladder, climbs it on `certify`. */
export async function guardedRun(run: SimulatedRun): Promise<RunResult> {
  const { maxDrop, samples, drops, certify } = run;
  const { states, evaluations } = await searchRounds(run);
  const ladder = declareLadder(states, { maxDrop, confidence, samples });
  const look = async ({ k }: Candidate, level: number) => certify(k, level);
  const { certified, looks } = await climb(ladder, { maxDrop, metric: "top1", confidence, look });
  const best = drops.findLastIndex((drop) => drop <= maxDrop);
  const isTooMuch = (state: Candidate | undefined) =>
    state !== undefined && drops[state.k] > maxDrop;
  return {
    isCertified: certified !== undefined,
    isWrong: isTooMuch(certified),
    isSelectWrong: isTooMuch(states.at(-1)),
    reach: certified === undefined || best === 0 ? 0 : Math.min(1, certified.k / best),
    looks: looks.length,
    evaluations,
  };
}

/** Counts and means. */
export function summarize(results: readonly RunResult[]): Outcome {
  const sum = (of: (result: RunResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const runs = results.length;
  return {
    runs,
    violations: sum(({ isWrong }) => (isWrong ? 1 : 0)),
    naiveViolations: sum(({ isSelectWrong }) => (isSelectWrong ? 1 : 0)),
    certified: sum(({ isCertified }) => (isCertified ? 1 : 0)),
    reach: sum(({ reach }) => reach) / runs,
    looks: sum(({ looks }) => looks) / runs,
    evaluations: sum(({ evaluations }) => evaluations) / runs,
  };
}

/** A state that knows which candidate it is. */
interface Candidate extends State {
  readonly k: number;
}

/** Rounds on `select`, each searched for the largest step that holds; the tolerance rises in stages. */
async function searchRounds({ dropOf, select, maxDrop }: SimulatedRun): Promise<{
  readonly states: readonly Candidate[];
  readonly evaluations: number;
}> {
  const level = levelOf(confidence);
  const states: Candidate[] = [];
  let at = 0;
  let evaluations = 0;
  for (const tolerance of stagesOf(maxDrop)) {
    for (let step = Infinity; step > 0; ) {
      const from = at;
      const found = await largestWithin(
        Math.ceil((candidates - from) * perRound),
        async (k) => dropOf(from + k) <= tolerance,
      );
      step = found.k;
      at += step;
      evaluations += found.evaluations.length;
      if (step > 0) states.push({ ...select(at, level), k: at, size: 1 - at / candidates });
    }
  }
  return { states, evaluations };
}

/** Drops of the candidates 0 (the original) to 40, those of `noisy` without their noise. */
export function shapeOf(curve: Curve, maxDrop: number): readonly number[] {
  return Array.from({ length: candidates + 1 }, (_, k) => {
    if (k === 0) return 0;
    if (curve === "above") return maxDrop * (1.001 + (0.1 * k) / candidates);
    // From 0 to twice the tolerance, densest at the tolerance.
    const x = (2 * k) / candidates - 1;
    return maxDrop * (1 + x * Math.abs(x));
  });
}

function trueDrops({ curve, maxDrop }: Scenario, random: Random): readonly number[] {
  const drops = shapeOf(curve, maxDrop);
  if (curve !== "noisy") return drops;
  return drops.map((drop, k) => (k === 0 ? 0 : drop + 0.2 * maxDrop * random.normal()));
}

/** The drop of candidate k on the samples of one role. */
export type Role = (k: number, level: number) => Drop;

function role(scenario: Scenario, drops: readonly number[], samples: number, random: Random): Role {
  const { discordance, maxDrop, churn } = scenario;
  const lossOf = (k: number) => (discordanceOf(k) + drops[k]) / 2;
  const gainOf = (k: number) => (discordanceOf(k) - drops[k]) / 2;
  // Discordance grows with the damage, from half of what it is at the tolerance.
  function discordanceOf(k: number): number {
    const share = 0.5 + (0.5 * Math.max(0, drops[k])) / maxDrop;
    return Math.max(discordance * share, Math.abs(drops[k]));
  }
  const all = drops.map((_, k) => k);
  const mostLost = (1 - churn) * Math.max(...all.map(lossOf));
  const mostGained = (1 - churn) * Math.max(...all.map(gainOf));
  // The samples that any candidate damages or mends, each with how much it takes.
  const losses: number[] = [];
  const gains: number[] = [];
  for (let i = binomial(samples, mostLost + mostGained, random); i > 0; i--) {
    const u = random.uniform() * (mostLost + mostGained);
    if (u < mostLost) losses.push(u);
    else gains.push(u - mostLost);
  }
  const countBelow = (values: readonly number[], limit: number) =>
    values.reduce((count, value) => count + (value < limit ? 1 : 0), 0);

  return (k, level) => {
    let lost = countBelow(losses, (1 - churn) * lossOf(k));
    let gained = countBelow(gains, (1 - churn) * gainOf(k));
    const fresh = random.split("churn", k);
    const rest = 1 - (1 - churn) * discordanceOf(k);
    const moved = binomial(samples - lost - gained, (churn * discordanceOf(k)) / rest, fresh);
    const newlyLost = binomial(moved, lossOf(k) / discordanceOf(k), fresh);
    lost += newlyLost;
    gained += moved - newlyLost;
    const counts = { onlyFirst: gained, onlySecond: lost, samples };
    const [, upper] = pairedDifferenceInterval(counts, 1 - 2 * level);
    return { drop: (lost - gained) / samples, upper, samples };
  };
}

/** Successes in `trials` of probability p: exact, by the gaps between them. */
function binomial(trials: number, p: number, random: Random): number {
  if (p <= 0) return 0;
  if (p >= 1) return trials;
  if (p > 0.5) return trials - binomial(trials, 1 - p, random);
  let count = -1;
  const scale = 1 / Math.log1p(-p);
  for (let at = 0; at <= trials; count++)
    at += 1 + Math.floor(Math.log(1 - random.uniform()) * scale);
  return count;
}
