/** @file Opens a folder of samples and serves them in batches, role by role. */
import { createHash } from "node:crypto";
import { EspalierError } from "../errors.ts";
import { digestOfSamples } from "./digest.ts";
import { list } from "./files.ts";
import { type LabelMaps, labelMapsOf, requireLabelsBelow } from "./label-maps.ts";
import { type DatasetOptions, readOptions } from "./options.ts";
import { joinStores } from "./packed.ts";
import { type Preprocessing, preprocessingOf } from "./preprocessing.ts";
import type { Raster } from "./raster.ts";
import { readRaw } from "./recognize.ts";
import {
  type Batch,
  type BatchOptions,
  type Samples,
  type Source,
  serve,
  sourceOf,
} from "./serve.ts";
import { cutRoles, type Role, type SplitSizes } from "./splits.ts";
import {
  type DataFormat,
  invalid,
  type LabelKind,
  labelKindOf,
  type RasterStore,
  type RawData,
  type SampleTable,
  splitNames,
} from "./table.ts";

/** One output of a network, as it is known for each sample. */
export interface Answer {
  readonly output: string;
  /** Numbers for each sample. */
  readonly size: number;
  /**
   * By how much one of them differs from image to image: the root of the mean, over all numbers, of their
   * variances. More than 0.
   */
  readonly spread: number;
}

/** A sample as its file holds it. */
export interface Picture {
  /** Where it lies; several samples may share a file. */
  readonly file: string;
  readonly raster: Raster;
  /** SHA-256 of its stored bytes: the same for the same picture, whatever data set it is part of. */
  readonly digest: string;
  /** Whether it is a plain vector rather than an image. */
  readonly isVector: boolean;
}

/** Samples on disk, with everything that is known about them. */
export interface Dataset {
  /** The folder or file that was opened. */
  readonly path: string;
  readonly format: DataFormat;
  readonly labelKind: LabelKind;
  /** Labels of the kind `outputs`: what a network gives for each sample, in the order in which batches hold it. */
  readonly answers?: readonly Answer[] | undefined;
  /** Height and width of label maps, where these are not as large as the samples. */
  readonly labelSize?: readonly number[] | undefined;
  /** Number of classes; 0 where there are no labels, or label maps and nobody said it. */
  readonly classes: number;
  readonly classNames: readonly string[] | undefined;
  /** The shape of one input: [C, H, W], [H, W, C] or [D]. All samples have it. */
  readonly sampleShape: readonly number[];
  readonly preprocessing: Preprocessing;
  /**
   * The value of label-map pixels that do not count: 255 unless another was said. Maps of 0 and 255 alone
   * are masks of yes and no, whose 255 is served as class 1 unless it was said to be ignored.
   */
  readonly ignoreLabel: number;
  /** `classes`; where nobody said it, all label maps are read, once, for the largest label. */
  countClasses(): Promise<number>;
  /** `DATA_INVALID` with the file of the first label map that holds a label of `classes` or more. */
  requireLabelsBelow(classes: number): Promise<void>;
  /** Number of samples that serve as `role`; 0 where there are none. */
  size(role: Role): number;
  /**
   * The samples of a role, the last batch as small as it must be. Loading runs ahead of the caller.
   * Fails with `DATA_INVALID` at a file that cannot be read, `DATA_NOT_FOUND` for a role without
   * samples, and `ABORTED`.
   */
  batches(role: Role, options: BatchOptions): AsyncIterable<Batch>;
  /** The file that holds a sample's label map, or the sample itself, by its number; for messages. */
  fileOf(index: number): string;
  /** A digest of samples and labels, wherever they lie. Reads every file once more. */
  digest(): Promise<string>;
  /** A sample as its file holds it, before it becomes an input. */
  picture(index: number): Promise<Picture>;
  /** Whether names of files or folders say splits. */
  readonly namesSplits: boolean;
}

