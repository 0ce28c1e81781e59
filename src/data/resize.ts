/**
 * @file Resizing images as Pillow and torchvision do, so that a network sees what it was trained on.
 *
 * `resizeBilinear` is Pillow's BILINEAR (torchvision's `Resize` with antialias): separable, a
 * triangle filter whose support grows with the reduction, renormalised at the borders, horizontal
 * pass first. Whole-number pixels are rounded after each pass, and their weights are rounded to 22
 * binary places as Pillow's are: that decides ties. Label maps take the nearest pixel.
 */
import { arrayLike, type Pixels, type Raster, rasterOf } from "./raster.ts";

/** Source range and weights of every output pixel along one axis. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, maxCount] */
  readonly weights: Float64Array;
  readonly maxCount: number;
}

/** The image at a new size, bilinear with antialiasing. */
export function resizeBilinear(raster: Raster, height: number, width: number): Raster {
  if (raster.height === height && raster.width === width) return raster;
  const { channels } = raster;
  const wide = arrayLike(raster.data, channels * raster.height * width);
  const across = triangleTaps(raster.width, width, isWhole(wide));
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < raster.height; y++) {
      const from = raster.offset + y * raster.rowStride + c * raster.channelStride;
      const to = (c * raster.height + y) * width;
      filterLine(raster.data, from, raster.columnStride, across, wide, to, 1);
    }
  const out = arrayLike(raster.data, channels * height * width);
  const down = triangleTaps(raster.height, height, isWhole(out));
  for (let c = 0; c < channels; c++)
    for (let x = 0; x < width; x++) {
      const from = c * raster.height * width + x;
      filterLine(wide, from, width, down, out, c * height * width + x, width);
    }
  return rasterOf(out, { height, width, channels }, "chw");
}

/** The image at a new size, each pixel the source pixel under its centre. */
export function resizeNearest(raster: Raster, height: number, width: number): Raster {
  if (raster.height === height && raster.width === width) return raster;
  const { channels, data } = raster;
  const out = arrayLike(data, channels * height * width);
  let to = 0;
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * raster.height) / height);
      const line = raster.offset + c * raster.channelStride + row * raster.rowStride;
      for (let x = 0; x < width; x++) {
        const column = Math.floor(((x + 0.5) * raster.width) / width);
        out[to++] = data[line + column * raster.columnStride];
      }
    }
  return rasterOf(out, { height, width, channels }, "chw");
}

function triangleTaps(from: number, to: number, isFixedPoint: boolean): Taps {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const maxCount = 2 * Math.ceil(support) + 1;
  const taps = {
    first: new Int32Array(to),
    count: new Int32Array(to),
    weights: new Float64Array(to * maxCount),
    maxCount,
  };
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let k = first; k < end; k++) {
      const weight = Math.max(0, 1 - Math.abs((k + 0.5 - center) / support));
      taps.weights[i * maxCount + k - first] = weight;
      sum += weight;
    }
    for (let k = i * maxCount; k < i * maxCount + end - first; k++) {
      taps.weights[k] /= sum;
      if (isFixedPoint) taps.weights[k] = Math.round(taps.weights[k] * 2 ** 22) / 2 ** 22;
    }
    taps.first[i] = first;
    taps.count[i] = end - first;
  }
  return taps;
}

function filterLine(
  source: Pixels,
  from: number,
  fromStride: number,
  taps: Taps,
  target: Pixels,
  to: number,
  toStride: number,
): void {
  const { first, count, weights, maxCount } = taps;
  const rounds = isWhole(target);
  for (let i = 0; i < first.length; i++) {
    let sum = 0;
    let at = from + first[i] * fromStride;
    for (let k = 0; k < count[i]; k++, at += fromStride)
      sum += weights[i * maxCount + k] * source[at];
    target[to + i * toStride] = rounds ? Math.round(sum) : sum;
  }
}

function isWhole(pixels: Pixels): boolean {
  return !(pixels instanceof Float32Array || pixels instanceof Float64Array);
}
