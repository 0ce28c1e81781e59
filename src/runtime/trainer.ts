/**
 * @file Sessions with state: a graph that is run again and again, each run reading what the run
 * before it computed. The state stays in the worker thread; only batches go there, and only what is
 * asked for (a loss, a count) comes back.
 */
import { EspalierError } from "../errors.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { RuntimeHost } from "./host.ts";
import { type SessionOptions, wireOptions } from "./session.ts";
import { sharedHost } from "./shared-host.ts";
import type { Feeds, ModelSource } from "./values.ts";
import { fromWire, toWireFeeds, toWireModel } from "./wire.ts";

/** How a session with state is opened. */
export interface TrainerOptions extends SessionOptions {
  /** The output that computes the next value of each state input, by input. Types and shapes are equal. */
  readonly state: ReadonlyMap<string, string>;
  /** The first value of every state input. */
  readonly initial: ReadonlyMap<string, HostTensor>;
  /**
   * A bool output of one element. A step where it is false leaves the state as it was, and the steps
   * that were posted after it do not run.
   */
  readonly guard?: string | undefined;
}

/** What became of a step. */
export interface StepResult {
  /** `refused` where the guard was false, `skipped` where it was false in a step before. */
  readonly status: "done" | "refused" | "skipped";
  /** The outputs asked for; none of a skipped step. */
  readonly results: Feeds;
}

/** A loaded graph with its state. Close it: its memory is not garbage-collected. */
export interface Trainer {
  /**
   * Runs one step. Steps run in the order of the calls; call again before the promise settles, and
   * the next batch lies ready when this step ends. The feeds change owner: their arrays are empty
   * afterwards.
   */
  step(feeds: Feeds, fetches: readonly string[]): Promise<StepResult>;
  /** Copies of the state after all steps posted so far, by input name (default all). */
  readState(names?: readonly string[]): Promise<Feeds>;
  /** Overwrites some or all of the state. A trainer that was stopped by its guard can go on. */
  writeState(state: Feeds): Promise<void>;
  /** Releases the memory. Closing twice is no error. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a graph with state.
 * @throws EspalierError `RUNTIME_FAILED` with onnxruntime's words, `PROVIDER_MISSING`, `ABORTED`.
 */
export async function openTrainer(
  model: ModelSource,
  options: TrainerOptions,
  host: RuntimeHost = sharedHost(),
): Promise<Trainer> {
  const { state, initial, guard, signal } = options;
  if (signal?.aborted) throw new EspalierError("ABORTED", "Stopped before the network was loaded.");
  const transfer: ArrayBuffer[] = [];
  const { session } = await host.call(
    "openTraining",
    {
      model: toWireModel(model, transfer),
      options: wireOptions(options),
      state,
      initial: toWireFeeds(initial, false, transfer),
      guard,
    },
    transfer,
  );
  return trainerOf(host, session, (feeds) => [feeds]);
}

/** A session with state that a host holds; `split` says what of a batch each replica is fed. */
export function trainerOf(
  host: RuntimeHost,
  session: number,
  split: (feeds: Feeds) => readonly Feeds[],
): Trainer {
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    if (host.isAlive()) await host.call("close", { session });
  };
  return {
    async step(feeds, fetches) {
      const transfer: ArrayBuffer[] = [];
      const wire = split(feeds).map((own) => toWireFeeds(own, true, transfer));
      const { status, results } = await host.call(
        "step",
        { session, feeds: wire, fetches },
        transfer,
      );
      return { status, results: fromWireFeeds(results) };
    },
    async readState(names) {
      return fromWireFeeds(await host.call("readState", { session, names }));
    },
    async writeState(state) {
      const transfer: ArrayBuffer[] = [];
      const ask = { session, state: toWireFeeds(state, false, transfer) };
      await host.call("writeState", ask, transfer);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function fromWireFeeds(tensors: ReadonlyMap<string, Parameters<typeof fromWire>[0]>): Feeds {
  return new Map([...tensors].map(([name, tensor]) => [name, fromWire(tensor)]));
}
