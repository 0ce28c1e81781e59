/** @file Serves samples in batches, loading ahead of whoever asks for them. */
import { setImmediate } from "node:timers/promises";
import { EspalierError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../tensor/random.ts";
import { type Augmentation, augmenterOf, type Move, type Moves, moveRaster } from "./augment.ts";
import { strangeLabel } from "./label-maps.ts";
import {
  arrangeImage,
  arrangeMap,
  type Normalizer,
  normalizerOf,
  type Preprocessing,
} from "./preprocessing.ts";
import type { Raster } from "./raster.ts";
import { invalid, type LabelKind, type RasterStore } from "./table.ts";

/** Some samples, ready to be fed. */
export interface Batch {
  /** float32 [N, C, H, W], [N, H, W, C] for `nhwc`, or [N, D] for vectors. */
  readonly input: HostTensor & { readonly data: Float32Array };
  /** [N] class indices; `undefined` where the samples have none. */
  readonly labels: Int32Array | undefined;
  /** int32 [N, H, W], the class of every pixel; `undefined` where the samples have none. */
  readonly labelMaps: (HostTensor & { readonly data: Int32Array }) | undefined;
  /** float32 [N, numbers] that a network gave for each sample: see `Dataset.answers`. */
  readonly outputs?: (HostTensor & { readonly data: Float32Array }) | undefined;
  /** [N] the numbers of the samples in the data set: the same sample has the same number in every run. */
  readonly indices: Int32Array;
}

/** Which batches to serve. */
export interface BatchOptions {
  readonly batchSize: number;
  /** How many samples of the role are served, the first ones. Default: all. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Batches that are loaded before they are asked for. Default 2. */
  readonly ahead?: number | undefined;
  /** Serves the samples in random order: another one for each epoch of a seed. Default: in order. */
  readonly shuffle?: { readonly seed: RandomKey; readonly epoch: number } | undefined;
  readonly augment?: Augmentation | undefined;
  /** Samples at the beginning that are left out, as if they had been served. Default 0. */
  readonly skip?: number | undefined;
  /** Serves no more samples than these, the first in the order. */
  readonly most?: number | undefined;
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropsLast?: boolean | undefined;
}

/** All samples of the data set, numbered through. */
export interface Samples {
  readonly images: RasterStore;
  readonly labelKind: LabelKind;
  readonly labels: Int32Array | undefined;
  readonly labelMaps: RasterStore | undefined;
}

/** Turns samples into inputs. */
export interface Source {
  readonly samples: Samples;
  readonly how: Preprocessing;
  readonly sampleShape: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly normalizer: Normalizer;
  readonly ignoreLabel: number;
  /** Number of classes, below which labels of maps must lie; 0 where nobody said it. */
  readonly classes: number;
}

/** A source over samples. The first sample says what shape all must have. */
export async function sourceOf(
  samples: Samples,
  how: Preprocessing,
  ignoreLabel: number,
  classes: number,
): Promise<Source> {
  const { images } = samples;
  const first = arrangeImage(await images.read(0), how, images.fileOf(0));
  const { height, width, channels } = first;
  const sampleShape = images.isVector
    ? [width]
    : how.layout === "nchw"
      ? [channels, height, width]
      : [height, width, channels];
  const normalizer = normalizerOf(how, channels);
  return {
    samples,
    how,
    sampleShape,
    height,
    width,
    channels,
    normalizer,
    ignoreLabel,
    classes,
  };
}

/** The samples at `all`, batch by batch, `ahead` batches in advance. */
export async function* serve(
  source: Source,
  all: Int32Array,
  {
    batchSize,
    signal,
    ahead = 2,
    shuffle,
    augment,
    skip = 0,
    most,
    dropsLast = false,
  }: BatchOptions,
): AsyncGenerator<Batch> {
  const order = shuffle === undefined ? all : shuffled(all, shuffle.seed, shuffle.epoch);
  const indices = order.subarray(0, most);
  const moves = augmenterOf(source, augment);
  const pending: Promise<Batch>[] = [];
  let next = skip;
  const start = () => {
    const last = dropsLast ? next + batchSize : next + 1;
    if (last > indices.length || signal?.aborted) return;
    const batch = load(source, indices.slice(next, next + batchSize), moves);
    // Awaited later; until then its failure must not count as unhandled.
    batch.catch(() => undefined);
    pending.push(batch);
    next += batchSize;
  };
  for (let i = 0; i < Math.max(1, ahead); i++) start();
  for (let batch = pending.shift(); batch !== undefined; batch = pending.shift()) {
    const loaded = await batch;
    if (signal?.aborted) throw new EspalierError("ABORTED", "stopped while reading samples");
    start();
    yield loaded;
  }
  if (signal?.aborted) throw new EspalierError("ABORTED", "stopped while reading samples");
}

/** Enough to keep the decoder's threads busy, few enough to bound what is decoded but not yet stored. */
const lanes = 8;

function shuffled(all: Int32Array, seed: RandomKey, epoch: number): Int32Array {
  const order = randomOf(seed, "order", epoch).permutation(all.length);
  return order.map((position) => all[position]);
}

async function load(source: Source, indices: Int32Array, moves: Moves): Promise<Batch> {
  // Converting bytes is synchronous: first let the caller hand the batch before this one to onnxruntime.
  await setImmediate();
  const { samples, sampleShape, height, width } = source;
  const { labels, labelMaps } = samples;
  requireBatch(indices.length, sampleShape);
  const input = new Float32Array(indices.length * sizeOf(sampleShape));
  const maps =
    labelMaps === undefined ? undefined : new Int32Array(indices.length * height * width);
  let next = 0;
  const lane = async () => {
    while (next < indices.length) {
      const i = next++;
      const reading = samples.images.read(indices[i]);
      const image = reading instanceof Promise ? await reading : reading;
      const move = moves(indices[i]);
      writeImage(source, image, indices[i], input, i, move);
      if (labelMaps !== undefined && maps !== undefined) {
        const readingMap = labelMaps.read(indices[i]);
        const map = readingMap instanceof Promise ? await readingMap : readingMap;
        if (map.height !== image.height || map.width !== image.width)
          throw otherSize(labelMaps.fileOf(indices[i]), map, image);
        writeMap(source, labelMaps, map, indices[i], maps, i, move);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const count = indices.length;
  return {
    input: { dtype: "float32", shape: [count, ...sampleShape], data: input },
    labels: labels === undefined ? undefined : Int32Array.from(indices, (index) => labels[index]),
    labelMaps:
      maps === undefined
        ? undefined
        : { dtype: "int32", shape: [count, height, width], data: maps },
    indices,
  };
}

/** Elements of one batch of inputs: 2 GiB of float32. */
const mostBatchElements = 2 ** 29;

function requireBatch(samples: number, sampleShape: readonly number[]): void {
  if (samples * sizeOf(sampleShape) <= mostBatchElements) return;
  throw new EspalierError(
    "DATA_MISMATCH",
    `a batch of ${samples} samples [${sampleShape.join(", ")}] has more than ${mostBatchElements} elements`,
    { hint: "Take smaller batches or smaller images.", data: { samples, sampleShape } },
  );
}

function otherSize(file: string, map: Raster, image: Raster): EspalierError {
  return invalid(file, `is ${map.width}x${map.height}, its image ${image.width}x${image.height}`);
}

function writeImage(
  source: Source,
  raster: Raster,
  index: number,
  out: Float32Array,
  position: number,
  move: Move | undefined,
): void {
  const { samples, how, height, width, channels, normalizer } = source;
  const file = samples.images.fileOf(index);
  const image = arrangeImage(raster, how, file);
  if (image.height !== height || image.width !== width || image.channels !== channels)
    throw new EspalierError(
      "DATA_MISMATCH",
      `${file} is ${image.width}x${image.height}x${image.channels}, ` +
        `${samples.images.fileOf(0)} ${width}x${height}x${channels}`,
      {
        hint: "Bring all images to one size: `resize`.",
        data: { file, expected: [width, height, channels] },
      },
    );
  const moved = move === undefined ? image : moveRaster(image, move, 0);
  normalizer.write(moved, out, position * height * width * channels);
}

function writeMap(
  source: Source,
  store: RasterStore,
  raster: Raster,
  index: number,
  out: Int32Array,
  position: number,
  move: Move | undefined,
): void {
  const { how, height, width, ignoreLabel, classes } = source;
  const file = store.fileOf(index);
  const arranged = arrangeMap(raster, how, file, ignoreLabel);
  const map = move === undefined ? arranged : moveRaster(arranged, move, ignoreLabel);
  let to = position * height * width;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const label = map.data[map.offset + y * map.rowStride + x * map.columnStride];
      if (classes > 0 && (label < 0 || label >= classes) && label !== ignoreLabel)
        throw strangeLabel(file, label, classes);
      out[to++] = label;
    }
}
