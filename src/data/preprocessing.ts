/**
 * @file How a sample becomes an input: pad, resize, crop, colours, then (scale * x - mean) / std,
 * in the layout that the network wants.
 */
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import {
  cropCenter,
  padWith,
  type Raster,
  repeatChannel,
  reverseChannels,
  toGrey,
} from "./raster.ts";
import { resizeBilinear, resizeNearest } from "./resize.ts";

/** Width and height in pixels, in this order, as in `--resize 320x240`. */
export type ImageSize = readonly [width: number, height: number];

/** Every choice between a sample and an input. All are optional: {@link preprocessingOf} completes them. */
export interface PreprocessingOptions {
  /** Default: 1/255 for whole-number pixels, 1 for samples that are stored as floating point. */
  readonly scale?: number | undefined;
  /** One number, or one per channel in the network's channel order. Default 0. */
  readonly mean?: readonly number[] | undefined;
  /** One number, or one per channel in the network's channel order. Default 1. */
  readonly std?: readonly number[] | undefined;
  /** Default `nchw`. */
  readonly layout?: "nchw" | "nhwc" | undefined;
  /** Default: as stored (RGB or grey). `rgb` and `bgr` repeat grey three times. */
  readonly color?: "rgb" | "bgr" | "gray" | undefined;
  /** A size, or the length of the shorter side (the other follows). Bilinear, as Pillow does. */
  readonly resize?: ImageSize | number | undefined;
  /** The size of the window that is cut out of the middle, after resizing. */
  readonly crop?: ImageSize | undefined;
  /** Black pixels added on every side before anything else. Default 0. */
  readonly pad?: number | undefined;
}

const channelValues = z.union([
  z.number().transform((value) => [value]),
  z.array(z.number()).min(1),
]);
const imageSize = z.tuple([z.int().positive(), z.int().positive()]).or(
  z
    .string()
    .regex(/^\d+x\d+$/, "expected WIDTHxHEIGHT")
    .transform((text): [number, number] => {
      const [width, height] = text.split("x").map(Number);
      return [width, height];
    }),
);

/** The border at which options of the user, and of `dataset.json`, are checked. */
export const preprocessingFields = {
  scale: z.number().optional(),
  mean: channelValues.optional(),
  std: channelValues.refine((values) => values.every((v) => v !== 0), "must not be 0").optional(),
  layout: z.enum(["nchw", "nhwc"]).optional(),
  color: z.enum(["rgb", "bgr", "gray"]).optional(),
  resize: imageSize.or(z.int().positive()).optional(),
  crop: imageSize.optional(),
  pad: z.int().nonnegative().optional(),
};

/** The options, complete. */
export interface Preprocessing {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly layout: "nchw" | "nhwc";
  readonly color: "rgb" | "bgr" | "gray" | undefined;
  readonly resize: ImageSize | number | undefined;
  readonly crop: ImageSize | undefined;
  readonly pad: number;
}

/** Fills in the defaults. `isWhole` says whether the samples are stored as whole numbers. */
export function preprocessingOf(options: PreprocessingOptions, isWhole: boolean): Preprocessing {
  return {
    scale: options.scale ?? (isWhole ? 1 / 255 : 1),
    mean: options.mean ?? [0],
    std: options.std ?? [1],
    layout: options.layout ?? "nchw",
    color: options.color,
    resize: options.resize,
    crop: options.crop,
    pad: options.pad ?? 0,
  };
}

/** The image after everything that moves pixels or colours. `file` is for messages. */
export function arrangeImage(raster: Raster, how: Preprocessing, file: string): Raster {
  let image = arrange(raster, how, file, 0, resizeBilinear);
  const { color } = how;
  if (color === undefined) return image;
  if (image.channels !== 1 && image.channels !== 3)
    throw mismatch(file, `has ${image.channels} channels; \`color\` needs 1 or 3`);
  if (color === "gray") return toGrey(image);
  if (image.channels === 1) image = repeatChannel(image, 3);
  return color === "bgr" ? reverseChannels(image) : image;
}

