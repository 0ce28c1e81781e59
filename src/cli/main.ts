#!/usr/bin/env node
/** @file The `espalier` command. */
import { main } from "./program.ts";
import { processIo } from "./terminal/io.ts";

/**
 * A run of onnxruntime cannot be interrupted; it gets this many milliseconds to end after the user stops the command.
 */
const graceMs = 3000;

const controller = new AbortController();
const stop = (): void => {
  // A second signal ends the process at once.
  if (controller.signal.aborted) process.exit(130);
  controller.abort();
  setTimeout(() => process.exit(130), graceMs).unref();
};
// SIGHUP: the terminal is closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
// A reader that closes the pipe early (`| head`) is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
// A closed stderr is not an error either: the result does not depend on progress lines.
process.stderr.on("error", () => undefined);

process.exitCode = await main(process.argv.slice(2), processIo(controller.signal));
