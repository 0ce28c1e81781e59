/** @file Samples as pictures for people: PNG files of what the data hold. */
import { EspalierError } from "../errors.ts";
import type { Picture } from "./dataset.ts";
import { loadSharp } from "./image-files.ts";

/** Pictures are shown at this length of their longer side at most. */
const longestSide = 1024;

/**
 * A sample as a PNG file. Pixels that are no whole numbers are spread over all shades from the darkest to the brightest.
 * Fails with `DATA_MISMATCH` for a sample that is no picture.
 */
export async function pngOf({ raster, file, isVector }: Picture): Promise<Uint8Array> {
  const { height, width, channels, data } = raster;
  if (isVector || (channels !== 1 && channels !== 3 && channels !== 4))
    throw new EspalierError(
      "DATA_MISMATCH",
      `${file} holds no pictures that people could look at`,
      {
        hint: "Give labels instead.",
        data: { file },
      },
    );
  const { shade } = shadesOf(data);
  const bytes = new Uint8Array(height * width * channels);
  let to = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) {
        const at =
          raster.offset + y * raster.rowStride + x * raster.columnStride + c * raster.channelStride;
        bytes[to++] = shade(data[at]);
      }
  const sharp = await loadSharp();
  const image = sharp(bytes, { raw: { height, width, channels } });
  const isLarge = Math.max(height, width) > longestSide;
  const shown = isLarge
    ? image.resize({ width: longestSide, height: longestSide, fit: "inside" })
    : image;
  return shown.png().toBuffer();
}

function shadesOf(data: ArrayLike<number>): { readonly shade: (value: number) => number } {
  if (data instanceof Uint8Array) return { shade: (value) => value };
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    low = Math.min(low, data[i]);
    high = Math.max(high, data[i]);
  }
  const scale = high > low ? 255 / (high - low) : 0;
  return { shade: (value) => Math.round((value - low) * scale) };
}
