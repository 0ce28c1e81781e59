/** @file What two networks say of the same images: their likeliest classes, and how sure they are. */
import type { Dataset } from "../data/dataset.ts";
import { type Role, roles, type SplitChoice } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";
import type { OutputKind } from "../measure/evaluation/classification.ts";
import { rowOfOne } from "../measure/evaluation/classification.ts";
import { declaredKind } from "../measure/evaluation/declared-kind.ts";
import { chooseOutput } from "../measure/evaluation/outputs.ts";
import { passOver } from "../measure/evaluation/pass.ts";
import { outputKindOf, roundingOf } from "../measure/evaluation/pixels.ts";
import { type Thumbnail, thumbnailOf } from "../measure/inputs/near-duplicates.ts";
import { type SessionOptions, withSession } from "../runtime/session.ts";
import type { ModelSource } from "../runtime/values.ts";
import { toNumbers } from "../tensor/host-tensor.ts";

/** Which samples are shown to the networks, and how these are run. */
export interface PredictOptions extends SessionOptions {
  readonly split: SplitChoice;
  /** The first so many samples. Default: all. */
  readonly limit?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly output?: string | undefined;
  /** Classes that are kept of each image, the likeliest first. */
  readonly classes: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a network says of each image, in the order in which they are served. */
export interface ClassAnswers {
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
  /** [N, kept] classes, the likeliest first. */
  readonly classes: Int32Array;
  readonly kept: number;
  /** [N] probability of the likeliest class. */
  readonly confidences: Float64Array;
  /** Classes that the network tells apart. */
  readonly count: number;
  /** [N] labels of the samples; `undefined` where they have none. */
  readonly labels: Int32Array | undefined;
  /** [N] pictures in small; `undefined` where the samples are no images. */
  readonly thumbnails: readonly Thumbnail[] | undefined;
}

/** The roles whose samples are taken. */
export function rolesOf(dataset: Dataset, split: SplitChoice): readonly Role[] {
  const wanted = split === "all" ? roles : [split];
  const there = wanted.filter((role) => dataset.size(role) > 0);
  if (there.length > 0) return there;
  throw new EspalierError("DATA_NOT_FOUND", `${dataset.path}: no samples serve as \`${split}\``, {
    data: { role: split },
  });
}

/**
 * Runs a classifier on the images. Fails with `DATA_MISMATCH` where its outputs tell no classes apart, with
 * `RUNTIME_FAILED` and as the data set.
 */
export async function predictClasses(
  model: ModelSource,
  dataset: Dataset,
  options: PredictOptions,
): Promise<ClassAnswers> {
  const parts = rolesOf(dataset, options.split);
  const all = parts.reduce((sum, role) => sum + dataset.size(role), 0);
  const total = Math.min(all, options.limit ?? all);
  return withSession(model, options, async (session) => {
    const output = chooseOutput(session.outputs, options.output, "classes");
    const { layout } = dataset.preprocessing;
    const collected = new Collected(total, options.classes, await declaredKind(model, output.name));
    for (const split of parts) {
      const limit = Math.min(dataset.size(split), total - collected.done);
      if (limit === 0) break;
      await passOver(session, dataset, {
        split,
        limit,
        batchSize: options.batchSize ?? 128,
        outputs: [output.name],
        signal: options.signal,
        record(batch, { from, to, tensor }) {
          const channels = tensor.shape[1] ?? 1;
          const values = toNumbers(tensor);
          if (values.length !== tensor.shape[0] * channels)
            throw noClasses(output.name, tensor.shape);
          const tolerance = roundingOf(tensor.dtype);
          const used = values.subarray(0, (to - from) * channels);
          const size = batch.input.data.length / batch.indices.length;
          for (let i = from; i < to; i++) {
            const row = used.subarray((i - from) * channels, (i - from + 1) * channels);
            if (row.some(Number.isNaN)) throw notANumber(output.name, batch.indices[i]);
            collected.add(batch.indices[i], row, batch.labels?.[i], () =>
              outputKindOf(used, channels, 1, tolerance),
            );
            if (dataset.sampleShape.length === 3) {
              const pixels = batch.input.data.subarray(i * size, (i + 1) * size);
              collected.thumbnails.push(thumbnailOf(pixels, dataset.sampleShape, layout));
            }
          }
        },
        onBatch: () => options.onProgress?.(collected.done, total),
      });
    }
    return collected.answers(dataset.labelKind === "classes");
  });
}

/** Answers as they come in. */
class Collected {
  readonly thumbnails: Thumbnail[] = [];
  done = 0;
  readonly #declared: OutputKind | undefined;
  readonly #wanted: number;
  #kept = 0;
  #count = 0;
  #kind: OutputKind = "logits";
  readonly #indices: Int32Array;
  readonly #labels: Int32Array;
  readonly #confidences: Float64Array;
  #classes = new Int32Array(0);

