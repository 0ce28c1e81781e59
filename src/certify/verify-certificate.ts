/** @file Whether a certificate follows from what it says it rests on, and this from the networks and the data. */
import { EspalierError } from "../errors.ts";
import { readPlainFile } from "../files/plain-file.ts";
import { declare } from "../guard/disagreements/procedure.ts";
import { levelOf } from "../guard/ladder.ts";
import { unitsOfMaps } from "./assess.ts";
import { type Certificate, certificateOf, certificateSchema, digestOf } from "./certificate.ts";
import { prepareCertificate } from "./certify.ts";
import { jsonOf, largestCertificate } from "./folder.ts";
import { rolesOf } from "./predict.ts";
import { differenceOf, type Question, questionId, shuffledSuggestions } from "./questions.ts";
import { type CertifyOptions, orderOfRequest, type Subject } from "./request.ts";

/** One thing that was looked at. */
export interface CertificateCheck {
  readonly name: string;
  readonly passed: boolean;
  /** What was found wrong, sentence by sentence. */
  readonly problems: readonly string[];
}

/** What the verification came to. */
export interface CertificateVerification {
  readonly passed: boolean;
  readonly checks: readonly CertificateCheck[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
  readonly certificate: Certificate;
}

/** What a certificate is held against, besides itself. */
export interface CertificateSources {
  /** The digest under which the certificate became known. */
  readonly digest?: string | undefined;
  /** The data, as the first network reads them; and both networks, where they are there. */
  readonly data?: Subject["dataset"] | undefined;
  readonly networks?: { readonly first: Subject; readonly second: Subject } | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly threads?: number | undefined;
  readonly onPhase?: CertifyOptions["onPhase"];
  readonly onProgress?: CertifyOptions["onProgress"];
}

/** Reads a certificate. Fails with `CERTIFICATE_INVALID` where a file is none. */
export async function readCertificate(path: string): Promise<Certificate> {
  const bytes = await readPlainFile(path, largestCertificate);
  if (bytes === undefined)
    throw new EspalierError("FILE_UNREADABLE", `${path}: no such file`, { data: { path } });
  const parsed = certificateSchema.safeParse(jsonOf(bytes.toString()));
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path: at, message }) => `${at.join(".")}: ${message}`);
  throw new EspalierError(
    "CERTIFICATE_INVALID",
    `${path} is no certificate: ${issues.slice(0, 3).join("; ")}`,
    {
      data: { path, issues },
    },
  );
}

/**
 * Computes everything again: the declaration from the claim, order and suggestions from the seed, the verdict from the
 * answers; with the data, that the pictures are these, and that labels of the data are the answers; with the networks,
 * the disagreements themselves.
 */
export async function verifyCertificate(
  certificate: Certificate,
  sources: CertificateSources = {},
): Promise<CertificateVerification> {
  const checks = [
    check("digest", digestProblems(certificate, sources.digest)),
    check("claim and looks", claimProblems(certificate)),
    check("questions", questionProblems(certificate)),
    check("answers", answerProblems(certificate)),
  ];
  // What does not hold together cannot be judged.
  if (checks.slice(1).every(({ passed }) => passed))
    checks.push(check("verdict", verdictProblems(certificate)));
  const notes: string[] = [];
  if (sources.data === undefined)
    notes.push("the data were not given: their pictures and labels were not looked at");
  else checks.push(check("data", await dataProblems(certificate, sources.data)));
  if (sources.networks === undefined)
    notes.push(
      "the networks were not run again: their answers are those that the certificate gives",
    );
  else
    checks.push(check("networks", await networkProblems(certificate, sources.networks, sources)));
  return { passed: checks.every(({ passed }) => passed), checks, notes, certificate };
}

function check(name: string, problems: readonly string[]): CertificateCheck {
  return { name, passed: problems.length === 0, problems };
}

function digestProblems(
  { digest, ...content }: Certificate,
  known: string | undefined,
): readonly string[] {
  const problems: string[] = [];
  if (digestOf(content) !== digest)
    problems.push("the certificate was changed after it was drawn up");
  if (known !== undefined && known !== digest)
    problems.push(`its digest is ${digest}, not the one that was given`);
  return problems;
}

