/** @file onnxruntime sessions: load a network, run it, time it. The work is done in a worker thread. */

import { EspalierError } from "../errors.ts";
import type { RuntimeHost } from "./host.ts";
import type { Optimization, WireNodeTime, WireOptions } from "./protocol.ts";
import { sharedHost } from "./shared-host.ts";
import type { Feeds, ModelSource, SessionValue } from "./values.ts";
import { fromWire, fromWireInputs, fromWireOutput, toWireFeeds, toWireModel } from "./wire.ts";

/** How a model is loaded. */
export interface SessionOptions {
  /** onnxruntime's names, most wanted first; default `["cpu"]`. */
  readonly providers?: readonly string[] | undefined;
  /** Threads inside an operator; default onnxruntime's choice (the physical cores). */
  readonly threads?: number | undefined;
  /** Default `"all"`. */
  readonly optimization?: Optimization | undefined;
  /** Gives up waiting for the load; the thread finishes it and releases the session. */
  readonly signal?: AbortSignal | undefined;
}

/** What options that hold more say of sessions. */
export function sessionOptionsOf({
  providers,
  threads,
  optimization,
  signal,
}: SessionOptions): SessionOptions {
  return { providers, threads, optimization, signal };
}

/** What `run` may do with its feeds. */
export interface RunOptions {
  /** The feeds change owner instead of being copied: their arrays are empty afterwards. */
  readonly handOver?: boolean | undefined;
}

/** A loaded network. Close it: onnxruntime's memory is not garbage-collected. */
export interface Session {
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  /** The outputs named by `fetches` (default all). */
  run(feeds: Feeds, fetches?: readonly string[], options?: RunOptions): Promise<Feeds>;
  /**
   * Milliseconds of each of `runs` runs after `warmup` that are not counted, measured in the worker.
   * Feeds that are the same object as in the last call are not sent again.
   */
  time(
    feeds: Feeds,
    options: { readonly runs: number; readonly warmup: number },
  ): Promise<Float64Array>;
  /** Releases the memory. Closing twice is no error. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a model.
 * @throws EspalierError `RUNTIME_FAILED` with onnxruntime's words, `PROVIDER_MISSING`, `ABORTED`.
 */
export async function openSession(
  model: ModelSource,
  options: SessionOptions = {},
): Promise<Session> {
  return openSessionOn(sharedHost(), model, options);
}

/** Does as {@link openSession}, in a worker of the caller's. */
export async function openSessionOn(
  host: RuntimeHost,
  model: ModelSource,
  options: SessionOptions = {},
): Promise<Session> {
  const { signal } = options;
  if (signal?.aborted) throw aborted();
  const opening = openIn(host, model, options);
  if (signal === undefined) return opening;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(aborted());
      // Nobody else holds the session, nor hears of an error.
      opening.then((session) => session.close()).catch(() => {});
    };
    signal.addEventListener("abort", abort, { once: true });
    opening.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The execution providers that this build of onnxruntime knows; whether one starts, only a load tells. */
export function listProviders(host: RuntimeHost = sharedHost()): Promise<readonly string[]> {
  return host.call("providers", null);
}

/** Opens a session for the length of `use`, and closes it whatever happens. */
export async function withSession<T>(
  model: ModelSource,
  options: SessionOptions,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(model, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** The time of one node, as onnxruntime ran it. */
export type NodeTime = WireNodeTime;

/**
 * The time that each node took, mean and median over `runs`, in the order of running. Names are those of the
 * graph after onnxruntime's rewriting: at `"basic"` a fused node keeps its first node's name where
 * it can, at `"all"` a convolution is named after the value that it computes, plus `_nchwc`.
 */
export async function profileNodes(
  model: ModelSource,
  feeds: Feeds,
  options: SessionOptions & { readonly runs: number; readonly warmup: number },
  host: RuntimeHost = sharedHost(),
): Promise<readonly NodeTime[]> {
  const { runs, warmup } = options;
  const transfer: ArrayBuffer[] = [];
  const wireFeeds = toWireFeeds(feeds, false, transfer);
  const wireModel = toWireModel(model, transfer);
  const ask = { model: wireModel, options: wireOptions(options), feeds: wireFeeds, runs, warmup };
  return host.call("profile", ask, transfer);
}

/** The options, complete. */
export function wireOptions(options: SessionOptions): WireOptions {
  const { providers = ["cpu"], threads, optimization = "all" } = options;
  return { providers, threads, optimization };
}

function aborted(): EspalierError {
  return new EspalierError("ABORTED", "Stopped while the network was being loaded.");
}

async function openIn(
  host: RuntimeHost,
  model: ModelSource,
  options: SessionOptions,
): Promise<Session> {
  const transfer: ArrayBuffer[] = [];
  const ask = { model: toWireModel(model, transfer), options: wireOptions(options) };
  const { session, inputs, outputs } = await host.call("open", ask, transfer);
  let isOpen = true;
  let held: Feeds | undefined;

  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    held = undefined;
    // A thread that has ended has released everything already.
    if (host.isAlive()) await host.call("close", { session });
  };
  return {
    inputs: fromWireInputs(inputs, outputs),
    outputs: outputs.map(fromWireOutput),
    async run(feeds, fetches, { handOver = false } = {}) {
      const transfer: ArrayBuffer[] = [];
      const ask = { session, feeds: toWireFeeds(feeds, handOver, transfer), fetches };
      const results = await host.call("run", ask, transfer);
      return new Map([...results].map(([name, tensor]) => [name, fromWire(tensor)]));
    },
    async time(feeds, { runs, warmup }) {
      const transfer: ArrayBuffer[] = [];
      const wire = feeds === held ? undefined : toWireFeeds(feeds, false, transfer);
      // Both are posted at once, so that no other call can come between them.
      const holding = wire && host.call("hold", { session, feeds: wire }, transfer);
      held = feeds;
      const timing = host.call("time", { session, runs, warmup });
      try {
        const [times] = await Promise.all([timing, holding]);
        return times;
      } catch (error) {
        held = undefined;
        throw error;
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
