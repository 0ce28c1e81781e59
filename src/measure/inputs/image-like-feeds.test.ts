/** @file Random inputs resemble photographs in what can be told of both without any network. */
import { expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { imageLikeFeeds, type PixelRange } from "./image-like-feeds.ts";

function inputsOf(shape: readonly number[], range: PixelRange, count = 1, seed = 0) {
  const b = new GraphBuilder("net");
  b.output(b.node("Relu", [b.input("x", "float32", shape)])[0]);
  const feeds = imageLikeFeeds(b.build(), new Map(), { count, range, seed });
  return [...feeds].map((feed) => {
    const tensor = feed.get("x");
    return tensor === undefined ? new Float64Array() : toNumbers(tensor);
  });
}

/** The power of the rows of square images at a whole number of waves per row. */
function powerAt(images: readonly Float64Array[], side: number, waves: number): number {
  let power = 0;
  for (const image of images)
    for (let row = 0; row < side; row++) {
      let [real, imaginary] = [0, 0];
      for (let k = 0; k < side; k++) {
        const angle = (2 * Math.PI * waves * k) / side;
        real += image[row * side + k] * Math.cos(angle);
        imaginary += image[row * side + k] * Math.sin(angle);
      }
      power += real * real + imaginary * imaginary;
    }
  return power;
}

// Photographs have a power spectrum of f⁻² over both directions (Field 1987; Ruderman 1994), so that their rows have
// ∫ df₂ / (f₁² + f₂²) = π / f₁. Of noise the exponent would be 0, of smooth waves far above 1.
it("images have the spectrum of photographs, where noise has the same power at every frequency", () => {
  const side = 64;
  const images = inputsOf([1, 1, side, side], "bytes", 24);
  const exponent = Math.log(powerAt(images, side, 2) / powerAt(images, side, 8)) / Math.log(4);
  expect(exponent).toBeGreaterThan(0.7);
  expect(exponent).toBeLessThan(1.3);
});

it("bytes are from 0 to 255, and normalised pixels are the same images around 0", () => {
  const shape = [2, 3, 16, 24];
  const [bytes] = inputsOf(shape, "bytes");
  expect(Math.min(...bytes)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...bytes)).toBeLessThanOrEqual(255);
  const [normalised] = inputsOf(shape, "normalised");
  for (const [i, value] of bytes.entries())
    expect(normalised[i]).toBeCloseTo((value / 255 - 0.45) / 0.225, 4);
});

it("colours lie along the last axis where it alone is short enough", () => {
  const [height, width, channels] = [12, 20, 3];
  const [first] = inputsOf([1, channels, height, width], "bytes");
  const [last] = inputsOf([1, height, width, channels], "bytes");
  for (let c = 0; c < channels; c++)
    for (let at = 0; at < height * width; at++)
      expect(last[at * channels + c]).toBe(first[c * height * width + at]);
});

it.each(["normalised", "bytes"] as const)(
  "%s: each input is another, and a seed gives the same again",
  (range) => {
    for (const shape of [
      [1, 3, 8, 8],
      [1, 16, 96],
      [1, 10],
    ]) {
      const [a, b] = inputsOf(shape, range, 2);
      expect(a).not.toEqual(b);
      expect(inputsOf(shape, range, 2)).toEqual([a, b]);
      expect(inputsOf(shape, range, 1, 1)[0]).not.toEqual(a);
      expect(a.every(Number.isFinite)).toBe(true);
    }
  },
);