function claimProblems({ request, declaration, maps }: Certificate): readonly string[] {
  const problems: string[] = [];
  const { images, groups, classes, top, confidence, level } = request;
  if (!isNear(level, levelOf(confidence)))
    problems.push(`level ${level} is not that of confidence ${confidence}`);
  if (top >= classes.count) problems.push(`top ${top} of ${classes.count} classes`);
  if (classes.names !== null && classes.names.length > classes.count)
    problems.push(`${classes.names.length} names for ${classes.count} classes`);
  if (groups !== null && groups.ids.length !== images)
    return [...problems, `${groups.ids.length} images in groups of ${images}`];
  const { procedure, tolerance } = request;
  if (maps !== null && [maps.sizes, maps.lost, maps.won].some((list) => list.length !== images))
    return [...problems, "its label maps are of other images"];
  const order = orderOfRequest(request);
  const sizes = maps === null ? order.sizes : unitsOfMaps(order, maps).map(({ size }) => size);
  if (sizes.every((size) => size === 0)) return [...problems, "no pixel counts"];
  const again = declare({ procedure, tolerance, level }, sizes);
  return [...problems, ...differences(again, declaration, "declaration")];
}

function questionProblems({ request, questions, maps }: Certificate): readonly string[] {
  if (maps !== null)
    return questions.length === 0 ? mapProblems(maps) : ["label maps leave nothing to ask"];
  const problems: string[] = [];
  const { images, seed, groups } = request;
  if (groups !== null && groups.ids.length !== images) return ["groups of other images"];
  const places = new Map(
    [...orderOfRequest(request).positions].map((position, place) => [position, place]),
  );
  let before = -1;
  for (const [k, question] of questions.entries()) {
    const { id, position, index } = question;
    const place = places.get(position) ?? -1;
    if (id !== questionId(k)) problems.push(`${id} stands in the place of ${questionId(k)}`);
    if (place <= before) problems.push(`${id} is not in the order of the seed`);
    before = place;
    problems.push(...classProblems(question, request));
    const shown = question.isDecoy
      ? question.suggestions
      : differenceOf(question.first, question.second);
    if (shuffledSuggestions(shown, index, seed).join() !== question.suggestions.join())
      problems.push(`${id} suggests other classes, or in another order, than the seed gives`);
  }
  if (new Set(questions.map(({ index }) => index)).size !== questions.length)
    problems.push("a sample is asked about twice");
  const decoys = questions.filter(({ isDecoy }) => isDecoy).length;
  const disagreements = questions.length - decoys;
  const { decoyShare } = request;
  const wanted = Math.round((disagreements * decoyShare) / (1 - decoyShare));
  if (decoys !== Math.min(wanted, images - disagreements))
    problems.push(`${decoys} decoys for ${disagreements} disagreements; expected ${wanted}`);
  return problems;
}

function mapProblems({ sizes, lost, won }: NonNullable<Certificate["maps"]>): readonly string[] {
  const isPossible = sizes.every((size, i) => lost[i] + won[i] <= size && lost[i] * won[i] === 0);
  return isPossible ? [] : ["an image has more pixels lost and won than it has"];
}

function classProblems(
  { id, first, second, suggestions, isDecoy }: Question,
  { classes, top }: Certificate["request"],
): readonly string[] {
  const problems: string[] = [];
  for (const list of [first, second, suggestions]) {
    if (list.some((k) => k >= classes.count) || new Set(list).size !== list.length)
      problems.push(`${id} names classes that there are not, or one twice`);
  }
  if (first.length !== top || second.length !== top)
    problems.push(`${id} is not about the top ${top}`);
  if ((first.join() === second.join()) !== isDecoy)
    problems.push(isDecoy ? `${id} is no decoy: the networks differ` : `${id} is no disagreement`);
  if (isDecoy && !suggestions.some((k) => first.includes(k)))
    problems.push(`${id} does not suggest what the networks say`);
  return problems;
}

function answerProblems({ request, questions, answers }: Certificate): readonly string[] {
  const problems: string[] = [];
  const ids = new Set(questions.map(({ id }) => id));
  const seen = new Set<string>();
  for (const { question, choice, labeller, source } of answers) {
    if (!ids.has(question)) problems.push(`there is no question ${question}`);
    const key = JSON.stringify([question, labeller]);
    if (seen.has(key)) problems.push(`${labeller} answers ${question} twice`);
    seen.add(key);
    if (typeof choice === "number" && choice >= request.classes.count)
      problems.push(`${question} is answered by class ${choice}, which there is not`);
    if ((source === "data") !== request.data.isLabelled)
      problems.push(`${question} is answered by ${source}, which the data speak against`);
  }
  if (request.data.isLabelled && answers.length !== questions.length)
    problems.push(`${answers.length} labels of the data for ${questions.length} questions`);
  return problems;
}

