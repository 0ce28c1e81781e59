/**
 * @file Simulated certificates: images whose true drop is known, people who answer, and the guard's own verdicts.
 *
 * An image is lost, won, or a disagreement on which neither network is right; all others are agreements. Answers come in
 * the order of the images, and stop as soon as the verdict no longer depends on those to come.
 */
import { correctedTolerance, labellerError } from "../../src/guard/disagreements/labellers.ts";
import { type Declaration, declare, judge } from "../../src/guard/disagreements/procedure.ts";
import type { Procedure } from "../../src/guard/disagreements/procedures.ts";
import type { Unit } from "../../src/guard/disagreements/wealth.ts";
import { type Random, randomOf } from "../../src/tensor/random.ts";

/** How a person answers. */
export interface Labeller {
  /** Share of answers that name a wrong class. */
  readonly error: number;
  /** Share of the wrong answers to a lost or won image that name the other network's class. */
  readonly toTheOther: number;
  /** Share of the images on which neither network is right for which one of the two suggestions is taken all the same. */
  readonly takesSuggestions: number;
  /** How often the suggestion taken is that of the second network; 0.5 where their order is random. */
  readonly prefersSecond: number;
  /** Decoys for each disagreement; 0 where answers are taken as right. */
  readonly decoys: number;
}

/** Somebody who is always right, and knows it. */
export const perfectLabeller: Labeller = {
  error: 0,
  toTheOther: 0,
  takesSuggestions: 0,
  prefersSecond: 0.5,
  decoys: 0,
};

/** One kind of certificate. */
export interface CertificateScenario {
  readonly procedure: Procedure;
  readonly samples: number;
  readonly tolerance: number;
  readonly drop: number;
  /** Share of images that are lost or won. */
  readonly discordance: number;
  readonly labeller: Labeller;
}

/** What came of many runs. */
export interface CertificateOutcome {
  readonly runs: number;
  readonly certified: number;
  /** Mean number of answered disagreements, in the first runs. */
  readonly labels: number;
  /** Mean number of disagreements, in the same runs. */
  readonly disagreements: number;
}

/** Disagreements for each discordant pair: on the rest neither network is right. */
const disagreementsPerDiscordance = 1.25;

const equal: Unit = { size: 1, lost: 0, won: 0 };
const lostUnit: Unit = { size: 1, lost: 1, won: 0 };
const wonUnit: Unit = { size: 1, lost: 0, won: 1 };

/** Level of a simulated certificate. */
export const simulatedLevel = 0.025;

/** The rate that `runs` may show where the true one is the level: two standard errors more. */
export function mostFalse(runs: number, level = simulatedLevel): number {
  return level + 2 * Math.sqrt((level * (1 - level)) / runs);
}

const declarations = new Map<string, Declaration>();

/** The declaration of a scenario; its levels are lowered once for all scenarios with the same looks. */
export function declarationOf(
  scenario: Pick<CertificateScenario, "procedure" | "tolerance" | "samples">,
): Declaration {
  const { procedure, tolerance, samples } = scenario;
  const key = [procedure, tolerance, samples].join();
  const known = declarations.get(key);
  if (known !== undefined) return known;
  const sizes = new Array<number>(samples).fill(1);
  const made = declare({ procedure, tolerance, level: simulatedLevel }, sizes);
  declarations.set(key, made);
  return made;
}

/** Runs a scenario; labels are counted in the first `counted` runs, because that takes longest. */
export function simulateCertificates(
  scenario: CertificateScenario,
  runs: number,
  counted: number,
): CertificateOutcome {
  const { samples, tolerance, labeller } = scenario;
  const declaration = declarationOf(scenario);
  let [certified, labels, disagreements] = [0, 0, 0];
  for (let run = 0; run < runs; run++) {
    const random = randomOf("certificates", JSON.stringify(scenario), run);
    const images = drawImages(scenario, random);
    const own = correctedTolerance(tolerance, errorShown(images.at.length, labeller, random));
    const units = new Array<Unit>(samples).fill(equal);
    for (const [k, at] of images.at.entries()) units[at] = images.answers[k];
    if (judge(declaration, units, own).isCertified) certified++;
    if (run >= counted) continue;
    labels += labelsTaken(declaration, images, own);
    disagreements += images.at.length;
  }
  return { runs, certified, labels: labels / counted, disagreements: disagreements / counted };
}

