/** @file One image in memory as a strided view, so that cropping, BGR and grey-to-RGB copy nothing. */
import { assert } from "../errors.ts";

/** The element arrays that images and label maps come in. */
export type Pixels =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** An image: element (y, x, c) is `data[offset + y * rowStride + x * columnStride + c * channelStride]`. */
export interface Raster {
  readonly data: Pixels;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly channelStride: number;
}

/** How the elements of an image lie in memory: channels last (interleaved) or first (planar). */
export type ChannelOrder = "hwc" | "chw";

/** A dense image that starts at `offset` of `data`. */
export function rasterOf(
  data: Pixels,
  size: { readonly height: number; readonly width: number; readonly channels: number },
  order: ChannelOrder,
  offset = 0,
): Raster {
  const { height, width, channels } = size;
  return order === "hwc"
    ? {
        data,
        ...size,
        offset,
        rowStride: width * channels,
        columnStride: channels,
        channelStride: 1,
      }
    : { data, ...size, offset, rowStride: width, columnStride: 1, channelStride: height * width };
}

/** The `height` x `width` window in the middle (the upper left one of two where it is off by half). */
export function cropCenter(raster: Raster, height: number, width: number): Raster {
  const top = Math.floor((raster.height - height) / 2);
  const left = Math.floor((raster.width - width) / 2);
  return cropAt(raster, top, left, height, width);
}

/** The `height` x `width` window whose upper left pixel is (top, left). */
export function cropAt(
  raster: Raster,
  top: number,
  left: number,
  height: number,
  width: number,
): Raster {
  const isInside = top >= 0 && left >= 0;
  assert(
    isInside && top + height <= raster.height && left + width <= raster.width,
    "a crop lies within its image",
  );
  const offset = raster.offset + top * raster.rowStride + left * raster.columnStride;
  return { ...raster, height, width, offset };
}

/** The image with left and right exchanged. */
export function flipColumns(raster: Raster): Raster {
  const offset = raster.offset + (raster.width - 1) * raster.columnStride;
  return { ...raster, offset, columnStride: -raster.columnStride };
}

/** The image with its channels in reverse order: RGB ↔ BGR. */
export function reverseChannels(raster: Raster): Raster {
  const offset = raster.offset + (raster.channels - 1) * raster.channelStride;
  return { ...raster, offset, channelStride: -raster.channelStride };
}

/** One channel repeated: a grey image as RGB. */
export function repeatChannel(raster: Raster, channels: number): Raster {
  assert(raster.channels === 1, "only a single channel is repeated");
  return { ...raster, channels, channelStride: 0 };
}

/** RGB to luma with the weights of ITU-R 601 (.299, .587, .114), rounded for whole-number pixels. */
export function toGrey(raster: Raster): Raster {
  if (raster.channels === 1) return raster;
  assert(raster.channels === 3, "luma is made of three channels");
  const { height, width, data } = raster;
  const out = arrayLike(data, height * width);
  const isWhole = !(out instanceof Float32Array || out instanceof Float64Array);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to++) {
      const at = raster.offset + y * raster.rowStride + x * raster.columnStride;
      const luma =
        0.299 * data[at] +
        0.587 * data[at + raster.channelStride] +
        0.114 * data[at + 2 * raster.channelStride];
      out[to] = isWhole ? Math.round(luma) : luma;
    }
  return rasterOf(out, { height, width, channels: 1 }, "hwc");
}

/** The image with `pad` more pixels of `value` on every side. */
export function padWith(raster: Raster, pad: number, value: number): Raster {
  if (pad === 0) return raster;
  const height = raster.height + 2 * pad;
  const width = raster.width + 2 * pad;
  const { channels } = raster;
  const out = arrayLike(raster.data, height * width * channels).fill(value);
  const padded = rasterOf(out, { height, width, channels }, "chw");
  copyInto(raster, cropCenter(padded, raster.height, raster.width));
  return padded;
}

/** Copies every element of `from` to the same place of `to`, which has the same size. */
function copyInto(from: Raster, to: Raster): void {
  for (let c = 0; c < from.channels; c++)
    for (let y = 0; y < from.height; y++) {
      let source = from.offset + y * from.rowStride + c * from.channelStride;
      let target = to.offset + y * to.rowStride + c * to.channelStride;
      for (let x = 0; x < from.width; x++) {
        to.data[target] = from.data[source];
        source += from.columnStride;
        target += to.columnStride;
      }
    }
}

/** A zero-filled array of the same element type. */
export function arrayLike(pixels: Pixels, length: number): Pixels {
  if (pixels instanceof Uint8Array) return new Uint8Array(length);
  if (pixels instanceof Int8Array) return new Int8Array(length);
  if (pixels instanceof Uint16Array) return new Uint16Array(length);
  if (pixels instanceof Int16Array) return new Int16Array(length);
  if (pixels instanceof Uint32Array) return new Uint32Array(length);
  if (pixels instanceof Int32Array) return new Int32Array(length);
  if (pixels instanceof Float32Array) return new Float32Array(length);
  return new Float64Array(length);
}