  constructor(total: number, wanted: number, declared: OutputKind | undefined) {
    this.#wanted = wanted;
    this.#declared = declared;
    this.#indices = new Int32Array(total);
    this.#labels = new Int32Array(total);
    this.#confidences = new Float64Array(total);
  }

  add(
    index: number,
    scores: Float64Array,
    label: number | undefined,
    kindByValues: () => OutputKind,
  ): void {
    if (this.done === 0) {
      this.#count = Math.max(2, scores.length);
      this.#kept = Math.min(this.#wanted, this.#count);
      this.#classes = new Int32Array(this.#indices.length * this.#kept);
      const isTold = scores.length === 1 && this.#declared !== undefined;
      this.#kind = isTold ? (this.#declared ?? "logits") : kindByValues();
    }
    const row = scores.length === 1 ? rowOfOne(scores[0], this.#kind) : scores;
    const at = this.done++;
    this.#indices[at] = index;
    this.#labels[at] = label ?? -1;
    const best = likeliest(row, this.#kept);
    this.#classes.set(best, at * this.#kept);
    this.#confidences[at] = confidenceOf(row, best[0], this.#kind);
  }

  answers(isLabelled: boolean): ClassAnswers {
    return {
      indices: this.#indices,
      classes: this.#classes,
      kept: this.#kept,
      confidences: this.#confidences,
      count: this.#count,
      labels: isLabelled ? this.#labels : undefined,
      thumbnails: this.thumbnails.length > 0 ? this.thumbnails : undefined,
    };
  }
}

/** The classes with the largest scores; the first of equals. */
function likeliest(row: Float64Array, count: number): readonly number[] {
  const best: number[] = [];
  for (let k = 0; k < row.length; k++) {
    let at = best.length;
    while (at > 0 && row[k] > row[best[at - 1]]) at--;
    if (at < count) best.splice(at, 0, k);
    if (best.length > count) best.pop();
  }
  return best;
}

function confidenceOf(row: Float64Array, best: number, kind: OutputKind): number {
  if (kind === "probabilities") return Math.min(1, row[best]);
  return 1 / row.reduce((sum, score) => sum + Math.exp(score - row[best]), 0);
}

function noClasses(output: string, shape: readonly number[]): EspalierError {
  return new EspalierError(
    "DATA_MISMATCH",
    `the output ${output} [${shape.join(", ")}] holds no class for each image`,
    { hint: withoutClasses, data: { output } },
  );
}

/** What holds for networks that tell no classes apart. */
export const withoutClasses =
  "Agreements contribute nothing to a drop of accuracy alone. For mean IoU, boxes and regression they do: " +
  "measure the agreement of both networks (`espalier evaluate --against`), or give labels for all images.";

function notANumber(output: string, sample: number): EspalierError {
  return new EspalierError(
    "RUNTIME_FAILED",
    `the output ${output} has a value that is not a number for sample ${sample}`,
    { data: { output, sample } },
  );
}
