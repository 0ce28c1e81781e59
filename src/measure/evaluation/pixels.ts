/** @file Scores the pixels of one image: which class, right or wrong, and at what cross-entropy. */
import type { DType } from "../../tensor/dtype.ts";
import { binOf, brierOf, type OutputKind, smallestProbability } from "./classification.ts";

type Numbers = Float32Array | Float64Array;

/** One image, scored. */
export interface ScoredImage {
  /** Mean cross-entropy of its pixels in nats: 0 where none counts, NaN where an output is. */
  readonly loss: number;
  /** Mean Brier score of its pixels over all classes, in [0, 2]; 0 where none counts. */
  readonly brier: number;
  /** A label that is none of the classes; `undefined` where all are. */
  readonly strange: number | undefined;
}

/** Scores images of one size. It keeps its work space from image to image. */
export interface Scorer {
  readonly classes: number;
  /**
   * @param scores [channels, pixels]
   * @param labels [pixels]
   * @param confusion [classes, classes], truth by prediction, to which pixels are added
   * @param gaps [15] by bin of confidence, to which (right or not) - confidence is added
   */
  score(
    scores: Numbers,
    labels: Int32Array,
    confusion: Float64Array,
    gaps: Float64Array,
  ): ScoredImage;
  /** [pixels] classes; overwritten by the next call of either. */
  predict(scores: Numbers): Int32Array;
}

/** What is scored. */
export interface ScorerOptions {
  /** A single one tells class 1 from class 0: a logit (above 0), or a probability (above 0.5). */
  readonly channels: number;
  readonly pixels: number;
  readonly kind: OutputKind;
  /** Pixels with this label don't count, and a class of this number is never predicted. */
  readonly ignored: number;
}

/** A scorer for images of one size. */
export function newScorer({ channels, pixels, kind, ignored }: ScorerOptions): Scorer {
  const classes = Math.max(2, channels);
  const predicted = new Int32Array(pixels);
  /** The largest score of a pixel among several channels. */
  const best = new Float64Array(pixels);
  const losses = new Float64Array(pixels);
  /** Σ p² of a pixel, while it is being summed Σ e², and the probability of its predicted class. */
  const squares = new Float64Array(pixels);
  const briers = new Float64Array(pixels);
  const confidences = new Float64Array(pixels);
  return {
    classes,
    score(scores, labels, confusion, gaps) {
      predictAll(scores);
      costAll(scores, labels);
      let [loss, brier] = [0, 0];
      let counted = 0;
      for (let i = 0; i < pixels; i++) {
        const label = labels[i];
        if (label === ignored) continue;
        if (label < 0 || label >= classes) return { loss: 0, brier: 0, strange: label };
        confusion[label * classes + predicted[i]]++;
        const isRight = predicted[i] === label ? 1 : 0;
        gaps[binOf(confidences[i])] += isRight - confidences[i];
        loss += losses[i];
        brier += briers[i];
        counted++;
      }
      const count = Math.max(1, counted);
      return { loss: loss / count, brier: brier / count, strange: undefined };
    },
    predict(scores) {
      predictAll(scores);
      return predicted;
    },
  };

  function predictAll(scores: Numbers): void {
    if (channels === 1) {
      const threshold = kind === "logits" ? 0 : 0.5;
      for (let i = 0; i < pixels; i++) predicted[i] = scores[i] > threshold ? 1 : 0;
      return;
    }
    best.fill(Number.NEGATIVE_INFINITY);
    predicted.fill(ignored === 0 ? 1 : 0);
    for (let k = 0; k < channels; k++) {
      if (k === ignored) continue;
      const plane = k * pixels;
      for (let i = 0; i < pixels; i++) {
        const score = scores[plane + i];
        if (score > best[i]) {
          best[i] = score;
          predicted[i] = k;
        }
      }
    }
  }

  function costAll(scores: Numbers, labels: Int32Array): void {
    const isLogit = kind === "logits";
    // -log of the probability of label 1 is softplus(-z), of label 0 softplus(z).
    if (channels === 1) {
      for (let i = 0; i < pixels; i++) {
        const score = scores[i];
        const isOne = labels[i] === 1;
        losses[i] = isLogit ? softplus(isOne ? -score : score) : costOf(isOne ? score : 1 - score);
        const one = isLogit ? 1 / (1 + Math.exp(-score)) : score;
        confidences[i] = predicted[i] === 1 ? one : 1 - one;
        briers[i] = 2 * (isOne ? 1 - one : one) ** 2;
      }
      return;
    }
    losses.fill(0);
    squares.fill(0);
    for (let k = 0; k < channels; k++) {
      const plane = k * pixels;
      // The largest score of all but the ignored class steadies the exponentials well enough.
      for (let i = 0; i < pixels; i++) {
        const share = isLogit ? Math.exp(scores[plane + i] - best[i]) : scores[plane + i];
        losses[i] += share;
        squares[i] += share ** 2;
      }
    }
    for (let i = 0; i < pixels; i++) {
      const label = labels[i];
      const right = label >= 0 && label < channels ? scores[label * pixels + i] : 0;
      if (Number.isNaN(losses[i])) continue; // an output is NaN
      const sum = isLogit ? losses[i] : 1;
      confidences[i] = Math.min(1, isLogit ? 1 / sum : best[i]);
      briers[i] = brierOf(squares[i] / sum ** 2, isLogit ? Math.exp(right - best[i]) / sum : right);
      losses[i] = isLogit ? cap(Math.log(losses[i]) + best[i] - right) : costOf(right);
    }
  }
}

/** No pixel costs more than the smallest probability does; NaN stays. */
function cap(loss: number): number {
  return Math.min(loss, -Math.log(smallestProbability));
}

function costOf(probability: number): number {
  return Number.isNaN(probability)
    ? probability
    : -Math.log(Math.max(probability, smallestProbability));
}

function softplus(z: number): number {
  return cap(Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))));
}

/**
 * Tells probabilities from logits: no entry below 0, and over the classes a sum of 1 within
 * `tolerance`; of a single channel, no entry above 1. What LogSoftmax gives are logits too: their
 * cross-entropy comes out the same. Outputs of classifiers have one pixel.
 *
 * @param values [N, channels, pixels]
 */
export function outputKindOf(
  values: Numbers,
  channels: number,
  pixels: number,
  tolerance: number,
): OutputKind {
  const sums = new Float64Array(pixels);
  for (let image = 0; image < values.length; image += channels * pixels) {
    sums.fill(0);
    for (let k = 0; k < channels; k++)
      for (let i = 0; i < pixels; i++) {
        const value = values[image + k * pixels + i];
        if (!(value >= 0)) return "logits";
        sums[i] += value;
      }
    if (channels === 1 && sums.some((value) => value > 1)) return "logits";
    if (channels > 1 && sums.some((sum) => Math.abs(sum - 1) > tolerance)) return "logits";
  }
  return "probabilities";
}

/** How far from 1 the sum of a row of probabilities may be. */
export function roundingOf(dtype: DType): number {
  return dtype === "float16" ? 1e-2 : 1e-3;
}
