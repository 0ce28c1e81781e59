/** @file Which host the sessions of this process share: a thread, or within `isolated` a process. */
import { AsyncLocalStorage } from "node:async_hooks";
import { EspalierError } from "../errors.ts";
import type { RuntimeHost } from "./host.ts";
import { startProcess } from "./worker-process.ts";
import { startWorker } from "./worker-thread.ts";

// The one piece of module state: onnxruntime's environment is one per process as well.
let thread: RuntimeHost | undefined;

/** What stands for the thread within `isolated`. */
const isolation = new AsyncLocalStorage<() => RuntimeHost>();

/** The host that all sessions share; a new one if the last has ended. */
export function sharedHost(): RuntimeHost {
  const isolatedHost = isolation.getStore();
  if (isolatedHost !== undefined) return isolatedHost();
  if (thread === undefined || !thread.isAlive()) thread = startWorker();
  return thread;
}

/**
 * Does `work`, whose networks run in a process of their own: where ONNX Runtime crashes, that ends in
 * `RUNTIME_FAILED` instead of the end of this process, with the signal in `data`. The process is gone when the
 * work is over; an abort ends it in the middle of a run, and the work fails with `ABORTED`.
 *
 * It costs some 0.2 s to start, and a copy of every tensor that goes there or comes back.
 *
 * @example
 * const { passed } = await isolated(() => verifyPruned(model, pruned));
 */
export async function isolated<T>(
  work: () => Promise<T>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<T> {
  let host: RuntimeHost | undefined;
  const current = (): RuntimeHost => {
    if (signal?.aborted) throw stopped();
    if (host === undefined || !host.isAlive()) host = startProcess();
    return host;
  };
  const stop = (): void => void host?.terminate();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await isolation.run(current, work);
  } catch (error) {
    throw signal?.aborted ? stopped(error) : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await host?.terminate();
  }
}

function stopped(cause?: unknown): EspalierError {
  if (cause instanceof EspalierError && cause.code === "ABORTED") return cause;
  return new EspalierError("ABORTED", "Stopped while networks were run.", { cause });
}
