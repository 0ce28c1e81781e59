/** @file A live line that goes on moving, with the time that has passed, while the main thread computes. */
import { Worker } from "node:worker_threads";
import { enterDrawing, leaveDrawing } from "./spinner-lock.js";

/** Keeps a live line moving. */
export interface Spinner {
  /**
   * Runs `write`, which draws or clears the line, while the spinner's thread does not draw; the thread then animates
   * the new line.
   */
  draw(write: () => void, line?: SpinningLine): void;
}

/** A line that a spinner may draw again. */
export interface SpinningLine {
  /** Narrower than the terminal by {@link spinnerColumns}. */
  readonly text: string;
  /** How long the phase has lasted. */
  readonly elapsedMs: number;
}

/** Columns that the spinner's sign and the time take. */
export const spinnerColumns = 15;

/** A spinner on stderr. Its thread starts with the first line, and does not keep the process alive. */
export function newSpinner(): Spinner {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  let worker: Worker | undefined;
  return {
    draw(write, line) {
      enterDrawing(shared);
      try {
        const turn = Atomics.add(shared, 1, 1) + 1;
        write();
        if (line === undefined) return;
        worker ??= started(shared);
        worker.postMessage({ text: line.text, elapsedMs: line.elapsedMs, turn });
      } finally {
        leaveDrawing(shared);
      }
    },
  };
}

function started(shared: Int32Array): Worker {
  const url = new URL("./spinner-worker.js", import.meta.url);
  const worker = new Worker(url, { workerData: shared, execArgv: [] });
  worker.unref();
  // Without the thread the line stands still, and nothing else changes.
  worker.on("error", () => {});
  return worker;
}
