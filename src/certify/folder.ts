/**
 * @file The folder of a certification.
 *
 *     certify.json       the claim, and the questions; fixed before the first answer
 *     questions.csv      the questions for a spreadsheet, with an empty column for answers
 *     pictures/          the pictures of the questions
 *     answers.json       the answers so far; written anew, whole, with every answer
 *     certificate.json   the verdict and all that it rests on, once there is one
 *     certificate.html   the same for people
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { fileError } from "../files/file-error.ts";
import { writeAtomically } from "../files/model-file.ts";
import { readPlainFile } from "../files/plain-file.ts";
import type { Answer } from "./answers.ts";
import { answerSchema, type CertifyState, stateSchema } from "./state.ts";

/** Where the parts of a certification lie. */
export function certifyPaths(folder: string) {
  const path = (name: string) => join(folder, name);
  return {
    state: path("certify.json"),
    questions: path("questions.csv"),
    pictures: path("pictures"),
    answers: path("answers.json"),
    certificate: path("certificate.json"),
    html: path("certificate.html"),
    lock: path("lock.json"),
  } as const;
}

/** No file of a certification is larger. */
export const largestCertificate = 2 ** 28;

const answersFile = z.strictObject({
  version: z.literal(1),
  answers: z.array(answerSchema).readonly(),
});

/** The certification in a folder; `undefined` where there is none. Fails with `RUN_INVALID`. */
export async function readState(folder: string): Promise<CertifyState | undefined> {
  return readJson(certifyPaths(folder).state, stateSchema);
}

/** Writes the certification: the last of its files, so that a folder with it is whole. */
export async function writeState(folder: string, state: CertifyState): Promise<void> {
  await writeJsonFile(certifyPaths(folder).state, state);
}

/** The answers so far. Fails with `RUN_INVALID`. */
export async function readAnswers(folder: string): Promise<readonly Answer[]> {
  return (await readJson(certifyPaths(folder).answers, answersFile))?.answers ?? [];
}

/** Keeps the answers: they are all there or all as before, whenever the process ends. */
export async function writeAnswers(folder: string, answers: readonly Answer[]): Promise<void> {
  await writeJsonFile(certifyPaths(folder).answers, { version: 1, answers });
}

/** Makes the folders of a certification. Fails with `FILE_UNREADABLE`. */
export async function makeFolders(folder: string): Promise<void> {
  const { pictures } = certifyPaths(folder);
  await mkdir(pictures, { recursive: true }).catch((cause: unknown) => {
    throw fileError(`make the folder ${pictures}`, pictures, cause);
  });
}

/** Writes a value as JSON; the file appears whole or not at all. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await writeAtomically(path, [new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`)]);
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await readPlainFile(path, largestCertificate);
  if (bytes === undefined) return undefined;
  const parsed = schema.safeParse(jsonOf(bytes.toString()));
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path: at, message }) => `${at.join(".")}: ${message}`);
  throw new EspalierError(
    "RUN_INVALID",
    `${path} cannot be read: ${issues.slice(0, 3).join("; ")}`,
    {
      hint: "It was changed, or written by another version.",
      data: { path, issues },
    },
  );
}

/** What a text holds as JSON; `undefined` where it is none, which no schema takes. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
