/** @file The verdict on a claim, from the questions and the answers so far. */
import {
  correctedTolerance,
  type Decoys,
  labellerError,
} from "../guard/disagreements/labellers.ts";
import { type Declaration, type Judgement, judge } from "../guard/disagreements/procedure.ts";
import type { Unit } from "../guard/disagreements/wealth.ts";
import {
  type Answer,
  byQuestion,
  consensus,
  decoysOf,
  type LabellerPair,
  labellerPairs,
  type Outcome,
  outcomeOf,
} from "./answers.ts";
import type { ImageOrder, Question } from "./questions.ts";
import type { MapCounts } from "./state.ts";

/** What the verdict rests on. */
export interface Evidence {
  readonly declaration: Declaration;
  readonly order: ImageOrder;
  readonly questions: readonly Question[];
  readonly answers: readonly Answer[];
  /** Of label maps, what their labels say; `null` where images have one class each. */
  readonly maps: MapCounts | null;
}

/**
 * `certified`; `refused`, where no answer that is still missing could change it; or `open`, where questions that decide
 * it are not answered.
 */
export type CertifyStatus = "certified" | "refused" | "open";

/** The verdict, and the figures behind it. */
export interface Assessment {
  readonly status: CertifyStatus;
  /** With what is not known counted as lost. */
  readonly judgement: Judgement;
  readonly images: number;
  readonly disagreements: number;
  /** Disagreements with an answer, "cannot tell" among them. */
  readonly answered: number;
  readonly lost: number;
  readonly won: number;
  /** Disagreements that were answered by "cannot tell", or by as many people one way as another; they count as lost. */
  readonly cannotTell: number;
  /** Disagreements without an answer; they count as lost. */
  readonly unanswered: number;
  readonly decoys: Decoys;
  /** The share of wrong answers that is allowed for, and the tolerance that is left of the one claimed. */
  readonly error: number;
  readonly tolerance: number;
  /** The certificate stands while at most so many of the answers are wrong, whichever they are. */
  readonly wrongAllowed: number;
  /** The fewest further answers after which it could be certified; `undefined` where it is, or cannot be. */
  readonly fewestMore: number | undefined;
  /** Questions, decoys among them, that are still to be asked. */
  readonly open: readonly string[];
  readonly labellers: readonly LabellerPair[];
}

/** A disagreement at its place. */
interface Case {
  readonly question: Question;
  /** The unit that its image is part of. */
  readonly unit: number;
  readonly isAnswered: boolean;
  readonly outcome: Outcome;
}

/** Judges the answers so far. What is not known counts as lost. */
export function assess(evidence: Evidence): Assessment {
  return evidence.maps === null ? assessClasses(evidence) : assessMaps(evidence, evidence.maps);
}

/** Label maps are judged pixel by pixel, in units of whole images or groups of them; all labels are known. */
function assessMaps({ declaration, order }: Evidence, maps: MapCounts): Assessment {
  const judgement = judge(declaration, unitsOfMaps(order, maps));
  const total = (counts: readonly number[]) => counts.reduce((sum, one) => sum + one, 0);
  const differing = maps.sizes.filter((_, i) => maps.lost[i] + maps.won[i] > 0).length;
  return {
    status: judgement.isCertified ? "certified" : "refused",
    judgement,
    images: maps.sizes.length,
    disagreements: differing,
    answered: differing,
    lost: total(maps.lost),
    won: total(maps.won),
    cannotTell: 0,
    unanswered: 0,
    decoys: { answered: 0, wrong: 0 },
    error: 0,
    tolerance: declaration.tolerance,
    wrongAllowed: 0,
    fewestMore: undefined,
    open: [],
    labellers: [],
  };
}

/** The pixels of each unit of the order. */
export function unitsOfMaps(order: ImageOrder, { sizes, lost, won }: MapCounts): readonly Unit[] {
  const units = order.sizes.map(() => ({ size: 0, lost: 0, won: 0 }));
  for (const [place, position] of order.positions.entries()) {
    const unit = units[order.units[place]];
    unit.size += sizes[position];
    unit.lost += lost[position];
    unit.won += won[position];
  }
  return units;
}

