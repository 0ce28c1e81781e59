/** @file How good a segmentation network is: mean IoU, Dice and pixel accuracy, with intervals. */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { SessionValue } from "../../runtime/values.ts";
import { type HostTensor, toNumbers } from "../../tensor/host-tensor.ts";
import type { Estimate, Interval } from "../statistics/statistics.ts";
import { calibrationBins, type OutputKind } from "./classification.ts";
import { type Confusions, estimateMaps, figuresOf, overlapOf, overlapsOf } from "./confusion.ts";
import {
  differsFromLabels,
  isPlane,
  type MapSize,
  newResizer,
  type Resizer,
} from "./label-size.ts";
import { newScorer, outputKindOf, roundingOf, type Scorer } from "./pixels.ts";
import type { Rows } from "./rows.ts";
import { notANumber, withoutLabels } from "./tally.ts";
import { mapUncertainty } from "./uncertainty.ts";

/** How well one class is found. */
export interface ClassOverlap {
  readonly label: number;
  readonly name: string | undefined;
  /** Intersection over union; null where neither truth nor prediction holds a pixel of the class. */
  readonly iou: number | null;
  /** 2 |A and B| / (|A| + |B|); null as `iou`. */
  readonly dice: number | null;
  /** Pixels that truly are of the class. */
  readonly pixels: number;
}

/** How good a segmentation network is. Pixels with the ignored label count nowhere. */
export interface SegmentationEvaluation {
  /** What `value` is. */
  readonly metric: "miou";
  /** Mean intersection over union, over the classes that occur in truth or prediction of the role. */
  readonly value: number;
  /** Interval of `value` at 95 %: percentile bootstrap over images. */
  readonly ci95: Interval;
  /** Mean cross-entropy of a pixel in nats. */
  readonly loss: number;
  readonly samples: number;
  readonly split: Role;
  readonly miou: Estimate;
  /** Mean over the same classes. */
  readonly dice: Estimate;
  readonly pixelAccuracy: Estimate;
  /** The same as `loss`, with its interval. */
  readonly crossEntropy: Estimate;
  /** Mean Brier score of a pixel over all classes, in [0, 2], with its bootstrap interval over images. */
  readonly brier: Estimate;
  /** Expected calibration error of the pixels' confidences, 15 bins, with such an interval. */
  readonly calibrationError: Estimate;
  /** What the output's pixels were taken for. */
  readonly outputKind: OutputKind;
  readonly output: string;
  /** Classes that the network tells apart: two where it has a single output channel. */
  readonly classes: number;
  readonly perClass: readonly ClassOverlap[];
  readonly predictions: MapPredictions;
}

/** What the network did on each image, in the order in which they were read. */
export interface MapPredictions extends Confusions {
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
}

/** What has been counted so far. Filled in place: one entry per image. */
export interface MapTally {
  readonly output: SessionValue;
  readonly dataset: Dataset;
  readonly total: number;
  done: number;
  /** Known from the first batch on; until then `declared` is what the graph tells, if anything. */
  readonly declared: OutputKind | undefined;
  kind: OutputKind;
  scorer: Scorer | undefined;
  /** `undefined` where maps and labels are of the same size. */
  resizer: Resizer | undefined;
  confusions: Float64Array;
  /** What `figuresOf` takes, of all images so far. */
  sum: Float64Array;
  readonly losses: Float64Array;
  readonly briers: Float64Array;
  /** [total, 15] */
  readonly gaps: Float64Array;
  readonly indices: Int32Array;
}

/** A tally that awaits `total` images. */
export function newMapTally(
  total: number,
  output: SessionValue,
  dataset: Dataset,
  declared: OutputKind | undefined,
): MapTally {
  return {
    output,
    dataset,
    total,
    declared,
    done: 0,
    scorer: undefined,
    resizer: undefined,
    kind: declared ?? "logits",
    confusions: new Float64Array(0),
    sum: new Float64Array(0),
    losses: new Float64Array(total),
    briers: new Float64Array(total),
    gaps: new Float64Array(total * calibrationBins),
    indices: new Int32Array(total),
  };
}

/**
 * Counts the pixels of some images of a batch, at the resolution of the label maps.
 * Fails with `DATA_MISMATCH` where output and label map are not of the same aspect, `DATA_INVALID` for a label that
 * the network does not know, `RUNTIME_FAILED` for outputs that are not numbers.
 */
