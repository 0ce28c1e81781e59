#!/usr/bin/env node
/** @file The `espalier` command. */
import { main } from "./program.ts";
import { processIo } from "./terminal/io.ts";

/** A run of onnxruntime cannot be broken off; it gets so long to end after the user stops us. */
const graceMs = 3000;

const controller = new AbortController();
const stop = (): void => {
  // The second time is for those who do not want to wait.
  if (controller.signal.aborted) process.exit(130);
  controller.abort();
  setTimeout(() => process.exit(130), graceMs).unref();
};
// SIGHUP: the terminal is closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
// Nor is nobody who watches the progress; the result does not depend on it.
process.stderr.on("error", () => undefined);

process.exitCode = await main(process.argv.slice(2), processIo(controller.signal));
