/**
 * @file Certifies how much worse one network is than another, from labels of the images on which they differ.
 *
 * Both run on the same images. Where they give the same class, the image contributes 0 to the drop of accuracy,
 * whatever its label; only the others are asked about. What is asked, in which order, and how it is judged is fixed
 * before the first answer.
 */
import type { Dataset } from "../data/dataset.ts";
import { assert, EspalierError } from "../errors.ts";
import { declare } from "../guard/disagreements/procedure.ts";
import { levelOf } from "../guard/ladder.ts";
import type { Answer } from "./answers.ts";
import { groupImages } from "./groups.ts";
import { type ClassAnswers, predictClasses } from "./predict.ts";
import { prepareMaps } from "./prepare-maps.ts";
import { type Draft, draftQuestions, orderOf, type Question, questionId } from "./questions.ts";
import { type CertifyOptions, type Prepared, requestOf, type Subject } from "./request.ts";
import type { CertifyState } from "./state.ts";

/**
 * Runs both networks, finds where they differ, and declares how the answers will be judged. Nothing is written. Fails
 * with `DATA_MISMATCH` where outputs tell no classes apart, with `USAGE`, and as the networks and the data.
 */
export async function prepareCertificate(
  first: Subject,
  second: Subject,
  options: CertifyOptions,
): Promise<Prepared> {
  const { seed = 0, top = 1, maxDrop, confidence = 0.95, procedure = "looks" } = options;
  requireSettings(options);
  const { dataset } = first;
  const split = options.split ?? (dataset.namesSplits ? "test" : "all");
  if (dataset.labelKind === "maps") return prepareMaps(first, second, { ...options, split });
  const run = { ...options, split, classes: Math.max(top, 2) };
  options.onPhase?.("running the first network");
  const ours = await predictClasses(first.source, dataset, run);
  options.onPhase?.("running the second network");
  const theirs = await predictClasses(second.source, second.dataset, run);
  requireSameClasses(first, ours, second, theirs, top);
  options.onPhase?.("looking for near-duplicates");
  const files = [...ours.indices].map((index) => dataset.fileOf(index));
  const by = options.groupBy ?? "auto";
  const { grouping, nearDuplicates } = groupImages({ by, files, thumbnails: ours.thumbnails });
  const isLabelled = ours.labels !== undefined;
  const decoyShare = isLabelled ? 0 : (options.decoyShare ?? 0.15);
  const order = orderOf(ours.indices.length, grouping?.ids, seed);
  const drafts = draftQuestions(ours, theirs, order, { top, decoyShare, seed });
  const questions = await withPictures(drafts, dataset);
  options.onPhase?.("declaring the looks");
  const level = levelOf(confidence);
  const declaration = declare({ procedure, tolerance: maxDrop, level }, order.sizes);
  const request = requestOf(first, second, {
    ...options,
    split,
    decoyShare,
    isLabelled,
    digest: await dataset.digest(),
    classes: { count: ours.count, names: dataset.classNames?.slice() ?? null },
    count: ours.indices.length,
    grouping,
    nearDuplicates,
  });
  const state: CertifyState = { version: 1, request, declaration, questions, maps: null };
  return { state, answers: isLabelled ? answersOf(questions, ours) : [] };
}

async function withPictures(
  drafts: readonly Draft[],
  dataset: Dataset,
): Promise<readonly Question[]> {
  const questions: Question[] = [];
  for (const draft of drafts) {
    const { digest } = await dataset.picture(draft.index);
    questions.push({ id: questionId(questions.length), picture: digest, ...draft });
  }
  return questions;
}

/** The labels of the data as answers. */
function answersOf(questions: readonly Question[], { labels }: ClassAnswers): readonly Answer[] {
  assert(labels !== undefined, "labelled samples have labels");
  return questions.map(({ id, position }) => ({
    question: id,
    choice: labels[position],
    labeller: "labels of the data",
    source: "data",
  }));
}

function requireSettings({ maxDrop, top = 1, decoyShare = 0 }: CertifyOptions): void {
  if (!(maxDrop > 0 && maxDrop < 1))
    throw new EspalierError(
      "USAGE",
      `\`maxDrop\` is ${maxDrop}; expected more than 0 and less than 1`,
    );
  if (!(Number.isInteger(top) && top > 0))
    throw new EspalierError("USAGE", `\`top\` is ${top}; expected a whole number of at least 1`);
  if (!(decoyShare >= 0 && decoyShare <= 0.5))
    throw new EspalierError(
      "USAGE",
      `\`decoys\` is ${decoyShare}; expected a share of at most 0.5`,
    );
}

function requireSameClasses(
  first: Subject,
  ours: ClassAnswers,
  second: Subject,
  theirs: ClassAnswers,
  top: number,
): void {
  assert(ours.indices.join() === theirs.indices.join(), "both networks see the same samples");
  if (ours.count !== theirs.count)
    throw new EspalierError(
      "DATA_MISMATCH",
      `${first.path} tells ${ours.count} classes apart, ${second.path} ${theirs.count}`,
      {
        hint: "Compare networks with the same classes.",
        data: { expected: ours.count, got: theirs.count },
      },
    );
  if (top < ours.count) return;
  throw new EspalierError("USAGE", `\`top\` is ${top}, but there are only ${ours.count} classes`, {
    data: { option: "top", value: String(top) },
  });
}
