/** @file What an evaluation counts, sample by sample, and the figures that come of it. */

import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { SessionValue } from "../../runtime/values.ts";
import { type HostTensor, toNumbers } from "../../tensor/host-tensor.ts";
import { type Estimate, type Interval, wilsonInterval } from "../statistics/statistics.ts";
import { type OutputKind, rowOfOne, scoreRow } from "./classification.ts";
import { otherTasks } from "./outputs.ts";
import { outputKindOf, roundingOf } from "./pixels.ts";
import type { Predictions } from "./predictions.ts";
import type { Rows } from "./rows.ts";
import { classUncertainty, type SelectiveAccuracy } from "./uncertainty.ts";

/** Right answers among the samples of one class. */
export interface ClassCount {
  readonly label: number;
  readonly name: string | undefined;
  readonly samples: number;
  readonly correct: number;
}

/** How good a classifier is. */
export interface ClassificationEvaluation {
  /** What `value` is. */
  readonly metric: "top1";
  /** Share of samples whose right class has the largest output. */
  readonly value: number;
  /** Interval of `value` at 95 % (Wilson). */
  readonly ci95: Interval;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  readonly samples: number;
  readonly split: Role;
  readonly top1: Estimate;
  /** Share of samples whose right class is among the five largest outputs (1 with 5 classes or fewer). */
  readonly top5: Estimate;
  /** The same as `loss`, with its bootstrap interval over samples. */
  readonly crossEntropy: Estimate;
  /**
   * Expected calibration error, 15 bins. Resampling adds noise to every bin, so the bootstrap interval
   * lies somewhat high; with few samples the value itself does too.
   */
  readonly calibrationError: Estimate;
  /** Mean Brier score over all classes, in [0, 2], with its bootstrap interval over samples. */
  readonly brier: Estimate;
  /** Accuracy where the network may decline to answer. */
  readonly selective: SelectiveAccuracy;
  /** What the output's rows were taken for. */
  readonly outputKind: OutputKind;
  readonly output: string;
  /** Classes that the network tells apart. */
  readonly classes: number;
  readonly perClass: readonly ClassCount[];
  readonly predictions: Predictions;
}

/** What has been counted so far. Filled in place: one entry per sample. */
export interface Tally {
  readonly output: SessionValue;
  readonly dataset: Dataset;
  done: number;
  correct: number;
  /** Whether the user named the output, so that [N, C, 1] holds classes, too. */
  readonly isNamed: boolean;
  /** What the graph tells of a single score per sample; of several the values do. */
  readonly declared: OutputKind | undefined;
  /** Scores per sample, and the classes that they tell apart: known from the first batch on. */
  channels: number;
  classes: number;
  kind: OutputKind;
  readonly indices: Int32Array;
  readonly labels: Int32Array;
  readonly predicted: Int32Array;
  readonly ranks: Int32Array;
  readonly isCorrect: Uint8Array;
  readonly losses: Float64Array;
  readonly confidences: Float64Array;
  readonly briers: Float64Array;
  readonly keepsOutputs: boolean;
  outputs: Float32Array | undefined;
}

/** A tally that awaits `total` samples. */
export function newTally(
  total: number,
  output: SessionValue,
  dataset: Dataset,
  { keepsOutputs, declared, isNamed }: Pick<Tally, "keepsOutputs" | "declared" | "isNamed">,
): Tally {
  return {
    output,
    dataset,
    keepsOutputs,
    declared,
    isNamed,
    done: 0,
    correct: 0,
    channels: 0,
    classes: 0,
    kind: "logits",
    outputs: undefined,
    indices: new Int32Array(total),
    labels: new Int32Array(total),
    predicted: new Int32Array(total),
    ranks: new Int32Array(total),
    isCorrect: new Uint8Array(total),
    losses: new Float64Array(total),
    confidences: new Float64Array(total),
    briers: new Float64Array(total),
  };
}

/** Scores the outputs of some samples of a batch. */
export function record(tally: Tally, batch: Batch, { from, to, tensor }: Rows): void {
  const channels = channelsOf(tally, tensor, to - from);
  const values = toNumbers(tensor);
  if (tally.done === 0) begin(tally, channels, values.subarray(0, (to - from) * channels));
  const { labels } = batch;
  if (labels === undefined) throw withoutLabels(tally.dataset, "classes");
  for (let i = from; i < to; i++) {
    const scores = values.subarray((i - from) * channels, (i - from + 1) * channels);
    if (scores.some(Number.isNaN)) throw notANumber(tally.output, batch.indices[i]);
    const row = channels === 1 ? rowOfOne(scores[0], tally.kind) : scores;
    const at = tally.done++;
    const scored = scoreRow(row, labels[i], tally.kind);
    tally.indices[at] = batch.indices[i];
    tally.labels[at] = labels[i];
    tally.predicted[at] = scored.predicted;
    tally.ranks[at] = scored.rank;
    tally.isCorrect[at] = scored.rank === 0 ? 1 : 0;
    tally.correct += tally.isCorrect[at];
    tally.losses[at] = scored.loss;
    tally.confidences[at] = scored.confidence;
    tally.briers[at] = scored.brier;
    tally.outputs?.set(scores, at * channels);
  }
}

