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
  /** A single channel tells class 1 from class 0: a logit (above 0), or a probability (above 0.5). */
  readonly channels: number;
  readonly pixels: number;
  readonly kind: OutputKind;
  /** Pixels with this label don't count, and a class of this number is never predicted. */
  readonly ignored: number;
}

/** A scorer for images of one size. */
export function newScorer(options: ScorerOptions): Scorer {
  return new PixelScorer(options);
}

class PixelScorer implements Scorer {
  readonly classes: number;
  readonly #options: ScorerOptions;
  readonly #predicted: Int32Array;
  /** The largest score of a pixel, where there are several channels. */
  readonly #best: Float64Array;
  readonly #losses: Float64Array;
  /** Σ p² of a pixel, or Σ e² while it is being summed up. */
  readonly #squares: Float64Array;
  readonly #briers: Float64Array;
  /** The probability of the predicted class. */
  readonly #confidences: Float64Array;

  constructor(options: ScorerOptions) {
    const { channels, pixels } = options;
    this.classes = Math.max(2, channels);
    this.#options = options;
    this.#predicted = new Int32Array(pixels);
    this.#best = new Float64Array(pixels);
    this.#losses = new Float64Array(pixels);
    this.#squares = new Float64Array(pixels);
    this.#briers = new Float64Array(pixels);
    this.#confidences = new Float64Array(pixels);
  }

  score(
    scores: Numbers,
    labels: Int32Array,
    confusion: Float64Array,
    gaps: Float64Array,
  ): ScoredImage {
    const predicted = this.predict(scores);
    if (this.#options.channels === 1) this.#costOfOne(scores, labels);
    else this.#costOfSeveral(scores, labels);
    const { pixels, ignored } = this.#options;
    let [loss, brier] = [0, 0];
    let counted = 0;
    for (let i = 0; i < pixels; i++) {
      const label = labels[i];
      if (label === ignored) continue;
      if (label < 0 || label >= this.classes) return { loss: 0, brier: 0, strange: label };
      confusion[label * this.classes + predicted[i]]++;
      const isRight = predicted[i] === label ? 1 : 0;
      gaps[binOf(this.#confidences[i])] += isRight - this.#confidences[i];
      loss += this.#losses[i];
      brier += this.#briers[i];
      counted++;
    }
    const count = Math.max(1, counted);
    return { loss: loss / count, brier: brier / count, strange: undefined };
  }

  predict(scores: Numbers): Int32Array {
    const { channels, pixels, kind, ignored } = this.#options;
    const predicted = this.#predicted;
    if (channels === 1) {
      const threshold = kind === "logits" ? 0 : 0.5;
      for (let i = 0; i < pixels; i++) predicted[i] = scores[i] > threshold ? 1 : 0;
      return predicted;
    }
    const best = this.#best.fill(Number.NEGATIVE_INFINITY);
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
    return predicted;
  }

  /** Losses, Brier scores and confidences by a single channel, which tells class 1 from class 0. */
  #costOfOne(scores: Numbers, labels: Int32Array): void {
    const { pixels, kind } = this.#options;
    const [predicted, losses] = [this.#predicted, this.#losses];
    const [briers, confidences] = [this.#briers, this.#confidences];
    const isLogit = kind === "logits";
    for (let i = 0; i < pixels; i++) {
      const score = scores[i];
      const isOne = labels[i] === 1;
      // -log of the probability of label 1 is softplus(-z), of label 0 softplus(z).
      losses[i] = isLogit ? softplus(isOne ? -score : score) : costOf(isOne ? score : 1 - score);
      const one = isLogit ? 1 / (1 + Math.exp(-score)) : score;
      confidences[i] = predicted[i] === 1 ? one : 1 - one;
      briers[i] = 2 * (isOne ? 1 - one : one) ** 2;
    }
  }

  /** Losses, Brier scores and confidences by one channel for each class. */
  #costOfSeveral(scores: Numbers, labels: Int32Array): void {
    const { channels, pixels, kind } = this.#options;
    const [best, briers, confidences] = [this.#best, this.#briers, this.#confidences];
    const isLogit = kind === "logits";
    const losses = this.#losses.fill(0);
    const squares = this.#squares.fill(0);
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
