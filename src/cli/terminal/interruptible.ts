/**
 * @file Work that leaves the event loop no turn, so that no handler of a signal could run, and that the user
 * can stop all the same.
 *
 * Ctrl-C ends it where it stands: V8 breaks a script off that Node runs with `breakOnSigint`. The other signals
 * have their own effect meanwhile, which is to end the process. Nothing that is stopped so may hold a lock or have
 * written half of a file.
 */
import { createContext, runInContext } from "node:vm";
import { EspalierError } from "../../errors.ts";

const fatalSignals = ["SIGTERM", "SIGHUP"] as const;

/**
 * What `work` returns. Of work that is asynchronous only what comes before the first `await` is meant. Fails with
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
  // It is an error of the script's own realm, so that `instanceof` does not know it.
  const isObject = typeof error === "object" && error !== null;
  return isObject && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED";
}
