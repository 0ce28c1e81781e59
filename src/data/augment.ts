/**
 * @file Augmentation: random crops and flips, for a label map as for its image. What happens to a
 * sample depends on seed, epoch and the sample's number alone.
 */
import { EspalierError } from "../errors.ts";
import { type RandomKey, randomOf } from "../tensor/random.ts";
import { cropAt, flipColumns, padWith, type Raster } from "./raster.ts";

/** How samples vary from epoch to epoch. */
export interface Augmentation {
  readonly seed: RandomKey;
  readonly epoch: number;
  /** Adds so many black pixels on every side and cuts out a window of the old size. Default 0. */
  readonly crop?: number | undefined;
  /** Mirrors left and right, half of the time. Default false. */
  readonly flip?: boolean | undefined;
}

/** What happens to one sample. */
export interface Move {
  readonly pad: number;
  /** Where the window begins in the padded image, in [0, 2 pad]. */
  readonly top: number;
  readonly left: number;
  readonly isFlipped: boolean;
}

/** What happens to a sample, by its number; `undefined`: nothing. */
export type Moves = (index: number) => Move | undefined;

/** The moves of an epoch. Fails with `USAGE` for samples that are no images. */
export function augmenterOf(
  { samples }: { readonly samples: { readonly images: { readonly isVector: boolean } } },
  augmentation: Augmentation | undefined,
): Moves {
  const { crop: pad = 0, flip = false } = augmentation ?? {};
  if (augmentation === undefined || (pad === 0 && !flip)) return () => undefined;
  if (!Number.isInteger(pad) || pad < 0)
    throw new EspalierError("USAGE", `crop is ${pad}; expected a whole number of at least 0`);
  if (samples.images.isVector)
    throw new EspalierError("USAGE", "the samples are vectors, which can't be cropped or flipped");
  const random = randomOf(augmentation.seed, "augment", augmentation.epoch);
  return (index) => {
    const own = random.split(index);
    const top = own.integer(2 * pad + 1);
    const left = own.integer(2 * pad + 1);
    return { pad, top, left, isFlipped: flip && own.integer(2) === 1 };
  };
}

/** The image, moved; what comes into view is `fill`. */
export function moveRaster(raster: Raster, move: Move, fill: number): Raster {
  const { height, width } = raster;
  const { pad, top, left, isFlipped } = move;
  const isStill = top === pad && left === pad;
  const window = isStill ? raster : cropAt(padWith(raster, pad, fill), top, left, height, width);
  return isFlipped ? flipColumns(window) : window;
}
