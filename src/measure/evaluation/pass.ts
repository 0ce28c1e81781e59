/** @file One pass of a network over the samples of a role. */

import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import type { Role } from "../../data/splits.ts";
import { assert, EspalierError } from "../../errors.ts";
import type { Session } from "../../runtime/session.ts";
import { fitInput, type InputFit } from "../inputs/fit-input.ts";
import { type Draws, meanOfDraws } from "./draws.ts";
import type { Rows } from "./rows.ts";

/** Which samples, and what becomes of them. */
export interface Pass {
  readonly split: Role;
  readonly limit: number | undefined;
  /** Samples per run where the network leaves it open. */
  readonly batchSize: number;
  /** Names of the outputs that are read. */
  readonly outputs: readonly string[];
  readonly signal: AbortSignal | undefined;
  /** How often each batch of a random network is run, and what its outputs are. */
  readonly draws?: Draws | undefined;
  /** Takes what the network gave for some samples of a batch. */
  readonly record: (batch: Batch, rows: Rows) => void;
  /** Called after every batch that was recorded. */
  readonly onBatch: () => void;
}

/** How many samples a pass takes. Fails with `USAGE` for a count that is none. */
export function samplesIn(
  dataset: Dataset,
  split: Role,
  limit: number | undefined,
  batchSize: number | undefined,
): number {
  requireCount("limit", limit);
  requireCount("batchSize", batchSize);
  return Math.min(dataset.size(split), limit ?? Number.POSITIVE_INFINITY);
}

/** Runs the network on the samples of a role, in order. A fixed batch is run at its size. */
export async function passOver(session: Session, dataset: Dataset, pass: Pass): Promise<void> {
  const input = fitInput(session.inputs, dataset);
  const { fixedBatch } = input;
  const { split, limit, signal, batchSize: wanted, outputs, draws, record, onBatch } = pass;
  // A fixed batch is run at its size, but loaded in larger pieces.
  const batchSize = fixedBatch === undefined ? wanted : Math.ceil(wanted / fixedBatch) * fixedBatch;
  let waiting: Promise<() => void> | undefined;
  for await (const batch of dataset.batches(split, { batchSize, limit, signal })) {
    const run = () => runBatch(session, input, outputs, batch);
    const ready = (draws === undefined ? run() : meanOfDraws(run, draws)).then((rows) => () => {
      for (const part of rows) record(batch, part);
      onBatch();
    });
    // Awaited in the next round, so that onnxruntime computes while the batch before is scored.
    ready.catch(() => undefined);
    (await waiting)?.();
    waiting = ready;
  }
  (await waiting)?.();
}

/** Runs the network on one batch; several times where its shape fixes a smaller one. */
export async function runBatch(
  session: Session,
  input: InputFit,
  outputs: readonly string[],
  batch: Batch,
): Promise<readonly Rows[]> {
  const count = batch.indices.length;
  const step = input.fixedBatch ?? count;
  const rows: Rows[] = [];
  for (let from = 0; from < count; from += step) {
    const to = Math.min(count, from + step);
    const feeds = new Map([[input.name, input.tensor(batch, from, to)]]);
    const results = await session.run(feeds, outputs);
    const tensors = outputs.map((name) => {
      const tensor = results.get(name);
      assert(tensor !== undefined, `a session gives the output ${name} that was asked for`);
      return tensor;
    });
    rows.push({ from, to, tensor: tensors[0], tensors });
  }
  return rows;
}

function requireCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value > 0)) return;
  throw new EspalierError("USAGE", `${name} is ${value}; expected a whole number of at least 1`);
}
