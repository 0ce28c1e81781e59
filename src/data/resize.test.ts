/** @file Resizing and colours against Pillow 12.3. */
import { describe, expect, it } from "vitest";
import { cropCenter, padWith, type Raster, rasterOf, reverseChannels, toGrey } from "./raster.ts";
import { resizeBilinear, resizeNearest } from "./resize.ts";

// numpy: (np.arange(30) * 37 % 256).reshape(5, 6)
const size = { height: 5, width: 6, channels: 1 };
const values = Array.from({ length: 30 }, (_, i) => (i * 37) % 256);

function pixels({ data, ...raster }: Raster): number[] {
  const out: number[] = [];
  for (let y = 0; y < raster.height; y++)
    for (let x = 0; x < raster.width; x++)
      for (let c = 0; c < raster.channels; c++)
        out.push(
          data[
            raster.offset +
              y * raster.rowStride +
              x * raster.columnStride +
              c * raster.channelStride
          ],
        );
  return out;
}

describe("resizeBilinear", () => {
  it.each([
    [3, 2, "99 72 125 165 122 68"],
    [6, 2, "141 73 52 77 114 151 154 179 158 90 46 83"],
    [
      4,
      7,
      "14 66 119 171 86 47 100 152 158 47 75 127 202 83 51 103 178 160 47 79 153 189 92 54 134 186 154 35",
    ],
    [
      9,
      8,
      "0 19 43 68 93 117 142 167 185 97 60 28 53 78 102 127 152 170 220 119 20 35 57 81 106 131 " +
        "149 199 178 132 40 36 60 85 110 128 177 196 191 99 54 38 63 88 106 156 175 196 211 113 17 " +
        "42 67 85 135 154 178 203 172 116 45 46 64 120 139 163 188 213 194 49 31 49",
    ],
  ])("to %dx%d gives Pillow's bytes", (width, height, expected) => {
    const image = rasterOf(Uint8Array.from(values), size, "hwc");
    const resized = resizeBilinear(image, height, width);
    expect(pixels(resized).join(" ")).toBe(expected);
  });

  it("does not round floating point", () => {
    const resized = resizeBilinear(rasterOf(Float32Array.from(values), size, "hwc"), 3, 4);
    const pillow = [
      67.875, 51.2063484, 104.650795, 156.5535736, 180.5416718, 95.7530899, 57.5432091, 103.125,
      148.4464264, 188.1587219, 107.5079346, 49.6964302,
    ];
    for (const [i, value] of pixels(resized).entries()) expect(value).toBeCloseTo(pillow[i], 4);
  });

  it("treats interleaved channels one by one", () => {
    const data = Uint8Array.from(values.flatMap((value) => [value, 255 - value]));
    const image = rasterOf(data, { ...size, channels: 2 }, "hwc");
    const resized = pixels(resizeBilinear(image, 2, 3));
    expect(resized.filter((_, i) => i % 2 === 0)).toEqual([99, 72, 125, 165, 122, 68]);
  });
});

describe("resizeNearest", () => {
  it.each([
    [3, 2, "3 77 151 191 9 83"],
    [
      4,
      7,
      "0 74 111 185 222 40 77 151 222 40 77 151 188 6 43 117 154 228 9 83 154 228 9 83 120 194 231 49",
    ],
  ])("to %dx%d gives Pillow's bytes", (width, height, expected) => {
    const image = rasterOf(Uint8Array.from(values), size, "hwc");
    expect(pixels(resizeNearest(image, height, width)).join(" ")).toBe(expected);
  });
});

describe("views", () => {
  const image = rasterOf(
    Uint8Array.of(10, 200, 30, 250, 4, 99),
    { ...size, height: 1, width: 2, channels: 3 },
    "hwc",
  );

  it("grey is Pillow's convert('L')", () => {
    expect(pixels(toGrey(image))).toEqual([124, 88]);
  });

  it("BGR is RGB backwards", () => {
    expect(pixels(reverseChannels(image))).toEqual([30, 200, 10, 99, 4, 250]);
  });

  it("padding surrounds the image, and cropping takes it off again", () => {
    const small = rasterOf(Uint8Array.of(1, 2), { height: 1, width: 2, channels: 1 }, "hwc");
    const padded = padWith(small, 1, 9);
    expect(pixels(padded)).toEqual([9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 9, 9]);
    expect(pixels(cropCenter(padded, 1, 2))).toEqual([1, 2]);
  });
});
