/** @file Questions as a table that people fill in, and tables of answers read back. */
import { basename } from "node:path";
import { EspalierError } from "../errors.ts";
import type { Answer, Choice } from "./answers.ts";
import { parseCsv, writeCsv } from "./csv.ts";
import type { Question } from "./questions.ts";

/** The name of a class for people: its name, else its number. */
export function className(k: number, names: readonly string[] | null): string {
  return names?.[k] ?? String(k);
}

/** Up to so many classes, all are listed; beyond, two are suggested. */
export const mostListed = 20;

/** The file name of a question's picture. */
export function pictureName(id: string): string {
  return `${id}.png`;
}

/** The table to fill in: blind to which network said what, and to which questions are decoys. */
export function questionTable(
  questions: readonly Question[],
  names: readonly string[] | null,
  classes: number,
): string {
  const most = questions.reduce((all, { suggestions }) => Math.max(all, suggestions.length), 0);
  const isListed = classes <= mostListed;
  const heads = Array.from({ length: isListed ? 0 : most }, (_, i) => `suggestion ${i + 1}`);
  return writeCsv([
    ["question", "picture", ...heads, "answer"],
    ...questions.map(({ id, suggestions }) => [
      id,
      `pictures/${pictureName(id)}`,
      ...heads.map((_, i) => (i < suggestions.length ? className(suggestions[i], names) : "")),
      "",
    ]),
  ]);
}

/** What a table of answers is read with. */
export interface AnswerTableOptions {
  /** The file, for messages. */
  readonly file: string;
  readonly questions: readonly Question[];
  readonly names: readonly string[] | null;
  readonly classes: number;
  /** The file of a question's sample: answers may be given by its name instead of the question's. */
  readonly fileOf?: ((question: Question) => string) | undefined;
}

const otherWords = new Set(["other", "another class", "another", "none"]);
const unknownWords = new Set(["unknown", "cannot tell", "?"]);

/**
 * Reads a table with the columns `question` (or `file`) and `answer` (or `label`), and perhaps `labeller`. An answer is
 * a class by name or number, "other" or "unknown"; empty cells are no answers. Fails with `ANSWERS_INVALID`, which lists
 * all rows that cannot be read.
 */
export function readAnswerTable(text: string, options: AnswerTableOptions): readonly Answer[] {
  const { file, questions } = options;
  const [head = [], ...rows] = parseCsv(text);
  const titles = head.map((title) => title.trim().toLowerCase());
  const column = (...wanted: readonly string[]) =>
    titles.findIndex((title) => wanted.includes(title));
  const byId = column("question");
  const byFile = column("file", "image", "picture");
  const answerAt = column("answer", "label", "class");
  const labellerAt = column("labeller", "annotator");
  if (answerAt < 0 || (byId < 0 && byFile < 0))
    throw invalid(file, [
      `has the columns ${head.join(", ")}; expected question (or file) and answer`,
    ]);
  const ids = new Map(questions.map((question) => [question.id, question]));
  const files = filesOf(options);
  const problems: string[] = [];
  const answers: Answer[] = [];
  const seen = new Set<string>();
  for (const [i, row] of rows.entries()) {
    const given = (row[answerAt] ?? "").trim();
    if (given === "") continue;
    const line = `line ${i + 2}`;
    const key = (byId >= 0 ? row[byId] : row[byFile])?.trim() ?? "";
    const question = byId >= 0 ? ids.get(key) : files.get(basename(key));
    if (question === undefined) {
      // A table of labels for all images has more rows than there are questions.
      if (byId >= 0) problems.push(`${line}: there is no question ${key}`);
      continue;
    }
    const choice = choiceOf(given, options);
    const labeller = (labellerAt >= 0 ? row[labellerAt]?.trim() : "") || "table";
    if (choice === undefined) problems.push(`${line}: ${given} is no class`);
    else if (seen.has(`${question.id} ${labeller}`))
      problems.push(`${line}: ${labeller} answers ${question.id} twice`);
    else answers.push({ question: question.id, choice, labeller, source: "person" });
    seen.add(`${question.id} ${labeller}`);
  }
  if (problems.length > 0) throw invalid(file, problems);
  return answers;
}

function filesOf({ questions, fileOf }: AnswerTableOptions): ReadonlyMap<string, Question> {
  const all = new Map(questions.map((question) => [pictureName(question.id), question]));
  if (fileOf === undefined) return all;
  const names = questions.map((question) => basename(fileOf(question)));
  // A file that holds many samples names none of them.
  for (const [i, name] of names.entries())
    if (names.indexOf(name) === names.lastIndexOf(name)) all.set(name, questions[i]);
  return all;
}

function choiceOf(text: string, { names, classes }: AnswerTableOptions): Choice | undefined {
  const named = names?.indexOf(text) ?? -1;
  if (named >= 0) return named;
  const word = text.toLowerCase();
  if (otherWords.has(word)) return "other";
  if (unknownWords.has(word)) return "unknown";
  const number = Number(text);
  return /^\d+$/.test(text) && number < classes ? number : undefined;
}

const mostTold = 8;

function invalid(file: string, problems: readonly string[]): EspalierError {
  const more = problems.length > mostTold ? `; and ${problems.length - mostTold} more` : "";
  return new EspalierError(
    "ANSWERS_INVALID",
    `${file}: ${problems.slice(0, mostTold).join("; ")}${more}`,
    {
      hint: "An answer is a class by name or number, other, or unknown.",
      data: { path: file, issues: problems },
    },
  );
}