function assessClasses(evidence: Evidence): Assessment {
  const { declaration, order, questions, answers } = evidence;
  const given = byQuestion(answers);
  const unitAt = new Map(
    [...order.positions].map((position, place) => [position, order.units[place]]),
  );
  const cases = questions
    .filter(({ isDecoy }) => !isDecoy)
    .map((question): Case => {
      const own = given.get(question.id) ?? [];
      const outcome = outcomeOf(question, consensus(own));
      const unit = unitAt.get(question.position) ?? 0;
      return { question, unit, isAnswered: own.length > 0, outcome };
    });
  const decoys = decoysOf(questions, given);
  const error = labellerError(decoys);
  const tolerance = correctedTolerance(declaration.tolerance, error);
  const judgeWith = (outcomes: readonly (1 | 0 | -1)[]) =>
    judge(declaration, unitsWith(order.sizes, cases, outcomes), tolerance);
  const worst = cases.map(({ outcome }) => outcome ?? 1);
  const judgement = judgeWith(worst);
  const best = cases.map(({ outcome, isAnswered }) => outcome ?? (isAnswered ? 1 : -1));
  const isOpen = !judgement.isCertified && judgeWith(best).isCertified;
  const status = judgement.isCertified ? "certified" : isOpen ? "open" : "refused";
  const count = (test: (one: Case) => boolean) => cases.filter(test).length;
  return {
    status,
    judgement,
    images: order.positions.length,
    disagreements: cases.length,
    answered: count(({ isAnswered }) => isAnswered),
    lost: count(({ outcome }) => outcome === 1),
    won: count(({ outcome }) => outcome === -1),
    cannotTell: count(({ outcome, isAnswered }) => isAnswered && outcome === undefined),
    unanswered: count(({ isAnswered }) => !isAnswered),
    decoys,
    error,
    tolerance,
    wrongAllowed: judgement.isCertified ? wrongAllowed(cases, worst, judgeWith) : 0,
    fewestMore: isOpen ? fewestMore(cases, worst, judgeWith) : undefined,
    open: questions.filter(({ id }) => !given.has(id)).map(({ id }) => id),
    labellers: labellerPairs(answers),
  };
}

function unitsWith(
  sizes: readonly number[],
  cases: readonly Case[],
  outcomes: readonly (1 | 0 | -1)[],
): readonly Unit[] {
  const lost = new Int32Array(sizes.length);
  const won = new Int32Array(sizes.length);
  for (const [i, { unit }] of cases.entries()) {
    if (outcomes[i] === 1) lost[unit]++;
    if (outcomes[i] === -1) won[unit]++;
  }
  return sizes.map((size, k) => ({ size, lost: lost[k], won: won[k] }));
}

type Judge = (outcomes: readonly (1 | 0 | -1)[]) => Judgement;

/** How many answers may be turned against the second network, the most harmful first, until it is not certified. */
function wrongAllowed(
  cases: readonly Case[],
  outcomes: readonly (1 | 0 | -1)[],
  judgeWith: Judge,
): number {
  const harmful = cases
    .map((_, i) => i)
    .filter((i) => cases[i].outcome !== undefined && cases[i].outcome !== 1)
    .sort((a, b) => outcomes[a] - outcomes[b] || a - b);
  const isCertifiedWith = (wrong: number) => {
    const turned = [...outcomes];
    for (const i of harmful.slice(0, wrong)) turned[i] = 1;
    return judgeWith(turned).isCertified;
  };
  if (isCertifiedWith(harmful.length)) return cases.filter(({ isAnswered }) => isAnswered).length;
  return lastThat(harmful.length, isCertifiedWith);
}

/** How many answers in favour of the second network, in the order of the questions, it takes. */
function fewestMore(
  cases: readonly Case[],
  outcomes: readonly (1 | 0 | -1)[],
  judgeWith: Judge,
): number {
  const missing = cases.map((_, i) => i).filter((i) => !cases[i].isAnswered);
  const isOpenWith = (more: number) => {
    const turned = [...outcomes];
    for (const i of missing.slice(0, more)) turned[i] = -1;
    return !judgeWith(turned).isCertified;
  };
  return lastThat(missing.length, isOpenWith) + 1;
}

/** The largest count below `all` that passes a test which passes at 0, and fails from some count on. */
function lastThat(all: number, isPassed: (count: number) => boolean): number {
  let [low, high] = [0, all];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isPassed(middle)) low = middle;
    else high = middle;
  }
  return low;
}