function verdictProblems(certificate: Certificate): readonly string[] {
  const { request, declaration, questions, answers, verdict, words, maps } = certificate;
  const again = certificateOf({ version: 1, request, declaration, questions, maps }, answers);
  return [
    ...differences(again.verdict, verdict, "verdict"),
    ...(again.words.join("\n") === words.join("\n") ? [] : ["its sentences say something else"]),
  ];
}

async function dataProblems(
  { request, questions, answers }: Certificate,
  data: Subject["dataset"],
): Promise<readonly string[]> {
  const problems: string[] = [];
  const { digest, split, limit, isLabelled } = request.data;
  if ((await data.digest()) !== digest) problems.push("the data are others");
  const total = rolesOf(data, split).reduce((sum, role) => sum + data.size(role), 0);
  if (Math.min(total, limit ?? total) !== request.images)
    problems.push(`${Math.min(total, limit ?? total)} images, not ${request.images}`);
  if (isLabelled !== (data.labelKind !== "none")) problems.push("the data are labelled otherwise");
  if (problems.length > 0) return problems;
  const indices: number[] = [];
  const labels = new Map<number, number>();
  for (const role of rolesOf(data, split))
    for await (const batch of data.batches(role, { batchSize: 256 }))
      for (const [i, index] of batch.indices.entries()) {
        indices.push(index);
        if (batch.labels !== undefined) labels.set(index, batch.labels[i]);
      }
  const choices = new Map(answers.map(({ question, choice }) => [question, choice]));
  for (const { id, index, position, picture } of questions) {
    if (indices[position] !== index) problems.push(`${id} is about another sample`);
    else if ((await data.picture(index)).digest !== picture)
      problems.push(`${id} has another picture`);
    if (isLabelled && choices.get(id) !== labels.get(index))
      problems.push(`${id} has another label`);
  }
  return problems;
}

async function networkProblems(
  { request, declaration, questions, maps }: Certificate,
  { first, second }: { readonly first: Subject; readonly second: Subject },
  run: CertificateSources,
): Promise<readonly string[]> {
  const { tolerance, confidence, procedure, top, seed, decoyShare, data, output, groupBy } =
    request;
  if (
    first.digest !== request.networks.first.digest ||
    second.digest !== request.networks.second.digest
  )
    return ["the networks are others"];
  const { state } = await prepareCertificate(first, second, {
    maxDrop: tolerance,
    confidence,
    procedure,
    top,
    seed,
    decoyShare,
    split: data.split,
    limit: data.limit ?? undefined,
    output: output ?? undefined,
    groupBy,
    signal: run.signal,
    threads: run.threads,
    onPhase: run.onPhase,
    onProgress: run.onProgress,
  });
  const problems = [
    ...differences(state.declaration, declaration, "declaration"),
    ...differences(state.questions, questions, "questions"),
    ...differences(state.maps, maps, "label maps"),
    ...differences(state.request.groups, request.groups, "groups"),
    ...differences(state.request.nearDuplicates, request.nearDuplicates, "near-duplicates"),
  ];
  return problems.slice(0, mostTold);
}

const mostTold = 8;

/** Where two values differ, as a sentence for each place. Numbers may differ by what rounding does. */
function differences(expected: unknown, got: unknown, at: string): readonly string[] {
  if (typeof expected === "number" && typeof got === "number")
    return isNear(expected, got) ? [] : [`${at} is ${got}; expected ${expected}`];
  if (!isObject(expected) || !isObject(got))
    return expected === got
      ? []
      : [`${at} is ${JSON.stringify(got)}; expected ${JSON.stringify(expected)}`];
  const [ours, theirs] = [new Map(Object.entries(expected)), new Map(Object.entries(got))];
  return [...new Set([...ours.keys(), ...theirs.keys()])].flatMap((key) =>
    differences(ours.get(key), theirs.get(key), `${at}.${key}`),
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(1e-6, Math.abs(a), Math.abs(b));
}
