/** @file What is asked: two networks, the images, the claim, as a certificate keeps it. */
import type { Dataset } from "../data/dataset.ts";
import { type DatasetOptions, datasetOptions } from "../data/options.ts";
import type { SplitChoice } from "../data/splits.ts";
import type { Procedure } from "../guard/disagreements/procedures.ts";
import { levelOf } from "../guard/ladder.ts";
import type { SessionOptions } from "../runtime/session.ts";
import type { ModelSource } from "../runtime/values.ts";
import type { Answer } from "./answers.ts";
import type { Grouping } from "./groups.ts";
import { type ImageOrder, orderOf } from "./questions.ts";
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

/** What is asked and how, with what was found out about the images. */
export interface RequestFacts extends CertifyOptions {
  readonly split: SplitChoice;
  readonly decoyShare: number;
  readonly isLabelled: boolean;
  /** Of the data. */
  readonly digest: string;
  readonly classes: CertifyRequest["classes"];
  /** Images. */
  readonly count: number;
  readonly grouping: Grouping | undefined;
  readonly nearDuplicates: number;
}

/** The request of a certification. */
export function requestOf(first: Subject, second: Subject, facts: RequestFacts): CertifyRequest {
  const { confidence = 0.95, grouping, images, split, isLabelled, digest } = facts;
  return {
    procedure: facts.procedure ?? "looks",
    tolerance: facts.maxDrop,
    level: levelOf(confidence),
    confidence,
    top: facts.top ?? 1,
    seed: facts.seed ?? 0,
    decoyShare: facts.decoyShare,
    networks: { first: fileOf(first), second: fileOf(second) },
    data: {
      path: images?.path ?? first.dataset.path,
      digest,
      split,
      limit: facts.limit ?? null,
      isLabelled,
      options: plainOptions(images?.options ?? {}),
    },
    output: facts.output ?? null,
    classes: facts.classes,
    images: facts.count,
    groupBy: facts.groupBy ?? "auto",
    nearDuplicates: facts.nearDuplicates,
    groups: grouping === undefined ? null : { by: grouping.by, ids: [...grouping.ids] },
  };
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
