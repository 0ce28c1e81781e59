/** @file PNG pictures, held against a decoder. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyFolder } from "../../../test/cli-io.ts";
import { imageStore } from "../../data/image-files.ts";
import { randomOf } from "../../tensor/random.ts";
import { pngAddress } from "./png.ts";

/** What sharp reads from a data address: RGB pixels. */
async function decoded(address: string) {
  const [type, base64] = address.split(",");
  expect(type).toBe("data:image/png;base64");
  const file = join(await emptyFolder(), "image.png");
  await writeFile(file, Buffer.from(base64, "base64"));
  const { data, width, height, channels } = await (await imageStore([file])).read(0);
  return { pixels: [...data], width, height, channels };
}

describe("pngAddress", () => {
  it("holds the pixels of an RGB image", async () => {
    const random = randomOf("png");
    const pixels = Uint8Array.from({ length: 7 * 5 * 3 }, () => random.integer(256));
    expect(await decoded(pngAddress(pixels, { height: 7, width: 5 }))).toEqual({
      pixels: [...pixels],
      width: 5,
      height: 7,
      channels: 3,
    });
  });

  it("holds indices into a palette", async () => {
    const address = pngAddress(Uint8Array.of(0, 1, 2, 1), { height: 2, width: 2 }, [
      [1, 2, 3],
      [250, 0, 9],
      [0, 255, 0],
    ]);
    const { pixels } = await decoded(address);
    expect(pixels).toEqual([1, 2, 3, 250, 0, 9, 0, 255, 0, 250, 0, 9]);
  });

  it("refuses pixels that do not fill the image", () => {
    expect(() => pngAddress(new Uint8Array(5), { height: 2, width: 1 })).toThrow("fill");
  });
});
