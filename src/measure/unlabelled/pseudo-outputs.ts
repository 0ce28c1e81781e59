/**
 * @file Samples with the outputs of a network: what is to be matched, number by number, where outputs tell no
 * classes apart. Detectors, embeddings and regressions are compared so.
 */
import type { Answer, Dataset } from "../../data/dataset.ts";
import type { Batch, BatchOptions } from "../../data/serve.ts";
import { type Role, roles } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { ModelSource } from "../../runtime/values.ts";
import {
  type Answered,
  type AnswerOptions,
  answered,
  findTask,
  type Numbers,
} from "../evaluation/answers.ts";
import { labelledBy } from "./pseudo-labels.ts";

/** Images on which the spread of outputs is measured. */
const spreadSamples = 64;
/** A spread below this share of an output's size is rounding: the output does not depend on the image. */
const leastSpread = 1e-5;

/**
 * The same samples, with what a network says of them in the place of labels: classes or maps of classes
 * where its task is to tell them apart (see `taskOf`), else its outputs. Outputs that do not depend on the
 * image are left out.
 *
 * Fails with `DATA_MISMATCH` where samples do not fit the network, or nothing in its outputs can be compared,
 * `DATA_NOT_FOUND` without two samples of the same role, and `RUNTIME_FAILED`.
 */
export async function withAnswersFrom(
  dataset: Dataset,
  model: ModelSource,
  options: AnswerOptions = {},
): Promise<Dataset> {
  const { task, results } = await findTask(dataset, model, options);
  if (task.kind !== "outputs") return labelledBy(dataset, model, options, task, results);
  const { output: _, wantsLabels: __, ...session } = options;
  const { outputs } = task;
  const rows = answered({ dataset, model, session, outputs, rowOf: (own) => joined(own) });
  const sizes = outputs.map((name) => sizeOfSample(results.get(name)?.shape));
  const answers = await answersOf(dataset, rows, outputs, sizes);
  const kept = answers.map(({ output }) => outputs.indexOf(output));
  const places = outputs.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  const width = answers.reduce((sum, { size }) => sum + size, 0);

  async function* batches(role: Role, batchOptions: BatchOptions): AsyncGenerator<Batch> {
    for await (const { batch, rows: own } of rows(role, batchOptions)) {
      const data = new Float32Array(own.length * width);
      for (const [i, row] of own.entries()) {
        let at = i * width;
        for (const k of kept) {
          data.set(row.subarray(places[k], places[k] + sizes[k]), at);
          at += sizes[k];
        }
      }
      const given = { dtype: "float32", shape: [own.length, width], data } as const;
      yield { ...batch, labels: undefined, labelMaps: undefined, outputs: given };
    }
  }

  return {
    ...dataset,
    labelKind: "outputs",
    answers,
    classes: 0,
    classNames: undefined,
    batches,
    countClasses: async () => 0,
    requireLabelsBelow: async () => undefined,
  };
}

/** The samples as they are where they have labels, else as {@link withAnswersFrom}. */
export async function withLabelsOrAnswers(
  dataset: Dataset,
  model: ModelSource,
  options: AnswerOptions = {},
): Promise<Dataset> {
  return dataset.labelKind === "none" ? withAnswersFrom(dataset, model, options) : dataset;
}

/** The outputs that depend on the image, each with its spread over the first images of `fit`. */
async function answersOf(
  dataset: Dataset,
  rows: Answered<Float32Array>,
  outputs: readonly string[],
  sizes: readonly number[],
): Promise<readonly Answer[]> {
  const width = sizes.reduce((sum, size) => sum + size, 0);
  const role = roles.find((candidate) => dataset.size(candidate) > 1);
  if (role === undefined)
    throw new EspalierError(
      "DATA_NOT_FOUND",
      `${dataset.path}: there are no two samples of one role, from which the spread of outputs is told`,
      { hint: "Give more images.", data: { path: dataset.path } },
    );
  const [sums, squares] = [new Float64Array(width), new Float64Array(width)];
  let count = 0;
  for await (const { batch, rows: own } of rows(role, { batchSize: 8, limit: spreadSamples }))
    for (const [i, row] of own.entries()) {
      if (row.length !== width) throw changingSize(dataset, batch.indices[i], width, row.length);
      for (let k = 0; k < width; k++) {
        sums[k] += row[k];
        squares[k] += row[k] ** 2;
      }
      count++;
    }
  let at = 0;
  const all = outputs.map((output, k) => {
    const [size, from] = [sizes[k], at];
    at += size;
    let [variance, power] = [0, 0];
    for (let i = from; i < from + size; i++) {
      variance += Math.max(0, squares[i] / count - (sums[i] / count) ** 2) / size;
      power += squares[i] / count / size;
    }
    if (!Number.isFinite(power)) throw notFinite(output);
    return { output, size, spread: Math.sqrt(variance), scale: Math.sqrt(power) };
  });
  const telling = all.filter(({ spread, scale }) => spread > leastSpread * scale && spread > 0);
  if (telling.length === 0)
    throw new EspalierError(
      "DATA_MISMATCH",
      `no output of the network (${outputs.join(", ")}) depends on the image`,
      { hint: "Check `scale`, `mean` and `std`: all inputs may look alike to it." },
    );
  return telling.map(({ output, size, spread }) => ({ output, size, spread }));
}

function joined(outputs: readonly Numbers[]): Float32Array {
  const row = new Float32Array(outputs.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const values of outputs) {
    row.set(values, at);
    at += values.length;
  }
  return row;
}

function sizeOfSample(shape: readonly number[] = []): number {
  return shape.slice(1).reduce((product, dim) => product * dim, 1);
}

function changingSize(
  dataset: Dataset,
  index: number,
  expected: number,
  got: number,
): EspalierError {
  return new EspalierError(
    "DATA_MISMATCH",
    `the network gives ${got} numbers for ${dataset.fileOf(index)}, and ${expected} for the first image`,
    {
      hint:
        "Outputs whose size depends on the image, such as lists of findings, cannot be compared number by " +
        "number: export the network without the end that makes them.",
      data: { sample: index, expected, got },
    },
  );
}

function notFinite(output: string): EspalierError {
  return new EspalierError(
    "RUNTIME_FAILED",
    `the network's output ${output} holds numbers that are not finite`,
    { hint: "Check the network, and `scale`, `mean` and `std`.", data: { output } },
  );
}
