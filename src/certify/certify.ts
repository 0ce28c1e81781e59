/**
 * @file Certifies how much worse one network is than another, from labels of the images on which they differ.
 *
 * Both run on the same images. Where they give the same class, the image contributes 0 to the drop of accuracy,
 * whatever its label; only the others are asked about. What is asked, in which order, and how it is judged is fixed
 * before the first answer.
 */
import type { Dataset } from "../data/dataset.ts";
import { type DatasetOptions, datasetOptions } from "../data/options.ts";
import { assert, EspalierError } from "../errors.ts";
import { declare, type Procedure } from "../guard/disagreements/procedure.ts";
import { levelOf } from "../guard/ladder.ts";
import type { SessionOptions } from "../runtime/session.ts";
import type { ModelSource } from "../runtime/values.ts";
import type { Answer } from "./answers.ts";
import { groupImages } from "./groups.ts";
import { type ClassAnswers, predictClasses, type SplitChoice, withoutClasses } from "./predict.ts";
import {
  type Draft,
  draftQuestions,
  type ImageOrder,
  orderOf,
  type Question,
  questionId,
} from "./questions.ts";
import type { CertifyRequest, CertifyState } from "./state.ts";

/** A network, and how samples become its inputs. */
export interface Subject {
  /** Its file, as it was named. */
  readonly path: string;
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly source: ModelSource;
  /** The same samples for both networks, each with its own preprocessing. */
  readonly dataset: Dataset;
}

/** The images, as they were named. */
export interface ImagesNamed {
  readonly path: string;
  /** The options with which the data were opened, besides those that a network's file holds. */
  readonly options: DatasetOptions;
}

/** What is to be certified, and how. */
export interface CertifyOptions extends SessionOptions {
  /** The largest drop of accuracy that is allowed; in (0, 1). */
  readonly maxDrop: number;
  /** Default 0.95. */
  readonly confidence?: number | undefined;
  /** Default `looks`. */
  readonly procedure?: Procedure | undefined;
  /** An answer is right where the label is among so many likeliest classes. Default 1. */
  readonly top?: number | undefined;
  /** Seed of the order of images, of decoys and of suggestions. Default 0. */
  readonly seed?: number | undefined;
  /** Share of all questions that are decoys. Default 0.15; with labels in the data there are none. */
  readonly decoyShare?: number | undefined;
  /** Default: `test` where the data name splits, else all samples. */
  readonly split?: SplitChoice | undefined;
  readonly limit?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly output?: string | undefined;
  /** How images are grouped; see `groupImages`. Default `auto`. */
  readonly groupBy?: string | undefined;
  /** What the certificate says of the data. Default: their path, and no options. */
  readonly images?: ImagesNamed | undefined;
  readonly onPhase?: ((name: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A certification that is ready for answers, and those that the labels of the data give. */
export interface Prepared {
  readonly state: CertifyState;
  readonly answers: readonly Answer[];
}

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
  if (dataset.labelKind === "maps")
    throw new EspalierError("DATA_MISMATCH", `${dataset.path} holds label maps`, {
      hint: withoutClasses,
      data: { file: dataset.path },
    });
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
  const request: CertifyRequest = {
    procedure,
    tolerance: maxDrop,
    level,
    confidence,
    top,
    seed,
    decoyShare,
    networks: { first: fileOf(first), second: fileOf(second) },
    data: {
      path: options.images?.path ?? dataset.path,
      digest: await dataset.digest(),
      split,
      limit: options.limit ?? null,
      isLabelled,
      options: plainOptions(options.images?.options ?? {}),
    },
    output: options.output ?? null,
    classes: { count: ours.count, names: dataset.classNames?.slice() ?? null },
    images: ours.indices.length,
    groupBy: by,
    nearDuplicates,
    groups: grouping === undefined ? null : { by: grouping.by, ids: [...grouping.ids] },
  };
  const state: CertifyState = { version: 1, request, declaration, questions };
  return { state, answers: isLabelled ? answersOf(questions, ours) : [] };
}

/** The order of the images of a certification, from its seed. */
export function orderOfRequest({ images, groups, seed }: CertifyRequest): ImageOrder {
  return orderOf(images, groups === null ? undefined : Int32Array.from(groups.ids), seed);
}

/** The options as JSON keeps them. */
function plainOptions(options: DatasetOptions): CertifyRequest["data"]["options"] {
  return datasetOptions.parse(JSON.parse(JSON.stringify(options)));
}

function fileOf({ path, digest }: Subject): CertifyRequest["networks"]["first"] {
  return { path, digest };
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
