/**
 * @file The life of the worker thread: started at the first call, shared by all sessions, and no
 * reason for the process to stay alive while nothing is pending.
 *
 * Whatever ends the thread alone (an uncaught error, no memory left) rejects all pending calls. A
 * thread cannot contain a native crash: a segmentation fault inside onnxruntime ends the process.
 */
import { setTimeout } from "node:timers/promises";
import { type ResourceLimits, type TransferListItem, Worker } from "node:worker_threads";
import { EspalierError } from "../errors.ts";
import { close, closeBlocking, newGate } from "./gate.js";
import type { CallName, Calls, Failure, Request, Response } from "./protocol.ts";

/** A thread with onnxruntime in it. */
export interface WorkerThread {
  /** False once the thread has ended; every call then fails with `RUNTIME_FAILED`. */
  readonly isAlive: () => boolean;
  /** Posts a call. Items of `transfer` are empty here afterwards. */
  readonly call: <K extends CallName>(
    name: K,
    ask: Calls[K]["ask"],
    transfer?: readonly TransferListItem[],
  ) => Promise<Calls[K]["answer"]>;
  /** Ends the thread after the run at hand; pending calls fail. */
  readonly terminate: () => Promise<void>;
}

interface Pending {
  readonly name: CallName;
  readonly resolve: (answer: Calls[CallName]["answer"]) => void;
  readonly reject: (error: unknown) => void;
}

/** How long the end of the process waits for a run that is going on. */
const longestWaitMs = 10_000;

// The one piece of module state: onnxruntime's environment is one per process as well.
let shared: WorkerThread | undefined;

/** The thread that all sessions of this process share; a new one if the last has ended. */
export function sharedWorker(): WorkerThread {
  if (shared === undefined || !shared.isAlive()) shared = startWorker();
  return shared;
}

/** Starts a thread of its own. */
export function startWorker(resourceLimits: ResourceLimits = {}): WorkerThread {
  const gate = newGate();
  // `execArgv` empty: loaders of the parent (tsx) have nothing to do in a plain JavaScript thread.
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    execArgv: [],
    workerData: gate,
    resourceLimits,
  });
  worker.unref();
  const beforeExit = (): void => closeBlocking(gate, longestWaitMs);
  process.once("exit", beforeExit);
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let end: EspalierError | undefined;

  const endWith = (reason: string): void => {
    process.off("exit", beforeExit);
    const details = /memory/i.test(reason) ? { hint: "Use a smaller batch." } : {};
    end ??= new EspalierError(
      "RUNTIME_FAILED",
      `The ONNX Runtime thread ended: ${reason}`,
      details,
    );
    for (const { reject } of pending.values()) reject(end);
    pending.clear();
  };
  worker.on("error", (error) => endWith(error instanceof Error ? error.message : String(error)));
  worker.on("exit", (code) => endWith(`exit code ${code}`));
  worker.on("message", (response: Response) => {
    const call = pending.get(response.id);
    if (call === undefined) return;
    pending.delete(response.id);
    if (pending.size === 0) worker.unref();
    if ("failure" in response) call.reject(errorOf(call.name, response.failure));
    else call.resolve(response.answer);
  });

  return {
    isAlive: () => end === undefined,
    call: (name, ask, transfer = []) =>
      new Promise((resolve, reject) => {
        if (end !== undefined) return reject(end);
        const id = nextId++;
        // `name` and `ask` come from one generic call, so they belong together.
        worker.postMessage({ id, call: name, ask } as Request, transfer);
        // The worker answers `name` with the answer of `name`; the map of pending calls forgets that.
        pending.set(id, { name, resolve: resolve as Pending["resolve"], reject });
        worker.ref();
      }),
    async terminate() {
      while (end === undefined && !close(gate)) await setTimeout(1);
      await worker.terminate();
      endWith("it was terminated");
    },
  };
}

/** The typed error for what went wrong in the worker. */
function errorOf(call: CallName, failure: Failure): EspalierError {
  if (failure.kind === "provider") {
    const { provider, available, message } = failure;
    return new EspalierError(
      "PROVIDER_MISSING",
      `The execution provider "${provider}" is not available here: ${message}`,
      {
        hint: `This build of ONNX Runtime knows: ${available.join(", ")}.`,
        data: { provider, available },
      },
    );
  }
  const doing = call.startsWith("open")
    ? "could not load the model"
    : "failed while running the network";
  return new EspalierError("RUNTIME_FAILED", `ONNX Runtime ${doing}: ${failure.message}`, {
    data: { call, message: failure.message },
  });
}
