/**
 * @file ONNX Runtime in a thread of this process: started at the first call, and no reason for the
 * process to stay alive while nothing is pending.
 *
 * Whatever ends the thread alone (an uncaught error, no memory left) rejects all pending calls. A
 * thread cannot contain a native crash: a segmentation fault inside onnxruntime ends the process.
 * `isolated` in `shared-host.ts` has a process of its own for that.
 */
import { setTimeout } from "node:timers/promises";
import { type ResourceLimits, Worker } from "node:worker_threads";
import { EspalierError } from "../errors.ts";
import { close, closeBlocking, newGate } from "./gate.js";
import { PendingCalls, type RuntimeHost } from "./host.ts";

/** How long the end of the process waits for a run that is going on. */
const longestWaitMs = 10_000;

/** Starts a thread of its own. Its end waits for the run at hand. */
export function startWorker(resourceLimits: ResourceLimits = {}): RuntimeHost {
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
  const calls = new PendingCalls({
    post: (request, transfer) => worker.postMessage(request, transfer),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  });
  const endWith = (reason: string): void => {
    process.off("exit", beforeExit);
    const details = /memory/i.test(reason) ? { hint: "Use a smaller batch." } : {};
    calls.endWith(
      new EspalierError("RUNTIME_FAILED", `The ONNX Runtime thread ended: ${reason}`, details),
    );
  };
  worker.on("error", (error) => endWith(error instanceof Error ? error.message : String(error)));
  worker.on("exit", (code) => endWith(`exit code ${code}`));
  worker.on("message", (response) => calls.settle(response));

  return {
    isAlive: calls.isAlive,
    call: calls.call,
    async terminate() {
      while (calls.isAlive() && !close(gate)) await setTimeout(1);
      await worker.terminate();
      endWith("it was terminated");
    },
  };
}
