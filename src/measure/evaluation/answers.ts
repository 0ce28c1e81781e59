/**
 * @file Samples without labels, with what a network says of them in their place, so that another can be
 * measured by how far it agrees, and can learn from it.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch, BatchOptions } from "../../data/serve.ts";
import { type Role, roles } from "../../data/splits.ts";
import {
  openSession,
  type Session,
  type SessionOptions,
  withSession,
} from "../../runtime/session.ts";
import type { ModelSource } from "../../runtime/values.ts";
import { type HostTensor, toNumbers } from "../../tensor/host-tensor.ts";
import { fitInput } from "../inputs/fit-input.ts";
import { declaredKind } from "./declared-kind.ts";
import { outputNamed, type Task, taskOf } from "./outputs.ts";
import { runBatch } from "./pass.ts";

/** How the network that answers is run. */
export interface AnswerOptions extends SessionOptions {
  /** The output that counts. Default: told by what it gives, see {@link taskOf}. */
  readonly output?: string | undefined;
  /** Whether its output tells classes apart, whatever its shape leaves open. Default: where it is named. */
  readonly wantsLabels?: boolean | undefined;
}

/** A network's task, and what it gave for a few samples, by output. */
export interface FoundTask {
  readonly task: Task;
  readonly results: ReadonlyMap<string, HostTensor>;
}

/**
 * Runs a network on two samples, or as many as its shape fixes, and tells its task: what shapes a graph
 * declares may be open. Fails with `DATA_MISMATCH` where samples do not fit the network, as {@link taskOf},
 * and with `RUNTIME_FAILED`.
 */
export async function findTask(
  dataset: Dataset,
  model: ModelSource,
  { output: wanted, wantsLabels, ...options }: AnswerOptions,
): Promise<FoundTask> {
  return withSession(model, options, async (session) => {
    if (wanted !== undefined) outputNamed(session.outputs, wanted);
    const names = session.outputs.map(({ name }) => name);
    const input = fitInput(session.inputs, dataset);
    const samples = input.fixedBatch ?? 2;
    const role = roles.find((candidate) => dataset.size(candidate) > 0) ?? "test";
    const results = new Map<string, HostTensor>();
    let fed = 0;
    for await (const batch of dataset.batches(role, { batchSize: samples, limit: samples })) {
      const [rows] = await runBatch(session, input, names, batch);
      for (const [i, tensor] of rows.tensors.entries()) results.set(names[i], tensor);
      fed = input.fixedBatch ?? batch.indices.length;
      break;
    }
    const kinds = new Map(
      await Promise.all(
        names.map(async (name) => [name, await declaredKind(model, name)] as const),
      ),
    );
    const isProbability = (name: string) => kinds.get(name) === "probabilities";
    const { sampleShape, preprocessing } = dataset;
    const [a, b, c] = sampleShape;
    const image = preprocessing.layout === "nchw" ? [a, b, c] : [c, a, b];
    const task = taskOf({
      results,
      samples: fed,
      wanted,
      wantsLabels,
      isProbability,
      image: sampleShape.length === 3 ? image : undefined,
    });
    return { task, results };
  });
}

/** Numbers of one sample. */
export type Numbers = Float32Array | Float64Array;

/** What is kept of the answers of a network, and how it is found. */
export interface Answering<Row extends { readonly byteLength: number }> {
  readonly dataset: Dataset;
  readonly model: ModelSource;
  readonly session: SessionOptions;
  readonly outputs: readonly string[];
  /** What is to be known of a sample, in memory of its own, from the numbers of each output. */
  readonly rowOf: (outputs: readonly Numbers[]) => Row;
}

/** Answers are kept, not computed again, up to so many bytes. */
const keptBytes = 2 ** 28;

/** Serves the batches of a role, each with what the network says of its samples. */
export type Answered<Row> = (
  role: Role,
  options: BatchOptions,
) => AsyncGenerator<{ readonly batch: Batch; readonly rows: readonly Row[] }>;

/**
 * Answers for each sample, computed when it is first served, and again for each augmented one, which is
 * answered as it is after augmentation. Batches fail as those of the data set, and with `RUNTIME_FAILED`.
 */
export function answered<Row extends { readonly byteLength: number }>({
  dataset,
  model,
  session: sessionOptions,
  outputs,
  rowOf,
}: Answering<Row>): Answered<Row> {
  const kept = new Map<number, Row>();
  let bytes = 0;
  const keep = (index: number, row: Row) => {
    if (kept.has(index) || bytes + row.byteLength > keptBytes) return;
    bytes += row.byteLength;
    kept.set(index, row);
  };

  async function answer(batch: Batch, session: () => Promise<Session>, isAugmented: boolean) {
    const known = isAugmented ? [] : [...batch.indices].flatMap((index) => kept.get(index) ?? []);
    if (known.length === batch.indices.length) return known;
    const opened = await session();
    const input = fitInput(opened.inputs, dataset);
    const rows: Row[] = [];
    for (const { from, to, tensors } of await runBatch(opened, input, outputs, batch)) {
      const samples = tensors.map(eachSample);
      for (let i = from; i < to; i++) {
        const row = rowOf(samples.map((numbersOf) => numbersOf(i - from)));
        rows.push(row);
        if (!isAugmented) keep(batch.indices[i], row);
      }
    }
    return rows;
  }

  return async function* (role, options) {
    let opening: Promise<Session> | undefined;
    const session = () => {
      opening ??= openSession(model, sessionOptions);
      return opening;
    };
    try {
      for await (const batch of dataset.batches(role, options))
        yield { batch, rows: await answer(batch, session, options.augment !== undefined) };
    } finally {
      await (await opening)?.close();
    }
  };
}

/** The numbers of the sample at each place of the first axis. */
export function eachSample(tensor: HostTensor): (at: number) => Numbers {
  const values = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  const width = values.length / tensor.shape[0];
  return (at) => values.subarray(at * width, (at + 1) * width);
}
