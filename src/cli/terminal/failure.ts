/** @file Failures as a message and an exit code. */
import { CommanderError } from "commander";
import { EspalierError } from "../../errors.ts";
import { version } from "../../runtime/versions.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { inFlags } from "./flag-names.ts";
import { type Io, writeJson } from "./io.ts";
import { tell } from "./messages.ts";

/** The exit codes of the process. */
export const exitCodes = {
  done: 0,
  ourBug: 1,
  userError: 2,
  targetMissed: 3,
  verificationFailed: 4,
  stopped: 130,
} as const;

/** The hint that the parser adds to its own errors. */
export const helpHint = "--help explains the command";

const nothingWritten = "nothing was written";

/** Tells the user what happened and returns the exit code. */
export function reportFailure(failure: unknown, io: Io, isJson: boolean): number {
  const error = asTyped(failure);
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done;
    // The parser has written this error to stderr.
    if (isJson) writeError(io, usageOf(error));
    return exitCodes.userError;
  }
  if (io.signal.aborted) {
    const stopped = stoppedError(error);
    io.err(`stopped; ${escapeForTerminal(stopped.hint ?? nothingWritten)}\n`);
    if (isJson) writeError(io, stopped);
    return exitCodes.stopped;
  }
  if (!(error instanceof EspalierError)) {
    io.err(bugReport(error));
    return exitCodes.ourBug;
  }
  const { message, hint } = error;
  tell(io, "error", message);
  if (hint !== undefined) tell(io, "hint", hint);
  if (isJson) writeError(io, error);
  return exitCodeOf(error);
}

/** An error of the library in the words of the command line. */
function asTyped(error: unknown): unknown {
  if (!(error instanceof EspalierError)) return error;
  const { code, message, hint, data, cause } = error;
  const shown = hint === undefined ? undefined : inFlags(hint);
  return new EspalierError(code, inFlags(message), { hint: shown, data, cause });
}

/** The JSON document of a failure. */
function writeError(io: Io, { code, message, hint, data }: EspalierError): void {
  writeJson(io, { error: { code, message, hint, data } });
}

/** An error of the parser, in the form of our own errors. */
function usageOf({ message }: CommanderError): EspalierError {
  return new EspalierError("USAGE", message.replace(/^error: /, ""), { hint: helpHint });
}

/** A stopped run says how to go on; other commands leave nothing behind. */
function stoppedError(error: unknown): EspalierError {
  const isResumable = error instanceof EspalierError && error.code === "ABORTED" && error.hint;
  if (isResumable) return error;
  return new EspalierError("ABORTED", `The command was stopped; ${nothingWritten}.`);
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

/** The versions and the machine in one line. */
export function environment(): string {
  return `espalier ${version()}, Node ${process.version}, ${process.platform} ${process.arch}`;
}
