/**
 * @file ONNX Runtime in a process of its own: a native crash (a segmentation fault, an abort, no memory left)
 * ends that process alone, and every call that was pending fails with `RUNTIME_FAILED`.
 */
import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { EspalierError } from "../errors.ts";
import { readFrames, writeFrame } from "./frames.js";
import { doing, PendingCalls, type RuntimeHost } from "./host.ts";
import type { CallName } from "./protocol.ts";
import { versions } from "./versions.ts";

/** Characters of the process's last words that an error keeps. */
const keptWords = 2000;

/** Starts such a process. It ends with this one, however that ends, and in the middle of a run, too. */
export function startProcess(): RuntimeHost {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./child.js", import.meta.url))], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  // All are sockets, and the last one goes both ways, which the types do not tell.
  const [, , stderr, stream] = child.stdio as unknown as readonly Socket[];
  const handles = [child, stderr, stream];
  const unref = (): void => {
    for (const handle of handles) handle.unref();
  };
  const calls = new PendingCalls({
    post: (request) => writeFrame(stream, request),
    ref() {
      for (const handle of handles) handle.ref();
    },
    unref,
  });
  unref();
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  readFrames(stream, (response) => calls.settle(response));
  stream.on("error", () => undefined); // the end of the process tells why

  const lastWords = lastWordsOf(stderr);
  const ended = new Promise<void>((resolve) => {
    // After the last words, unlike "exit".
    child.once("close", (code, signal) => {
      process.off("exit", kill);
      calls.endWith(crash(calls.atWork, { code, signal, words: lastWords() }));
      resolve();
    });
  });
  child.once("error", (cause) => {
    process.off("exit", kill);
    const message = `No process could be started for ONNX Runtime: ${cause.message}`;
    calls.endWith(new EspalierError("RUNTIME_FAILED", message, { cause }));
  });

  return {
    isAlive: calls.isAlive,
    call: calls.call,
    async terminate() {
      calls.endWith(
        new EspalierError("RUNTIME_FAILED", "The ONNX Runtime process was terminated."),
      );
      child.ref();
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        kill();
        await ended;
      }
    },
  };
}

/** Keeps what a process says last. */
function lastWordsOf(stderr: Socket): () => string {
  let words = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-keptWords);
  });
  return () => words.trim();
}

/** How the process ended, and what it said last. */
interface Crash {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly words: string;
}

function crash(call: CallName | undefined, { code, signal, words }: Crash): EspalierError {
  const { onnxruntime } = versions();
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const what = call === undefined ? "ended" : `${doing(call)}: it crashed`;
  const isMemory = signal === "SIGKILL" || /memory|bad_alloc/i.test(words);
  return new EspalierError("RUNTIME_FAILED", `ONNX Runtime ${what} (${how}).`, {
    hint: isMemory
      ? "There was not memory enough: give it a smaller batch, or smaller sizes for open dimensions."
      : `ONNX Runtime ${onnxruntime} does not survive something in this network. It ran in a process of its own, so nothing else is lost; export the network anew, or leave out the operator that is at fault.`,
    data: { call, signal, exitCode: code, stderr: words },
  });
}
