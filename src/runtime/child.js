/**
 * @file The process in which ONNX Runtime lives when a crash of it must end nothing else: passes messages
 * between its parent and the thread of `worker.js`.
 *
 * Plain JavaScript, because Node starts this file by itself: from source (under tsx and vitest alike)
 * and from the build. This thread is never inside onnxruntime, so it notices at once that the parent is gone.
 */
import { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { readFrames, writeFrame } from "./frames.js";
import { newGate } from "./gate.js";

const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: newGate() });
const parent = new Socket({ fd: 3, readable: true, writable: true });

readFrames(parent, (request, buffers) => worker.postMessage(request, [...buffers]));
worker.on("message", (response) => writeFrame(parent, response));
worker.on("error", (error) => {
  // The parent keeps the last words on stderr.
  const words = `${error instanceof Error ? error.message : error}\n`;
  process.stderr.write(words, () => process.exit(1));
});
const die = () => process.kill(process.pid, "SIGKILL"); // a run that is going on cannot be broken off otherwise
parent.on("end", die);
parent.on("error", die);
// A terminal sends its signals to the parent, too, which decides what becomes of this process.
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
  process.on(signal, () => undefined);
