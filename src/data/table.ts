/** @file The result of every reader: the samples of one split, as the files hold them. */
import { EspalierError } from "../errors.ts";
import type { Raster } from "./raster.ts";

/** The split that a file or folder name says; `none` where it says nothing. */
export type SplitName = "train" | "val" | "test" | "none";

/** All split names, in the order in which samples are numbered. */
export const splitNames: readonly SplitName[] = ["train", "val", "test", "none"];

/** Images or label maps that are read one at a time, from memory or from files. */
export interface RasterStore {
  readonly count: number;
  /** True for samples that are plain vectors [D], kept as images of height 1 and width D. */
  readonly isVector: boolean;
  /** Whole-number pixels (0 to 255), or numbers that are taken as they are. */
  readonly isWhole: boolean;
  read(index: number): Raster | Promise<Raster>;
  /** The bytes that hold the sample, as they are stored: equal bytes are equal samples. */
  bytesOf(index: number): Uint8Array | Promise<Uint8Array>;
  /** The file that holds the sample, for messages. */
  fileOf(index: number): string;
}

/**
 * The label of a sample: a class, a map of classes, none, or the outputs of a network for it. Files hold no such
 * outputs.
 */
export type LabelKind = "classes" | "maps" | "none" | "outputs";

/** The samples of one file, pair of files or folder. */
export interface SampleTable {
  readonly split: SplitName;
  readonly images: RasterStore;
  /** [count] class indices. */
  readonly labels: Int32Array | undefined;
  /** One channel each: the class of every pixel. */
  readonly labelMaps: RasterStore | undefined;
}

/** The layouts of files and folders that are read. */
export const dataFormats = [
  "idx",
  "cifar10",
  "cifar100",
  "npz",
  "images-masks",
  "class-folders",
  "images",
] as const;

/** How samples lie in files: one of {@link dataFormats}. */
export type DataFormat = (typeof dataFormats)[number];

/** What a folder holds, before preprocessing and roles. */
export interface RawData {
  readonly format: DataFormat;
  readonly tables: readonly SampleTable[];
  /** Names in the order of the class indices; `undefined` where the files name none. */
  readonly classNames: readonly string[] | undefined;
  /** Number of classes where the format fixes it. */
  readonly classes: number | undefined;
}

const splitWords: ReadonlyMap<string, SplitName> = new Map([
  ["train", "train"],
  ["training", "train"],
  ["val", "val"],
  ["valid", "val"],
  ["validation", "val"],
  ["test", "test"],
  ["testing", "test"],
  ["t10k", "test"],
]);

/** The split that a name says by one of its words: `t10k-images-idx3-ubyte` is `test`. */
export function splitOf(name: string): SplitName {
  for (const word of name.toLowerCase().split(/[^a-z0-9]+/)) {
    const split = splitWords.get(word);
    if (split !== undefined) return split;
  }
  return "none";
}

/** What a table is labelled with. */
export function labelKindOf(table: SampleTable): LabelKind {
  if (table.labels !== undefined) return "classes";
  return table.labelMaps === undefined ? "none" : "maps";
}

/** `DATA_INVALID` that names the file. */
export function invalid(file: string, what: string, hint?: string, cause?: unknown): EspalierError {
  return new EspalierError("DATA_INVALID", `${file}: ${what}`, {
    data: { file },
    hint,
    cause,
  });
}
