/** @file What went wrong, as a message and an exit code. */
import { CommanderError } from "commander";
import { EspalierError } from "../errors.ts";
import { escapeForTerminal } from "../report/text.ts";
import { version } from "../runtime/versions.ts";
import { type Io, writeJson } from "./io.ts";

/** What the process ends with. */
export const exitCodes = {
  done: 0,
  ourBug: 1,
  userError: 2,
  targetMissed: 3,
  verificationFailed: 4,
  stopped: 130,
} as const;

/** Tells the user what happened and returns the exit code. */
export function reportFailure(error: unknown, io: Io, isJson: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.userError;
  if (io.signal.aborted) {
    const isResumable = error instanceof EspalierError && error.hint !== undefined;
    io.err(`stopped; ${isResumable ? error.hint : "nothing was written"}\n`);
    return exitCodes.stopped;
  }
  if (!(error instanceof EspalierError)) {
    io.err(bugReport(error));
    return exitCodes.ourBug;
  }
  const { code, message, hint, data } = error;
  io.err(`error: ${escapeForTerminal(message)}\n`);
  if (hint !== undefined) io.err(`hint: ${escapeForTerminal(hint)}\n`);
  if (isJson) writeJson(io, { error: { code, message, hint, data } });
  return exitCodeOf(error);
}

function exitCodeOf({ code }: EspalierError): number {
  if (code === "VERIFY_FAILED") return exitCodes.verificationFailed;
  if (code === "ABORTED") return exitCodes.stopped;
  return exitCodes.userError;
}

function bugReport(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const shown = stack.split("\n").map(escapeForTerminal).join("\n");
  return (
    `${shown}\n\n` +
    "This is a bug in Espalier, not a fault of yours. Please report it with the lines above,\n" +
    `the command, the model if you may share it, and: ${environment()}\n`
  );
}

function environment(): string {
  return `espalier ${version()}, Node ${process.version}, ${process.platform} ${process.arch}`;
}
