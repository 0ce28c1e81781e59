/** @file Answers as they come in from people at a page: kept at once, undone, and judged. */
import { className, mostListed } from "../certify/answer-table.ts";
import type { Answer, Choice } from "../certify/answers.ts";
import { assess } from "../certify/assess.ts";
import type { Certificate } from "../certify/certificate.ts";
import { writeAnswers } from "../certify/folder.ts";
import { orderOfRequest } from "../certify/request.ts";
import { keep, merged, type Session } from "../certify/session.ts";
import { EspalierError } from "../errors.ts";
import { writeCertificateHtml } from "../report/write-certificate.ts";

/** A question as a person sees it: nothing tells which network said what, nor whether it is a decoy. */
export interface ShownQuestion {
  readonly id: string;
  /** What can be chosen beside "another class" and "cannot tell". */
  readonly choices: readonly { readonly value: number; readonly name: string }[];
}

/** Where somebody stands. */
export interface Standing {
  /** Their answers, by question. */
  readonly answers: Readonly<Record<string, Choice>>;
  /** Whether the answers so far decide the verdict. */
  readonly isDecided: boolean;
  /**
   * The fewest answers in all that could decide it. It was known before the first one: a number that changed with
   * the answers would tell which of them help.
   */
  readonly earliest: number;
  /** How far this person agrees with each other one: Cohen's kappa, where it exists. */
  readonly agreement: readonly {
    readonly with: string;
    readonly questions: number;
    readonly kappa: number | null;
  }[];
}

/** What the page needs to know besides a person's standing. */
export interface PageData {
  readonly questions: readonly ShownQuestion[];
  /** The names of all classes, for the search; empty where the choices are all classes. */
  readonly classes: readonly string[];
}

/** The longest name of a labeller. */
const longestName = 60;

/** The answers to one certification. One at a time changes them. */
export class LabelService {
  readonly folder: string;
  readonly #state: Session["state"];
  readonly #earliest: number;
  #answers: readonly Answer[];
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: string, { state, answers }: Session) {
    this.folder = folder;
    this.#state = state;
    this.#answers = answers;
    const order = orderOfRequest(state.request);
    this.#earliest = assess({ ...state, order, answers: [] }).fewestMore ?? 0;
  }

  /** The questions. */
  page(): PageData {
    const { classes } = this.#state.request;
    const all = Array.from({ length: classes.count }, (_, k) => k);
    const isListed = classes.count <= mostListed;
    const named = (values: readonly number[]) =>
      values.map((value) => ({ value, name: className(value, classes.names) }));
    return {
      questions: this.#state.questions.map(({ id, suggestions }) => ({
        id,
        choices: named(isListed ? all : suggestions),
      })),
      classes: isListed ? [] : all.map((k) => className(k, classes.names)),
    };
  }

  /** Whether there is a question of this id. */
  has(id: string): boolean {
    return this.#state.questions.some((question) => question.id === id);
  }

  /** Where somebody stands. */
  standing(labeller: string): Standing {
    const order = orderOfRequest(this.#state.request);
    const found = assess({ ...this.#state, order, answers: this.#answers });
    const own = this.#answers.filter((answer) => answer.labeller === labeller);
    return {
      answers: Object.fromEntries(own.map(({ question, choice }) => [question, choice])),
      isDecided: found.status !== "open",
      earliest: this.#earliest,
      agreement: found.labellers
        .filter(({ first, second }) => first === labeller || second === labeller)
        .map(({ first, second, ...rest }) => ({
          with: first === labeller ? second : first,
          ...rest,
        })),
    };
  }

  /**
   * Keeps an answer, or takes one back where `choice` is undefined. It is on disk when the promise is fulfilled. Fails
   * with `ANSWERS_INVALID`.
   */
  async answer(question: string, labeller: string, choice: Choice | undefined): Promise<Standing> {
    const { count } = this.#state.request.classes;
    const isClass =
      typeof choice !== "number" || (Number.isInteger(choice) && choice >= 0 && choice < count);
    if (!this.has(question) || !isClass)
      throw new EspalierError("ANSWERS_INVALID", `no question ${question} has such an answer`);
    const name = labeller.trim();
    if (name === "" || name.length > longestName)
      throw new EspalierError(
        "ANSWERS_INVALID",
        `a name of 1 to ${longestName} letters, got ${name.length}`,
      );
    const next = this.#last.then(() => this.#change(question, name, choice));
    // The next change waits for this one, whether or not it can be kept.
    this.#last = next.catch(() => undefined);
    await next;
    return this.standing(name);
  }

  async #change(question: string, labeller: string, choice: Choice | undefined): Promise<void> {
    const answers =
      choice === undefined
        ? this.#answers.filter((one) => one.question !== question || one.labeller !== labeller)
        : merged(this.#answers, [{ question, labeller, choice, source: "person" }]);
    await writeAnswers(this.folder, answers);
    this.#answers = answers;
  }

  /** Draws up the certificate, where the answers decide the verdict. */
  async finish(): Promise<Certificate> {
    await this.#last;
    const certificate = await keep(this.folder, { state: this.#state, answers: this.#answers });
    if (certificate.verdict.status !== "open") await writeCertificateHtml(this.folder, certificate);
    return certificate;
  }
}
