/** @file Small pictures as PNG data addresses. PNG specification, third edition, W3C 2025. */
import { crc32, deflateSync } from "node:zlib";
import { assert } from "../../errors.ts";

/** An RGB colour, each part in 0..255. */
export type Rgb = readonly [number, number, number];

/**
 * A `data:` address of an image. `pixels` is [height, width, 3] RGB, or, with a `palette`, [height,
 * width] indices into it (at most 256 colours). The same pixels give the same text.
 */
export function pngAddress(
  pixels: Uint8Array,
  size: { readonly height: number; readonly width: number },
  palette?: readonly Rgb[],
): string {
  const { height, width } = size;
  const channels = palette === undefined ? 3 : 1;
  assert(pixels.length === height * width * channels, "pixels fill their image");
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits
  header.setUint8(9, palette === undefined ? 2 : 3); // truecolour, or indexed
  // Every row begins with the number of its filter: 0, none.
  const rows = new Uint8Array(height * (1 + width * channels));
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width * channels, (y + 1) * width * channels);
    rows.set(row, y * (1 + width * channels) + 1);
  }
  const file = Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...(palette === undefined ? [] : [chunk("PLTE", Uint8Array.from(palette.flat()))]),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
  return `data:image/png;base64,${file.toString("base64")}`;
}

/** Length, type, data, and a checksum over the latter two. */
function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}
