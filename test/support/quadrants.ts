/** @file A data set of small images that a small network learns in seconds. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Dataset, openDataset } from "../../src/data/dataset.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { idxFile } from "../data-files.ts";

/**
 * Fills a folder with small images whose class is the quadrant that is bright, half hidden by noise: 480
 * train images (400 of them `fit`, 20 `select`, 60 `certify`) and 80 test images, [1, 8, 8].
 */
export async function writeQuadrants(folder: string): Promise<void> {
  const images = (count: number, key: string) => {
    const random = randomOf("quadrants", key);
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 4);
    const pixels = new Uint8Array(count * 64);
    for (const [i, label] of labels.entries())
      for (let k = 0; k < 64; k++) {
        const quadrant = 2 * Number(k >= 32) + Number(k % 8 >= 4);
        pixels[64 * i + k] = random.integer(160) + (quadrant === label ? 60 : 0);
      }
    return { pixels: idxFile([count, 8, 8], pixels), labels: idxFile([count], labels) };
  };
  const [train, test] = [images(480, "train"), images(80, "test")];
  const files = {
    "train-images-idx3-ubyte": train.pixels,
    "train-labels-idx1-ubyte": train.labels,
    "test-images-idx3-ubyte": test.pixels,
    "test-labels-idx1-ubyte": test.labels,
  };
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

/** The data set of {@link writeQuadrants}, written to this folder. */
export async function openQuadrants(folder: string): Promise<Dataset> {
  await writeQuadrants(folder);
  return openDataset(folder);
}
