/** @file `events.jsonl` of a run: what happened when, one JSON object a line. */
import { appendLine } from "../../files/plain-file.ts";
import { runPaths } from "./run-folder.ts";

/** Adds a line to `events.jsonl`. Fails with `FILE_UNREADABLE`. */
export function logEvent(
  run: string,
  event: string,
  facts: Readonly<Record<string, unknown>> = {},
): void {
  const line = JSON.stringify({ at: new Date().toISOString(), event, ...facts });
  appendLine(runPaths(run).events, line);
}

/** Notes why a run ends early, where that can be written: the reason itself is what is to be told. */
export function logEnd(run: string, event: "stopped" | "failed", error: unknown): void {
  try {
    logEvent(run, event, { message: String(error) });
  } catch {
    // The disk that ended the run may be full still.
  }
}
