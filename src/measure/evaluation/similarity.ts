/**
 * @file How similar a network's outputs are to those of another, on each sample.
 *
 * The relative error of output o on a sample is e = Σ (z - y)² / (n s²), where n is its size and s its spread:
 * the root of the mean variance of the reference's numbers over images. The similarity is max(0, 1 - e):
 * 1 where the outputs are the same, and 0 where they are as far off as the same mean answer for every image
 * would be. It is R² with each sample's share bounded below.
 */
import type { Answer, Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import type { Role } from "../../data/splits.ts";
import { assert, EspalierError } from "../../errors.ts";
import type { Session } from "../../runtime/session.ts";
import {
  bootstrapSeries,
  type Estimate,
  type Interval,
  percentileInterval,
  resamplesFor,
} from "../statistics/statistics.ts";
import { eachSample } from "./answers.ts";
import type { OutcomeOptions } from "./options.ts";
import { passOver, samplesIn } from "./pass.ts";
import type { Rows } from "./rows.ts";

/** How far the outputs for each sample are from the reference's; the metric is `similarity`. */
export interface OutputErrors {
  /** Names, in order. */
  readonly outputs: readonly string[];
  /** [N, outputs] squared errors, relative to the square of the output's spread. */
  readonly errors: Float64Array;
  /** [N] numbers of the samples in the data set. */
  readonly indices: Int32Array;
}

/** How similar one output is. */
export interface OutputSimilarity extends Estimate {
  readonly output: string;
}

/** How similar a network's outputs are to those of another. */
export interface SimilarityEvaluation {
  /** What `value` is. */
  readonly metric: "similarity";
  /** The mean over outputs and samples, in [0, 1]. */
  readonly value: number;
  /** Percentile bootstrap over samples, at 95 %. */
  readonly ci95: Interval;
  /** The mean relative squared error, of which tuning makes as little as it can. */
  readonly loss: number;
  readonly samples: number;
  readonly split: Role;
  readonly outputs: readonly OutputSimilarity[];
  readonly predictions: OutputErrors;
}

/** The similarity of each sample: the mean over outputs, or that of one output. */
export function similarities(
  { outputs, errors, indices }: OutputErrors,
  only?: number,
): Float64Array {
  const width = outputs.length;
  return Float64Array.from(indices, (_, i) => {
    const own = errors.subarray(i * width, (i + 1) * width).map((error) => Math.max(0, 1 - error));
    return only === undefined ? own.reduce((sum, value) => sum + value, 0) / width : own[only];
  });
}

/** The mean relative squared error over outputs and samples. */
export function meanError({ errors }: Pick<OutputErrors, "errors">): number {
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

/** The mean of each output's similarity over samples, with its bootstrap interval. */
function outputSimilarities(own: OutputErrors, seed: number): readonly OutputSimilarity[] {
  return own.outputs.map((output, k) => ({
    output,
    ...meanOf(similarities(own, k), seed),
  }));
}

/** The mean of a value per sample, with its percentile bootstrap interval over samples. */
export function meanOf(values: Float64Array, seed: number): Estimate {
  const mean = (indices: Int32Array) => [
    indices.reduce((sum, i) => sum + values[i], 0) / indices.length,
  ];
  const [series] = bootstrapSeries(values.length, 1, mean, {
    seed,
    resamples: resamplesFor(values.length),
  });
  const value = values.reduce((sum, own) => sum + own, 0) / values.length;
  return { value, ci95: percentileInterval(series) };
}

/** The figures, with their intervals. */
export function summarizeOutputs(
  own: OutputErrors,
  split: Role,
  seed: number,
): SimilarityEvaluation {
  const { value, ci95 } = meanOf(similarities(own), seed);
  return {
    metric: "similarity",
    value,
    ci95,
    loss: meanError(own),
    samples: own.indices.length,
    split,
    outputs: outputSimilarities(own, seed),
    predictions: own,
  };
}

/**
 * Runs a network on one split of samples that hold another's outputs, and compares. Fails with
 * `DATA_MISMATCH` where the network lacks an output or gives another size, `RUNTIME_FAILED` for outputs
 * that are not numbers, and as `evaluate`.
 */
export async function compareOutputs(
  session: Session,
  dataset: Dataset,
  options: OutcomeOptions,
): Promise<OutputErrors> {
  const { split = "test", limit, signal, batchSize = 16, onProgress } = options;
  const { answers } = dataset;
  assert(answers !== undefined, "samples of the kind `outputs` hold the outputs of a network");
  const outputs = answers.map(({ output }) => output);
  const missing = outputs.filter((name) => session.outputs.every((own) => own.name !== name));
  if (missing.length > 0) throw otherOutputs(session, missing);
  const total = samplesIn(dataset, split, limit, batchSize);
  const errors = new Float64Array(total * outputs.length);
  const indices = new Int32Array(total);
  let [done, sum] = [0, 0];
  await passOver(session, dataset, {
    split,
    limit,
    batchSize,
    signal,
    outputs,
    record(batch, rows) {
      for (const [index, own] of errorsOf(batch, rows, answers)) {
        errors.set(own, done * outputs.length);
        indices[done++] = index;
        sum += own.reduce((all, error) => all + Math.max(0, 1 - error), 0) / outputs.length;
      }
    },
    onBatch: () => onProgress?.({ done, total, metric: "similarity", value: sum / done }),
  });
  return { outputs, errors, indices };
}

/** The number of each sample, and its relative error in each output. */
function* errorsOf(
  { outputs: wanted, indices }: Batch,
  { from, to, tensors }: Rows,
  answers: readonly Answer[],
): Generator<readonly [index: number, errors: Float64Array]> {
  assert(wanted !== undefined, "samples of the kind `outputs` hold the outputs of a network");
  const width = wanted.shape[1];
  const samples = tensors.map(eachSample);
  for (let i = from; i < to; i++) {
    const own = new Float64Array(answers.length);
    let at = i * width;
    for (const [k, { output, size, spread }] of answers.entries()) {
      const values = samples[k](i - from);
      if (values.length !== size) throw otherSize(output, size, values.length);
      let sum = 0;
      for (let j = 0; j < size; j++) sum += (values[j] - wanted.data[at + j]) ** 2;
      if (!Number.isFinite(sum)) throw notFinite(output, indices[i]);
      own[k] = sum / (size * spread ** 2);
      at += size;
    }
    yield [indices[i], own];
  }
}

function otherOutputs({ outputs }: Session, missing: readonly string[]): EspalierError {
  return new EspalierError(
    "DATA_MISMATCH",
    `the network has no output ${missing.join(", ")}; it has ${outputs.map(({ name }) => name).join(", ")}`,
    { hint: "Compare networks whose outputs have the same names.", data: { missing } },
  );
}

function otherSize(output: string, expected: number, got: number): EspalierError {
  return new EspalierError(
    "DATA_MISMATCH",
    `the output ${output} holds ${got} numbers for a sample; that of the network to compare with ${expected}`,
    { data: { output, expected, got } },
  );
}

function notFinite(output: string, sample: number): EspalierError {
  return new EspalierError(
    "RUNTIME_FAILED",
    `the network's output ${output} is not finite for sample ${sample}`,
    { hint: "Check the network, and `scale`, `mean` and `std`.", data: { output, sample } },
  );
}
