/** @file A certification in its folder: begun, answered, reused, and ended with a certificate. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { pngOf } from "../data/picture.ts";
import { EspalierError } from "../errors.ts";
import { systemCode } from "../files/file-error.ts";
import { writeAtomically } from "../files/model-file.ts";
import { readPlainFile } from "../files/plain-file.ts";
import { pictureName, questionTable, readAnswerTable } from "./answer-table.ts";
import { type Answer, type KeptAnswer, reusable } from "./answers.ts";
import { type Certificate, certificateOf } from "./certificate.ts";
import {
  certifyPaths,
  largestCertificate,
  makeFolders,
  readAnswers,
  readState,
  writeAnswers,
  writeJsonFile,
  writeState,
} from "./folder.ts";
import type { Prepared } from "./request.ts";
import type { CertifyRequest, CertifyState } from "./state.ts";

/** A certification and the answers so far. */
export interface Session {
  readonly state: CertifyState;
  readonly answers: readonly Answer[];
}

/**
 * Makes the folder of a certification: its pictures first, `certify.json` last, so that a folder that has it is whole.
 * Fails with `RUN_NOT_EMPTY`, `DATA_MISMATCH` where samples are no pictures, and `FILE_UNREADABLE`.
 */
export async function beginFolder(
  folder: string,
  { state, answers }: Prepared,
  dataset: Dataset,
): Promise<Session> {
  await requireFree(folder);
  await makeFolders(folder);
  const { questions, pictures } = certifyPaths(folder);
  const { classes, data } = state.request;
  if (!data.isLabelled)
    for (const { id, index } of state.questions)
      await writeAtomically(join(pictures, pictureName(id)), [
        await pngOf(await dataset.picture(index)),
      ]);
  const table = questionTable(state.questions, classes.names, classes.count);
  await writeAtomically(questions, [new TextEncoder().encode(table)]);
  await writeAnswers(folder, answers);
  await writeState(folder, state);
  return { state, answers };
}

/** Pictures that a begin which was stopped has left are written again. */
async function requireFree(folder: string): Promise<void> {
  const own = new Set(["pictures", "questions.csv", "answers.json"]);
  const found = await readdir(folder).catch((cause: unknown) => {
    if (systemCode(cause) === "ENOENT") return [];
    throw new EspalierError("FILE_UNREADABLE", `${folder} is no folder`, {
      data: { path: folder },
      cause,
    });
  });
  const others = found.filter((name) => !own.has(name) && !name.endsWith(".tmp"));
  if (others.length === 0) return;
  throw new EspalierError("RUN_NOT_EMPTY", `${folder} is not empty`, {
    hint: "Name a folder that does not exist yet.",
    data: { run: folder },
  });
}

/** The certification in a folder; `undefined` where there is none. Fails with `RUN_INVALID`. */
export async function openFolder(folder: string): Promise<Session | undefined> {
  const state = await readState(folder);
  return state === undefined ? undefined : { state, answers: await readAnswers(folder) };
}

/** What the networks, the data and the claim of a request have in common with another of the same certification. */
export function requireSameRequest(
  folder: string,
  kept: CertifyRequest,
  asked: Partial<CertifyRequest>,
): void {
  const text = (value: unknown) => JSON.stringify(value);
  const others = Object.entries(asked).filter(
    ([key, value]) =>
      value !== undefined &&
      text(value) !== text(Object.entries(kept).find(([own]) => own === key)?.[1]),
  );
  if (others.length === 0) return;
  throw new EspalierError(
    "RUN_NOT_EMPTY",
    `${folder} holds another certification: its ${others.map(([key]) => key).join(", ")} differ`,
    {
      hint: "Name a folder that does not exist yet; its answers can be reused (`reuse`).",
      data: { run: folder },
    },
  );
}

/** Answers with those of a table: a person's later answer takes the place of an earlier one. */
export async function withTable(
  { state, answers }: Session,
  file: string,
  fileOf?: (index: number) => string,
): Promise<Session> {
  const bytes = await readPlainFile(file, largestCertificate);
  if (bytes === undefined)
    throw new EspalierError("FILE_UNREADABLE", `${file}: no such file`, { data: { path: file } });
  const { classes } = state.request;
  const read = readAnswerTable(bytes.toString(), {
    file,
    questions: state.questions,
    names: classes.names,
    classes: classes.count,
    fileOf: fileOf && (({ index }) => fileOf(index)),
  });
  return { state, answers: merged(answers, read) };
}

/** Answers with new ones; those that a person has given before are replaced. */
export function merged(answers: readonly Answer[], added: readonly Answer[]): readonly Answer[] {
  const keyOf = ({ question, labeller }: Answer) => JSON.stringify([question, labeller]);
  const all = new Map(answers.map((answer) => [keyOf(answer), answer]));
  for (const answer of added) {
    all.delete(keyOf(answer));
    all.set(keyOf(answer), answer);
  }
  return [...all.values()];
}

/** A certification with the answers of an earlier one to the same pictures, and how many questions they answer. */
export async function withReused(
  { state, answers }: Session,
  folder: string,
): Promise<Session & { readonly reused: number }> {
  const other = await openFolder(folder);
  if (other === undefined)
    throw new EspalierError("RUN_INVALID", `${folder} holds no certification`, {
      hint: "Give a folder that `certify` made with -o.",
      data: { run: folder },
    });
  const [ours, theirs] = [state.request.classes, other.state.request.classes];
  if (ours.count !== theirs.count || ours.names?.join("\n") !== theirs.names?.join("\n"))
    throw new EspalierError("DATA_MISMATCH", `the answers in ${folder} are to other classes`, {
      data: { expected: ours.count, got: theirs.count },
    });
  const given = new Set(answers.map(({ question }) => question));
  const kept = keptByPicture(other);
  const added = state.questions
    .filter(({ id }) => !given.has(id))
    .flatMap((question) =>
      (kept.get(question.picture) ?? []).flatMap((answer): readonly Answer[] => {
        const choice = reusable(question, answer);
        const { labeller } = answer;
        return choice === undefined
          ? []
          : [{ question: question.id, choice, labeller, source: "reused" }];
      }),
    );
  const reused = new Set(added.map(({ question }) => question)).size;
  return { state, answers: merged(answers, added), reused };
}

function keptByPicture({ state, answers }: Session): ReadonlyMap<string, readonly KeptAnswer[]> {
  const questions = new Map(state.questions.map((question) => [question.id, question]));
  const kept = new Map<string, KeptAnswer[]>();
  for (const { question: id, choice, labeller } of answers) {
    const question = questions.get(id);
    if (question === undefined) continue;
    const { picture, suggestions } = question;
    const own = kept.get(picture) ?? [];
    kept.set(picture, own);
    own.push({ picture, suggestions, choice, labeller });
  }
  return kept;
}

/** Keeps the answers, and the certificate where the verdict is no longer open. */
export async function keep(folder: string, { state, answers }: Session): Promise<Certificate> {
  await writeAnswers(folder, answers);
  const certificate = certificateOf(state, answers);
  if (certificate.verdict.status !== "open")
    await writeJsonFile(certifyPaths(folder).certificate, certificate);
  return certificate;
}