/**
 * Opens the data set that lies in a folder (or is one file). What it is, is told by the names there;
 * `dataset.json` beside the data may say how samples become inputs, and `options` win over it.
 * Fails with `DATA_NOT_FOUND`, `DATA_INVALID`, `DATA_MISMATCH` or `USAGE`.
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const listing = await list(path);
  const chosen = await readOptions(listing, options);
  return datasetOf(path, await readRaw(path, listing, chosen.format), chosen);
}

async function datasetOf(path: string, raw: RawData, options: DatasetOptions): Promise<Dataset> {
  const tables = inOrder(raw.tables);
  const samples = samplesOf(path, tables);
  const how = preprocessingOf(options, samples.images.isWhole);
  const ignoreLabel = options.ignoreLabel ?? 255;
  const classes = countClasses(path, samples, options, raw.classes);
  const source = await sourceOf(samples, how, ignoreLabel, classes);
  const { labelMaps: store } = samples;
  const maps = store && labelMapsOf(store, options.ignoreLabel, ignoreLabel);
  const cut = cutRoles(sizesOf(tables), {
    seed: options.splitSeed ?? 0,
    heldOut: options.heldOut ?? false,
  });
  const named = typeof options.classes === "number" ? undefined : options.classes;
  const classNames = named ?? raw.classNames;
  return {
    path,
    format: raw.format,
    labelKind: samples.labelKind,
    classNames,
    classes,
    sampleShape: source.sampleShape,
    preprocessing: how,
    ignoreLabel: source.ignoreLabel,
    size: (role) => cut[role].length,
    batches(role, batchOptions) {
      if (cut[role].length === 0) throw emptyRole(path, role);
      const indices = cut[role].subarray(0, batchOptions.limit);
      return maps === undefined
        ? serve(source, indices, batchOptions)
        : serveWith(source, maps, indices, batchOptions);
    },
    async countClasses() {
      if (maps === undefined || classes > 0) return classes;
      return Math.max(-1, ...(await maps.labels()).keys()) + 1;
    },
    async requireLabelsBelow(most) {
      if (store !== undefined && maps !== undefined) await requireLabelsBelow(store, maps, most);
    },
    fileOf: (index) => (samples.labelMaps ?? samples.images).fileOf(index),
    digest: () => digestOfSamples(tables),
    picture: (index) => pictureOf(samples.images, index),
    namesSplits: tables.some(({ split }) => split !== "none"),
  };
}

async function pictureOf(images: RasterStore, index: number): Promise<Picture> {
  const digest = createHash("sha256")
    .update(await images.bytesOf(index))
    .digest("hex");
  const { isVector } = images;
  return { file: images.fileOf(index), raster: await images.read(index), digest, isVector };
}

/** Serves images with their maps as class indices. */
async function* serveWith(
  source: Source,
  maps: LabelMaps,
  indices: Int32Array,
  options: BatchOptions,
): AsyncGenerator<Batch> {
  const samples = { ...source.samples, labelMaps: await maps.coded() };
  yield* serve({ ...source, samples }, indices, options);
}

function inOrder(tables: readonly SampleTable[]): readonly SampleTable[] {
  return splitNames.flatMap((split) => tables.filter((table) => table.split === split));
}

function samplesOf(path: string, tables: readonly SampleTable[]): Samples {
  const images = joinStores(tables.map((table) => table.images));
  if (images.count === 0)
    throw new EspalierError("DATA_NOT_FOUND", `${path}: the data set holds no samples`);
  const kinds = new Set(tables.map(labelKindOf));
  if (kinds.size > 1) {
    const without = tables.find((table) => table.labels === undefined) ?? tables[0];
    throw invalid(
      without.images.fileOf(0),
      "is not labelled as the other files are",
      "Add its labels, or move it elsewhere.",
    );
  }
  const [labelKind] = kinds;
  const maps = tables.map((table) => table.labelMaps).filter((store) => store !== undefined);
  const labels = tables.map((table) => table.labels).filter((list) => list !== undefined);
  return {
    images,
    labelKind,
    labels: labelKind === "classes" ? concatenate(labels) : undefined,
    labelMaps: labelKind === "maps" ? joinStores(maps) : undefined,
  };
}

function concatenate(lists: readonly Int32Array[]): Int32Array {
  const out = new Int32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    out.set(list, at);
    at += list.length;
  }
  return out;
}

function sizesOf(tables: readonly SampleTable[]): SplitSizes {
  const sizes = { train: 0, val: 0, test: 0, none: 0 };
  for (const { split, images } of tables) sizes[split] += images.count;
  const named = tables.find(({ split }) => split !== "none");
  const unnamed = tables.find(({ split }) => split === "none");
  if (named !== undefined && unnamed !== undefined)
    throw invalid(
      unnamed.images.fileOf(0),
      `names no split, but ${named.images.fileOf(0)} does`,
      "Put train, val or test into all names, or into none.",
    );
  return sizes;
}

function countClasses(
  path: string,
  { labels, images, labelKind }: Samples,
  options: DatasetOptions,
  fixed: number | undefined,
): number {
  if (labelKind === "none") return 0;
  const given = typeof options.classes === "number" ? options.classes : options.classes?.length;
  const declared = given ?? fixed;
  if (labels === undefined) return declared ?? 0;
  let largest = -1;
  for (const [index, label] of labels.entries()) {
    if (label < 0 || (declared !== undefined && label >= declared)) {
      const range = declared === undefined ? "0 or more" : `0 to ${declared - 1}`;
      throw invalid(images.fileOf(index), `has the label ${label}; expected ${range}`);
    }
    largest = Math.max(largest, label);
  }
  if (labels.length !== images.count)
    throw invalid(path, `${labels.length} labels for ${images.count} samples`);
  return declared ?? largest + 1;
}

function emptyRole(path: string, role: Role): EspalierError {
  return new EspalierError("DATA_NOT_FOUND", `${path}: no samples serve as \`${role}\``, {
    hint:
      role === "test"
        ? "Add samples, or name a file test."
        : "Add a train file, or cut all roles from the test file with `heldOut`.",
    data: { path, role },
  });
}