/** The label map, moved as its image is. Padding becomes `ignore`. */
export function arrangeMap(
  raster: Raster,
  how: Preprocessing,
  file: string,
  ignore: number,
): Raster {
  return arrange(raster, how, file, ignore, resizeNearest);
}

function arrange(
  raster: Raster,
  { pad, resize, crop }: Preprocessing,
  file: string,
  fill: number,
  resizer: (raster: Raster, height: number, width: number) => Raster,
): Raster {
  const { channels } = raster;
  requireRoom(file, "padded", raster.height + 2 * pad, raster.width + 2 * pad, channels);
  let image = padWith(raster, pad, fill);
  if (resize !== undefined) {
    const [width, height] = resizedTo(image, resize);
    // A bilinear resize first changes the width alone.
    requireRoom(file, "resized", Math.max(height, image.height), width, channels);
    image = resizer(image, height, width);
  }
  if (crop === undefined) return image;
  const [width, height] = crop;
  if (width > image.width || height > image.height)
    throw mismatch(
      file,
      `is ${image.width}x${image.height}, smaller than the crop ${width}x${height}`,
      "Resize first: `resize`, or a smaller `crop`.",
    );
  return cropCenter(image, height, width);
}

function resizedTo({ height, width }: Raster, resize: ImageSize | number): ImageSize {
  if (typeof resize !== "number") return resize;
  const shorter = Math.min(height, width);
  const scaled = (side: number) => Math.trunc((side * resize) / shorter);
  return [scaled(width), scaled(height)];
}

/** Elements of an image on its way to a network. */
const mostElements = 2 ** 27;

function requireRoom(file: string, how: string, height: number, width: number, channels: number) {
  if (height * width * channels <= mostElements) return;
  throw mismatch(
    file,
    `would be ${width}x${height}x${channels} when it is ${how}; at most ${mostElements} elements are made`,
    "Say a smaller resize or pad, on the command line or in dataset.json.",
  );
}

/** (scale * x - mean) / std of every element, per channel. */
export interface Normalizer {
  /** Writes the image to `out` at `at`, in the layout asked for. */
  write(raster: Raster, out: Float32Array, at: number): void;
}

/** A normalizer for images of `channels` channels; fails where mean or std are for another number. */
export function normalizerOf(how: Preprocessing, channels: number): Normalizer {
  const scale = how.scale;
  const mean = perChannel("mean", how.mean, channels);
  const std = perChannel("std", how.std, channels);
  // Bytes take few values: a table of 256 results per channel saves the arithmetic.
  const tables = mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, x) => (scale * x - m) / std[c]),
  );
  const isPlanar = how.layout === "nchw";
  return {
    write(raster, out, at) {
      const { data, height, width, rowStride, columnStride } = raster;
      const isBytes = data instanceof Uint8Array;
      const step = isPlanar ? 1 : channels;
      for (let c = 0; c < channels; c++) {
        let to = at + (isPlanar ? c * height * width : c);
        const table = tables[c];
        for (let y = 0; y < height; y++) {
          let from = raster.offset + y * rowStride + c * raster.channelStride;
          for (let x = 0; x < width; x++, from += columnStride, to += step)
            out[to] = isBytes ? table[data[from]] : (scale * data[from] - mean[c]) / std[c];
        }
      }
    },
  };
}

function perChannel(name: string, values: readonly number[], channels: number): readonly number[] {
  if (values.length === channels) return values;
  if (values.length === 1) return Array.from({ length: channels }, () => values[0]);
  throw new EspalierError(
    "DATA_MISMATCH",
    `\`${name}\` gives ${values.length} values, but the samples have ${channels} channels`,
    { hint: `Give one value, or ${channels}.`, data: { expected: channels, got: values.length } },
  );
}

function mismatch(file: string, what: string, hint?: string): EspalierError {
  return new EspalierError("DATA_MISMATCH", `${file} ${what}`, {
    data: { file },
    hint,
  });
}
