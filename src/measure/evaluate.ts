/** @file How good a classifier is on a data set: accuracy, loss and calibration, with intervals. */
import type { Dataset } from "../data/dataset.ts";
import type { Batch } from "../data/serve.ts";
import type { Role } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";
import {
  type ModelSource,
  type Session,
  type SessionOptions,
  type SessionValue,
  withSession,
} from "../runtime/session.ts";
import { fitInput, type InputFit } from "./fit-input.ts";
import {
  type Evaluation,
  newTally,
  type Rows,
  record,
  summarize,
  type Tally,
  withoutClasses,
} from "./tally.ts";

/** What to measure, and on what. */
export interface EvaluateOptions extends SessionOptions {
  /** The samples to take. Default `test`. */
  readonly split?: Role;
  /** Only the first so many samples of the split. */
  readonly limit?: number;
  /** Samples per run, where the network's shape leaves it open. Default 128. */
  readonly batchSize?: number;
  /** The output that holds the classes. Default: the first of shape [N, C] or [N, C, 1, 1]. */
  readonly output?: string;
  /** Keeps every sample's outputs in `predictions.outputs`. Default false. */
  readonly keepOutputs?: boolean;
  /** Seed of the bootstrap. Default 0. */
  readonly seed?: number;
  /** Called after every batch. */
  readonly onProgress?: (progress: EvaluateProgress) => void;
}

/** How far an evaluation is. */
export interface EvaluateProgress {
  readonly done: number;
  readonly total: number;
  /** Share of right answers so far. */
  readonly top1: number;
}

const defaultBatchSize = 128;

/**
 * Evaluates a classifier on one split of a data set.
 * @throws EspalierError `DATA_MISMATCH` where samples or labels do not fit the network, `DATA_INVALID`,
 * `DATA_NOT_FOUND`, `RUNTIME_FAILED`, `PROVIDER_MISSING`, `ABORTED`.
 */
export async function evaluate(
  model: ModelSource,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  return withSession(model, options, (session) => evaluateSession(session, dataset, options));
}

/** The same as {@link evaluate} with a network that is already loaded. The session stays open. */
export async function evaluateSession(
  session: Session,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { split = "test", limit, signal } = options;
  requireCount("limit", limit);
  requireCount("batchSize", options.batchSize);
  if (dataset.labelKind !== "classes") throw withoutClasses(dataset);
  const input = fitInput(session.inputs, dataset);
  const output = chooseOutput(session.outputs, options.output);
  const total = Math.min(dataset.size(split), limit ?? Number.POSITIVE_INFINITY);
  const tally = newTally(total, output, dataset, options.keepOutputs ?? false);
  const { fixedBatch } = input;
  const wanted = options.batchSize ?? defaultBatchSize;
  // A fixed batch is run at its size, but loaded in larger pieces.
  const batchSize = fixedBatch === undefined ? wanted : Math.ceil(wanted / fixedBatch) * fixedBatch;
  let waiting: Promise<() => void> | undefined;
  for await (const batch of dataset.batches(split, { batchSize, limit, signal })) {
    const ready = runBatch(session, input, output.name, batch).then((rows) => () => {
      for (const part of rows) record(tally, batch, part);
    });
    // Awaited in the next round, so that onnxruntime computes while the batch before is scored.
    ready.catch(() => undefined);
    (await waiting)?.();
    waiting = ready;
    if (tally.done > 0) report(tally, total, options);
  }
  (await waiting)?.();
  report(tally, total, options);
  return summarize(tally, split, dataset, options.seed ?? 0);
}

async function runBatch(
  session: Session,
  input: InputFit,
  output: string,
  batch: Batch,
): Promise<readonly Rows[]> {
  const count = batch.indices.length;
  const step = input.fixedBatch ?? count;
  const rows: Rows[] = [];
  for (let from = 0; from < count; from += step) {
    const to = Math.min(count, from + step);
    const feeds = new Map([[input.name, input.tensor(batch, from, to)]]);
    const tensor = (await session.run(feeds, [output])).get(output);
    if (tensor !== undefined) rows.push({ from, to, tensor });
  }
  return rows;
}

function requireCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value > 0)) return;
  throw new EspalierError("USAGE", `${name} is ${value}; expected a whole number of at least 1`);
}

function chooseOutput(outputs: readonly SessionValue[], wanted: string | undefined): SessionValue {
  const hasClasses = ({ shape }: SessionValue) =>
    (shape.length === 2 || shape.slice(2).every((dim) => dim === 1)) && shape.length > 1;
  const found =
    wanted === undefined
      ? (outputs.find(hasClasses) ?? (outputs.length === 1 ? outputs[0] : undefined))
      : outputs.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const list = outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  throw new EspalierError(
    "DATA_MISMATCH",
    wanted === undefined
      ? `the network has no output of shape [N, classes]; it has ${list}`
      : `the network has no output ${wanted}; it has ${list}`,
    { hint: "Name the output that holds the classes: --output NAME.", data: { outputs: list } },
  );
}

function report(tally: Tally, total: number, { onProgress }: EvaluateOptions): void {
  onProgress?.({ done: tally.done, total, top1: tally.correct / Math.max(1, tally.done) });
}
