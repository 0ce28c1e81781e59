/** @file The environment of a command: two streams, a signal, and the abilities of the terminal. */
import { newSpinner, type Spinner } from "./spinner.ts";
import { showsColor } from "./style.ts";

/** How much is shown: results and errors; also progress, warnings and notes; or also decisions and times. */
export type Verbosity = "quiet" | "normal" | "verbose";

/** The environment of a command. Tests give their own. */
export interface Io {
  /** Results. */
  readonly out: (text: string) => void;
  /** Progress, warnings and errors. */
  readonly err: (text: string) => void;
  /** Aborted when the user stops the command. */
  readonly signal: AbortSignal;
  /** Columns of the terminal, or 80. */
  readonly columns: number;
  /** Columns of the terminal that shows `err`; infinite without a terminal, and a message is then one line. */
  readonly errorColumns: number;
  /** Whether results may carry colour. */
  readonly hasColor: boolean;
  /** Whether messages may carry colour. */
  readonly hasErrorColor: boolean;
  /** Whether a live progress line can be drawn on `err`. */
  readonly isLive: boolean;
  /** Keeps a live line moving while this thread is busy; `undefined` where nobody would see it. */
  readonly spinner: Spinner | undefined;
  readonly verbosity: Verbosity;
  /** The folder in which a configuration file is looked for. */
  readonly folder: string;
  /** The time in milliseconds, for rates and remaining times. */
  readonly now: () => number;
}

const defaultColumns = 80;
const fewestColumns = 40;
const mostColumns = 120;

/** The streams of this process. A live line only on a terminal; colour as {@link showsColor} says. */
export function processIo(signal: AbortSignal): Io {
  const { stdout, stderr, env } = process;
  const isLive = stderr.isTTY === true && env.TERM !== "dumb";
  return {
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    signal,
    columns: stdout.isTTY ? columnsOf(stdout) : defaultColumns,
    errorColumns: stderr.isTTY ? columnsOf(stderr) : Number.POSITIVE_INFINITY,
    hasColor: showsColor(stdout.isTTY === true, env),
    hasErrorColor: showsColor(stderr.isTTY === true, env),
    isLive,
    spinner: isLive ? newSpinner() : undefined,
    verbosity: "normal",
    folder: process.cwd(),
    now: () => performance.now(),
  };
}

/** Limits the width of a terminal to a sensible range. */
function columnsOf({ columns }: { readonly columns: number }): number {
  return Math.min(mostColumns, Math.max(fewestColumns, columns || defaultColumns));
}

/** Writes one JSON document. Characters that a terminal would obey are written as escapes. */
export function writeJson(io: Io, value: unknown): void {
  const text = JSON.stringify(value, plain, 2).replace(
    // JSON.stringify escapes the C0 controls; DEL, C1 and directional controls remain.
    /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  io.out(`${text}\n`);
}

/** JSON has neither maps nor typed arrays: maps become objects, typed arrays become lists. */
function plain(_: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Float64Array || value instanceof Int32Array || value instanceof Uint8Array)
    return Array.from(value);
  return value;
}