export function recordMaps(tally: MapTally, batch: Batch, { from, to, tensor }: Rows): void {
  const { labelMaps } = batch;
  if (labelMaps === undefined) throw withoutLabels(tally.dataset, "maps");
  const [, height, width] = labelMaps.shape;
  const pixels = height * width;
  const maps = mapsOf(tally.output, tensor, to - from, [height, width]);
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  const numbers = maps.channels * maps.size[0] * maps.size[1];
  tally.scorer ??= begin(tally, maps, [height, width], values.subarray(0, (to - from) * numbers));
  const { scorer, dataset, resizer } = tally;
  const cells = scorer.classes ** 2;
  for (let i = from; i < to; i++) {
    const own = values.subarray((i - from) * numbers, (i - from + 1) * numbers);
    const scores = resizer?.(own) ?? own;
    const labels = labelMaps.data.subarray(i * pixels, (i + 1) * pixels);
    const at = tally.done++;
    const row = tally.confusions.subarray(at * cells, (at + 1) * cells);
    const gaps = tally.gaps.subarray(at * calibrationBins, (at + 1) * calibrationBins);
    const { loss, brier, strange } = scorer.score(scores, labels, row, gaps);
    if (strange !== undefined)
      throw new EspalierError(
        "DATA_INVALID",
        `${dataset.fileOf(batch.indices[i])}: the label map of sample ${batch.indices[i]} holds the ` +
          `label ${strange}; the network tells ${scorer.classes} classes apart`,
        {
          hint: "If these pixels are not to count, say so: `ignoreLabel`.",
          data: { sample: batch.indices[i], expected: scorer.classes, got: strange },
        },
      );
    if (Number.isNaN(loss)) throw notANumber(tally.output, batch.indices[i]);
    tally.indices[at] = batch.indices[i];
    tally.losses[at] = loss;
    tally.briers[at] = brier;
    const overlaps = overlapsOf({ ...scorer, confusions: row, losses: Float64Array.of(loss) });
    for (let k = 0; k < overlaps.width; k++) tally.sum[k] += overlaps.rows[k];
  }
}

function begin(
  tally: MapTally,
  { channels, size }: Maps,
  labels: MapSize,
  values: Float32Array | Float64Array,
): Scorer {
  const { dataset, output, total, declared } = tally;
  const rounding = roundingOf(output.dtype);
  tally.kind = declared ?? outputKindOf(values, channels, size[0] * size[1], rounding);
  if (differsFromLabels(output.name, size, labels))
    tally.resizer = newResizer(channels, size, labels);
  const pixels = labels[0] * labels[1];
  const scorer = newScorer({ channels, pixels, kind: tally.kind, ignored: dataset.ignoreLabel });
  if (dataset.classes > scorer.classes)
    throw new EspalierError(
      "DATA_MISMATCH",
      `the network's output ${output.name} tells ${scorer.classes} classes apart, ` +
        `the labels name ${dataset.classes}`,
      { data: { output: output.name, expected: scorer.classes, got: dataset.classes } },
    );
  tally.confusions = new Float64Array(total * scorer.classes ** 2);
  tally.sum = new Float64Array(3 * scorer.classes + 2);
  return scorer;
}

/** The scores of one image. */
interface Maps {
  readonly channels: number;
  readonly size: MapSize;
}

/** What lies in an output [N, C, h, w]. */
function mapsOf(
  { name }: SessionValue,
  { shape }: HostTensor,
  atLeast: number,
  labels: MapSize,
): Maps {
  const [images, channels, ...size] = shape;
  if (isPlane(size) && images >= atLeast && channels >= 1) return { channels, size };
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network's output ${name} has shape [${shape.join(", ")}] for ${atLeast} images; ` +
      `expected [N, classes, ${labels.join(", ")}]`,
    {
      hint: "Name the output that holds the maps: `output`.",
      data: { output: name, expected: labels, got: shape },
    },
  );
}

/** The mean IoU of what has been counted so far. */
export function miouSoFar({ scorer, sum }: MapTally): number {
  return scorer === undefined ? 0 : figuresOf(sum, scorer.classes).miou;
}

/** What was counted for each image. */
export function mapPredictionsOf({
  scorer,
  confusions,
  losses,
  briers,
  gaps,
  indices,
}: MapTally): MapPredictions {
  return { classes: scorer?.classes ?? 0, confusions, losses, briers, gaps, indices };
}

/** The figures, with their intervals. */
export function summarizeMaps(tally: MapTally, split: Role, seed: number): SegmentationEvaluation {
  const { dataset, output, kind, sum, done: samples } = tally;
  const predictions = mapPredictionsOf(tally);
  const { classes } = predictions;
  const overlaps = overlapsOf(predictions);
  const { miou, dice, pixelAccuracy, loss } = estimateMaps(overlaps, seed);
  const { briers, gaps } = tally;
  const { brier, ece } = mapUncertainty({ ...predictions, briers, gaps }, seed);
  return {
    metric: "miou",
    value: miou.value,
    ci95: miou.ci95,
    loss: loss.value,
    samples,
    split,
    miou,
    dice,
    pixelAccuracy,
    crossEntropy: loss,
    brier,
    calibrationError: ece,
    outputKind: kind,
    output: output.name,
    classes,
    predictions,
    perClass: Array.from({ length: classes }, (_, label) => ({
      label,
      name: dataset.classNames?.[label],
      ...overlapOf(sum, classes, label),
    })),
  };
}