/** The disagreements of one run: their places, and what the labeller makes of them. */
interface Images {
  readonly at: readonly number[];
  readonly answers: readonly Unit[];
}

function drawImages(scenario: CertificateScenario, random: Random): Images {
  const { samples, discordance, drop, labeller } = scenario;
  const lost = (discordance + drop) / 2;
  const won = discordance - lost;
  const all = disagreementsPerDiscordance * discordance;
  const at: number[] = [];
  const answers: Unit[] = [];
  for (let i = nextAt(-1, all, random); i < samples; i = nextAt(i, all, random)) {
    const u = random.uniform() * all;
    const truth = u < lost ? lostUnit : u < lost + won ? wonUnit : equal;
    at.push(i);
    answers.push(answerTo(truth, labeller, random));
  }
  return { at, answers };
}

/** The next success of independent trials. */
function nextAt(at: number, probability: number, random: Random): number {
  if (probability <= 0) return Number.POSITIVE_INFINITY;
  return at + 1 + Math.floor(Math.log(1 - random.uniform()) / Math.log1p(-probability));
}

function answerTo(truth: Unit, labeller: Labeller, random: Random): Unit {
  const { error, toTheOther, takesSuggestions, prefersSecond } = labeller;
  const guess = () => (random.uniform() < prefersSecond ? wonUnit : lostUnit);
  if (truth === equal) return random.uniform() < takesSuggestions ? guess() : equal;
  if (random.uniform() >= error) return truth;
  if (random.uniform() >= toTheOther) return equal;
  return truth === lostUnit ? wonUnit : lostUnit;
}

function errorShown(disagreements: number, { decoys, error }: Labeller, random: Random): number {
  const answered = Math.round(decoys * disagreements);
  let wrong = 0;
  for (let i = 0; i < answered; i++) if (random.uniform() < error) wrong++;
  return labellerError({ answered, wrong });
}

/** Answers until none that is still to come changes the verdict. */
function labelsTaken(declaration: Declaration, { at, answers }: Images, tolerance: number): number {
  const verdictWith = (answered: number, rest: Unit) => {
    const units = new Array<Unit>(declaration.looks.at(-1)?.units ?? lastOf(at)).fill(equal);
    for (const [k, place] of at.entries()) units[place] = k < answered ? answers[k] : rest;
    return judge(declaration, units, tolerance).isCertified;
  };
  const isDecided = (answered: number) =>
    verdictWith(answered, lostUnit) || !verdictWith(answered, wonUnit);
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isDecided(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function lastOf(at: readonly number[]): number {
  return (at.at(-1) ?? 0) + 1;
}

/** How often the best of ten candidates, all of them too lossy, is certified. */
export function simulateSelection(
  options: { readonly samples: number; readonly tolerance: number; readonly discordance: number },
  runs: number,
): { readonly wrong: number; readonly wrongOnSame: number } {
  const { samples, tolerance, discordance } = options;
  const declaration = declarationOf({ procedure: "fixed", tolerance, samples });
  const scenario: CertificateScenario = {
    procedure: "fixed",
    samples,
    tolerance,
    drop: 1.001 * tolerance,
    discordance,
    labeller: perfectLabeller,
  };
  let [wrong, wrongOnSame] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const random = randomOf("selection", JSON.stringify(options), run);
    const unitsOf = () => {
      const units = new Array<Unit>(samples).fill(equal);
      const { at, answers } = drawImages(scenario, random);
      for (const [k, place] of at.entries()) units[place] = answers[k];
      return units;
    };
    const select = Array.from({ length: 10 }, unitsOf);
    const dropOf = (units: readonly Unit[]) =>
      units.reduce((sum, unit) => sum + unit.lost - unit.won, 0);
    const best = select.reduce((a, b) => (dropOf(b) < dropOf(a) ? b : a));
    if (judge(declaration, best).isCertified) wrongOnSame++;
    if (judge(declaration, unitsOf()).isCertified) wrong++;
  }
  return { wrong, wrongOnSame };
}
