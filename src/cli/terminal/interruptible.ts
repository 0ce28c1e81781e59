/**
 * @file Runs work that blocks the event loop, during which no signal handler could run, so that the user can still stop
 * it.
 *
 * Ctrl-C ends it where it stands: V8 breaks a script off that Node runs with `breakOnSigint`. The other signals have
 * their own effect meanwhile, which is to end the process. Work that is stopped in this way must neither hold a lock
 * nor be in the middle of writing a file.
 */
import { createContext, runInContext } from "node:vm";
import { EspalierError } from "../../errors.ts";

const fatalSignals = ["SIGTERM", "SIGHUP"] as const;

/**
 * Returns the result of `work`. For asynchronous work this covers only the part before the first `await`. Fails with
 * `ABORTED` on Ctrl-C.
 */
export function interruptible<T>(work: () => T): T {
  const held = fatalSignals.map((signal) => ({ signal, listeners: process.listeners(signal) }));
  for (const { signal } of held) process.removeAllListeners(signal);
  let result: { readonly value: T } | undefined;
  const run = () => {
    result = { value: work() };
  };
  try {
    runInContext("run()", createContext({ run }), { breakOnSigint: true });
  } catch (error) {
    if (isInterruption(error)) throw new EspalierError("ABORTED", "The command was stopped.");
    throw error;
  } finally {
    for (const { signal, listeners } of held)
      for (const listener of listeners) process.on(signal, listener);
  }
  if (result === undefined) throw new EspalierError("ABORTED", "The command was stopped.");
  return result.value;
}

function isInterruption(error: unknown): boolean {
  // The error belongs to the script's own realm, so `instanceof` does not recognise it.
  const isObject = typeof error === "object" && error !== null;
  return isObject && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED";
}