function begin(tally: Tally, channels: number, rows: Float64Array): void {
  const { dataset, output, declared } = tally;
  const classes = Math.max(2, channels);
  if (dataset.classes > classes)
    throw new EspalierError(
      "DATA_MISMATCH",
      `the network's output ${output.name} tells ${classes} classes apart, ` +
        `the labels name ${dataset.classes}`,
      {
        hint: "Choose another output with `output`, or the data that the network was trained on.",
        data: { output: output.name, expected: classes, got: dataset.classes },
      },
    );
  tally.channels = channels;
  tally.classes = classes;
  const isTold = channels === 1 && declared !== undefined;
  tally.kind = isTold ? declared : outputKindOf(rows, channels, 1, roundingOf(output.dtype));
  if (tally.keepsOutputs) tally.outputs = new Float32Array(tally.labels.length * channels);
}

/** The figures, with their intervals. */
export function summarize(
  tally: Tally,
  split: Role,
  dataset: Dataset,
  seed: number,
): ClassificationEvaluation {
  const { done: samples, classes, ranks } = tally;
  const { nll: crossEntropy, brier, ece, selective } = classUncertainty(tally, seed);
  const top1 = proportion(tally.correct, samples);
  return {
    metric: "top1",
    value: top1.value,
    ci95: top1.ci95,
    loss: crossEntropy.value,
    samples,
    split,
    top1,
    crossEntropy,
    classes,
    top5: proportion(
      ranks.reduce((sum, rank) => sum + (rank < 5 ? 1 : 0), 0),
      samples,
    ),
    calibrationError: ece,
    brier,
    selective,
    outputKind: tally.kind,
    output: tally.output.name,
    perClass: countByClass(tally, dataset),
    predictions: predictionsOf(tally),
  };
}

/** What was said about each sample. */
export function predictionsOf(tally: Tally): Predictions {
  const { indices, labels, predicted, isCorrect, losses, confidences, briers, outputs } = tally;
  return { indices, labels, predicted, isCorrect, losses, confidences, briers, outputs };
}

function proportion(count: number, samples: number): Estimate {
  return { value: count / samples, ci95: wilsonInterval(count, samples) };
}

function countByClass(tally: Tally, { classNames }: Dataset): readonly ClassCount[] {
  const samples = new Int32Array(tally.classes);
  const correct = new Int32Array(tally.classes);
  for (const [i, label] of tally.labels.entries()) {
    samples[label]++;
    correct[label] += tally.isCorrect[i];
  }
  return Array.from(samples, (count, label) => ({
    label,
    name: classNames?.[label],
    samples: count,
    correct: correct[label],
  }));
}

/** The C of [N, C] and [N, C, 1, 1]. Three axes are as likely places as classes: those of a detector. */
function channelsOf({ output, isNamed }: Tally, { shape }: HostTensor, atLeast: number): number {
  const [rows, channels, ...rest] = shape;
  const isPlace = rest.every((dim) => dim === 1) && (shape.length !== 3 || isNamed);
  if (shape.length >= 2 && rows >= atLeast && channels > 0 && isPlace) return channels;
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network's output ${output.name} has shape [${shape.join(", ")}] for ${atLeast} samples; ` +
      "expected [N, classes]",
    { hint: otherTasks, data: { got: shape } },
  );
}

/** The error for samples that have no labels of the kind that is needed. */
export function withoutLabels(dataset: Dataset, needed: "classes" | "maps"): EspalierError {
  const { labelKind, path } = dataset;
  const what =
    labelKind === "none"
      ? "the samples have no labels"
      : labelKind === "maps"
        ? "the labels are maps of classes, not one class per sample"
        : labelKind === "outputs"
          ? "the samples have the outputs of a network, not classes"
          : "the labels are one class per sample, not maps of classes";
  const hint =
    needed === "classes"
      ? "Accuracy needs a class for every sample."
      : "IoU needs a map of classes for every sample.";
  return new EspalierError("DATA_INVALID", `${path}: ${what}`, { hint, data: { path } });
}

/** The error for an output that is NaN. */
export function notANumber(output: SessionValue, index: number): EspalierError {
  return new EspalierError(
    "RUNTIME_FAILED",
    `the network's output ${output.name} is not a number for sample ${index}`,
    { hint: "Check the network, and `scale`, `mean` and `std`.", data: { sample: index } },
  );
}
