/** @file Answers to questions: what they say of an image, what several people say together, and when one can be reused. */
import { cohensKappa, type Decoys } from "../guard/disagreements/labellers.ts";
import type { Question } from "./questions.ts";

/** A class, "another class" than those that were suggested, or "cannot tell". */
export type Choice = number | "other" | "unknown";

/** Where an answer comes from: a label of the data set, a person, or an answer to an earlier certificate. */
export const answerSources = ["data", "person", "reused"] as const;

/** An answer by one person, or by the labels of the data. */
export interface Answer {
  /** The id of the question. */
  readonly question: string;
  readonly choice: Choice;
  readonly labeller: string;
  readonly source: (typeof answerSources)[number];
}

/** Lost, equal or won; `undefined` where nobody knows. */
export type Outcome = 1 | 0 | -1 | undefined;

/** What several people say together: what most say; nothing where as many say something else. */
export function consensus(answers: readonly Answer[]): Choice | undefined {
  const votes = new Map<Choice, number>();
  for (const { choice } of answers) votes.set(choice, (votes.get(choice) ?? 0) + 1);
  const [best, next] = [...votes].sort((a, b) => b[1] - a[1]);
  if (best === undefined) return undefined;
  return next !== undefined && next[1] === best[1] ? "unknown" : best[0];
}

/** The outcome of a disagreement under a choice. */
export function outcomeOf({ first, second }: Question, choice: Choice | undefined): Outcome {
  if (choice === undefined || choice === "unknown") return undefined;
  if (choice === "other") return 0;
  const [isFirst, isSecond] = [first.includes(choice), second.includes(choice)];
  return isFirst === isSecond ? 0 : isFirst ? 1 : -1;
}

/** Answers by question. */
export function byQuestion(answers: readonly Answer[]): ReadonlyMap<string, readonly Answer[]> {
  const found = new Map<string, Answer[]>();
  for (const answer of answers) {
    const own = found.get(answer.question);
    if (own === undefined) found.set(answer.question, [answer]);
    else own.push(answer);
  }
  return found;
}

/** What people made of the decoys. "Cannot tell" is no answer. */
export function decoysOf(
  questions: readonly Question[],
  answers: ReadonlyMap<string, readonly Answer[]>,
): Decoys {
  let [answered, wrong] = [0, 0];
  for (const { id, isDecoy, first } of questions) {
    if (!isDecoy) continue;
    for (const { choice, source } of answers.get(id) ?? []) {
      if (choice === "unknown" || source === "data") continue;
      answered++;
      if (choice === "other" || !first.includes(choice)) wrong++;
    }
  }
  return { answered, wrong };
}

/** How far two people agree on the questions that both have answered. */
export interface LabellerPair {
  readonly first: string;
  readonly second: string;
  readonly questions: number;
  /** Cohen's kappa; `null` where it does not exist. */
  readonly kappa: number | null;
}

/** All pairs of people with questions in common. */
export function labellerPairs(answers: readonly Answer[]): readonly LabellerPair[] {
  const people = [...new Set(answers.filter(isByPerson).map(({ labeller }) => labeller))].sort();
  const choices = new Map(
    people.map((name) => [
      name,
      new Map(
        answers
          .filter(({ labeller }) => labeller === name)
          .map(({ question, choice }) => [question, String(choice)]),
      ),
    ]),
  );
  return people.flatMap((first, i) =>
    people.slice(i + 1).flatMap((second) => {
      const [ours, theirs] = [choices.get(first), choices.get(second)];
      const both = [...(ours ?? [])].flatMap(([question, own]) => {
        const other = theirs?.get(question);
        return other === undefined ? [] : [[own, other] as const];
      });
      if (both.length === 0) return [];
      const kappa = cohensKappa(
        both.map(([own]) => own),
        both.map(([, other]) => other),
      );
      return [{ first, second, questions: both.length, kappa: kappa ?? null }];
    }),
  );
}

function isByPerson({ source }: Answer): boolean {
  return source !== "data";
}

/** An answer as it is kept: it belongs to the picture and what was suggested, not to a certificate. */
export interface KeptAnswer {
  readonly picture: string;
  readonly suggestions: readonly number[];
  readonly choice: Choice;
  readonly labeller: string;
}

/**
 * The answer that an earlier one gives to a question about the same picture, if any. A class answers every question;
 * "another class" answers those that suggest no others; "cannot tell" answers none.
 */
export function reusable(question: Question, kept: KeptAnswer): Choice | undefined {
  if (question.picture !== kept.picture) return undefined;
  if (typeof kept.choice === "number") return kept.choice;
  if (kept.choice === "unknown") return undefined;
  const isSame = question.suggestions.every((k) => kept.suggestions.includes(k));
  return isSame ? "other" : undefined;
}
