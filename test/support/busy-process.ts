/** @file Computes for a minute without a turn of the event loop, as a command does, with its signal handlers. */
import { reportFailure } from "../../src/cli/terminal/failure.ts";
import { interruptible } from "../../src/cli/terminal/interruptible.ts";
import { processIo } from "../../src/cli/terminal/io.ts";

const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    process.stderr.write("handled\n");
    controller.abort();
  });
const io = processIo(controller.signal);
const isLater = process.argv[2] === "later";

/** A minute of computing that nothing breaks off. */
function compute(): number {
  let sum = 0;
  for (const end = Date.now() + 60_000; Date.now() < end; ) sum += Math.sqrt(sum + 1);
  return sum;
}

try {
  if (isLater) {
    // Before and behind such work the handlers are what they were.
    const seven = interruptible(() => 7);
    process.stderr.write(`ready ${seven}\n`);
    setInterval(() => io.signal.aborted && process.exit(0), 20);
  } else {
    process.stderr.write("ready\n");
    interruptible(compute);
  }
} catch (error) {
  process.exitCode = reportFailure(error, io, false);
}
