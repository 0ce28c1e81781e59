/** @file Overlap of label maps: what comes of confusion matrices, summed over images. */
import {
  bootstrapSeries,
  type Estimate,
  percentileInterval,
  resamplesFor,
} from "../statistics/statistics.ts";

/**
 * What a segmentation network did on each image: pixels by truth and prediction. Pixels that carry
 * the ignored label are in none of it.
 */
export interface Confusions {
  /** Classes, C. A network with a single output channel tells two apart. */
  readonly classes: number;
  /** [N, C * C] pixels; entry truth * C + predicted of each image. */
  readonly confusions: Float64Array;
  /** [N] mean cross-entropy of an image's pixels in nats; 0 where none counts. */
  readonly losses: Float64Array;
  /** [N] mean Brier score of an image's pixels over all classes; files of earlier versions have none. */
  readonly briers?: Float64Array | undefined;
  /** [N, 15] Σ (right or not - confidence) over an image's pixels, by bin of confidence; likewise. */
  readonly gaps?: Float64Array | undefined;
}

/**
 * What all figures are made of, [N, 3 C + 2]: of each class the pixels that are rightly it, truly it
 * and predicted to be it; then all pixels, and the sum of their losses.
 */
export interface Overlaps {
  readonly classes: number;
  readonly images: number;
  readonly width: number;
  readonly rows: Float64Array;
}

/** The rows that {@link figuresOf} adds up. */
export function overlapsOf({ classes, confusions, losses }: Confusions): Overlaps {
  const width = 3 * classes + 2;
  const rows = new Float64Array(losses.length * width);
  for (let i = 0; i < losses.length; i++) {
    const row = rows.subarray(i * width, (i + 1) * width);
    let from = i * classes * classes;
    for (let truth = 0; truth < classes; truth++)
      for (let predicted = 0; predicted < classes; predicted++) {
        const pixels = confusions[from++];
        if (truth === predicted) row[truth] = pixels;
        row[classes + truth] += pixels;
        row[2 * classes + predicted] += pixels;
        row[3 * classes] += pixels;
      }
    row[3 * classes + 1] = losses[i] * row[3 * classes];
  }
  return { classes, images: losses.length, width, rows };
}

/** The rows of some images, which may repeat, added up: [width]. */
export function sumOfRows({ rows, width }: Overlaps, indices: Int32Array): Float64Array {
  const sum = new Float64Array(width);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * width;
    for (let k = 0; k < width; k++) sum[k] += rows[from + k];
  }
  return sum;
}

/** How well predicted maps cover the true ones. */
export interface MapFigures {
  /** Mean over the classes that occur of their intersection over union; 0 where none occurs. */
  readonly miou: number;
  /** Mean over the classes that occur of 2 |A and B| / (|A| + |B|). */
  readonly dice: number;
  /** Share of pixels that are right. */
  readonly pixelAccuracy: number;
  /** Mean cross-entropy of a pixel in nats. */
  readonly loss: number;
}

/** The figures of a sum of rows. A class occurs where the truth or a prediction holds a pixel of it. */
export function figuresOf(sum: Float64Array, classes: number): MapFigures {
  let right = 0;
  let iouSum = 0;
  let diceSum = 0;
  let occurring = 0;
  for (let k = 0; k < classes; k++) {
    const both = sum[k];
    const either = sum[classes + k] + sum[2 * classes + k];
    right += both;
    if (either === 0) continue;
    occurring++;
    iouSum += both / (either - both);
    diceSum += (2 * both) / either;
  }
  const pixels = Math.max(1, sum[3 * classes]);
  return {
    miou: iouSum / Math.max(1, occurring),
    dice: diceSum / Math.max(1, occurring),
    pixelAccuracy: right / pixels,
    loss: sum[3 * classes + 1] / pixels,
  };
}

/** The derivative of `miou` by each entry of a sum of rows, [3 C + 2]. */
export function miouGradient(sum: Float64Array, classes: number): Float64Array {
  const gradient = new Float64Array(sum.length);
  let occurring = 0;
  for (let k = 0; k < classes; k++) {
    const both = sum[k];
    const either = sum[classes + k] + sum[2 * classes + k];
    if (either === 0) continue;
    occurring++;
    // IoU = both / (either - both)
    const union = either - both;
    gradient[k] = either / union ** 2;
    gradient[classes + k] = -both / union ** 2;
    gradient[2 * classes + k] = gradient[classes + k];
  }
  return gradient.map((slope) => slope / Math.max(1, occurring));
}

/** Intersection over union of one class in a sum of rows; null where the class does not occur. */
export function overlapOf(
  sum: Float64Array,
  classes: number,
  label: number,
): { readonly iou: number | null; readonly dice: number | null; readonly pixels: number } {
  const both = sum[label];
  const pixels = sum[classes + label];
  const either = pixels + sum[2 * classes + label];
  if (either === 0) return { iou: null, dice: null, pixels };
  return { iou: both / (either - both), dice: (2 * both) / either, pixels };
}

/** The numbers of all images. */
function allImages({ images }: Overlaps): Int32Array {
  return Int32Array.from({ length: images }, (_, i) => i);
}

/**
 * The figures of all images with their 95 % intervals: percentile bootstrap over images, each drawn
 * with all of its pixels, because pixels of one image are not independent.
 */
export function estimateMaps(
  overlaps: Overlaps,
  seed: number,
): Readonly<Record<keyof MapFigures, Estimate>> {
  const { classes, images } = overlaps;
  const figures = (indices: Int32Array) => figuresOf(sumOfRows(overlaps, indices), classes);
  const whole = figures(allImages(overlaps));
  const listed = (indices: Int32Array) => {
    const { miou, dice, pixelAccuracy, loss } = figures(indices);
    return [miou, dice, pixelAccuracy, loss];
  };
  const resamples = resamplesFor(images);
  const series = bootstrapSeries(images, 4, listed, { seed, resamples });
  const [miou, dice, pixelAccuracy, loss] = series.map((values) => percentileInterval(values));
  return {
    miou: { value: whole.miou, ci95: miou },
    dice: { value: whole.dice, ci95: dice },
    pixelAccuracy: { value: whole.pixelAccuracy, ci95: pixelAccuracy },
    loss: { value: whole.loss, ci95: loss },
  };
}
