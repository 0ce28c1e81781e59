/**
 * @file Images in files, decoded by sharp when they are asked for. The format is told by the first
 * bytes, never by the name, and only JPEG, PNG and WebP ever reach the decoder.
 */
import { EspalierError } from "../errors.ts";
import { readBytes, reasonOf } from "./files.ts";
import { type Raster, rasterOf, repeatChannel, toGrey } from "./raster.ts";
import { invalid, type RasterStore } from "./table.ts";

type Sharp = typeof import("sharp")["default"];

/** File names that are taken for images. */
export const imageName = /\.(jpe?g|png|webp)$/i;

/** Images of more pixels are refused: they are decompression bombs, or nothing that a network reads at once. */
const maxPixels = 2 ** 26;

/** A store over image files, all as RGB or all grey, as the first one is. */
export async function imageStore(files: readonly string[]): Promise<RasterStore> {
  const sharp = await loadSharp();
  const first = await decode(sharp, files[0]);
  return {
    count: files.length,
    isVector: false,
    isWhole: true,
    async read(index) {
      const raster = await decode(sharp, files[index]);
      if (raster.channels === first.channels) return raster;
      if (raster.channels === 1) return repeatChannel(raster, 3);
      throw invalid(
        files[index],
        `is a colour image, but ${files[0]} is grey`,
        "Make all images of the folder grey, or all RGB.",
      );
    },
    bytesOf: (index) => readBytes(files[index]),
    fileOf: (index) => files[index],
  };
}

/** A store over label maps: grey images whose pixel values are class indices. */
export async function maskStore(files: readonly string[]): Promise<RasterStore> {
  const sharp = await loadSharp();
  return {
    count: files.length,
    isVector: false,
    isWhole: true,
    async read(index) {
      const raster = await decode(sharp, files[index]);
      if (raster.channels === 1) return raster;
      if (isGrey(raster)) return toGrey(raster);
      throw invalid(files[index], "is a colour image; a mask holds class indices as grey values");
    },
    bytesOf: (index) => readBytes(files[index]),
    fileOf: (index) => files[index],
  };
}

async function decode(sharp: Sharp, file: string): Promise<Raster> {
  const bytes = await readBytes(file);
  if (!isKnown(bytes)) throw invalid(file, "is no JPEG, PNG or WebP image");
  try {
    const image = sharp(bytes, { limitInputPixels: maxPixels });
    const isSingle = (await image.metadata()).channels < 3;
    const { data, info } = await image
      .autoOrient()
      .toColourspace(isSingle ? "b-w" : "srgb")
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { height, width, channels } = info;
    if (channels !== 1 && channels !== 3) throw new Error(`${channels} channels`);
    return rasterOf(data, { height, width, channels }, "hwc");
  } catch (cause) {
    throw invalid(file, `cannot be decoded (${reasonOf(cause)})`, undefined, cause);
  }
}

function isKnown(bytes: Buffer): boolean {
  const text = bytes.toString("latin1", 0, 12);
  return (
    text.startsWith("\xff\xd8\xff") ||
    text.startsWith("\x89PNG\r\n\x1a\n") ||
    (text.startsWith("RIFF") && text.endsWith("WEBP"))
  );
}

function isGrey({ data }: Raster): boolean {
  for (let i = 0; i < data.length; i += 3)
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}

/** The decoder and encoder of images. Fails with `DATA_INVALID` where it is not installed. */
export async function loadSharp(): Promise<Sharp> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new EspalierError("DATA_INVALID", `images cannot be read: ${reasonOf(cause)}`, {
      hint: "Install the optional decoder: npm install sharp",
      cause,
    });
  }
}
