/** @file Progress on stderr: one live line on a terminal, one plain line per phase otherwise. */

import { formatDuration } from "../../words/numbers.ts";
import { displayWidth, shorten, wrap } from "../../words/text.ts";
import type { Io } from "./io.ts";
import { tell } from "./messages.ts";
import { spinnerColumns } from "./spinner.ts";

/** How much of a phase is done. */
export interface Step {
  readonly done: number;
  readonly total: number;
  /** The name of the things that are counted; without it only the share is shown. */
  readonly unit?: string;
  /** The speed in words; default `done` per second of this phase. */
  readonly rate?: string;
  /** The remaining time; default: estimated from the speed of the phase so far. */
  readonly secondsLeft?: number;
  /** A figure to watch, such as the metric so far. */
  readonly note?: string;
}

/** The progress of one command. */
export interface Progress {
  /** Begins a phase, and ends the previous one. */
  phase(name: string): void;
  step(step: Step): void;
  /** Writes a line above the live line. */
  note(text: string): void;
  /** Writes a decision above the live line, only with `--verbose`. */
  detail(text: string): void;
  /** Writes a warning above the live line. */
  warn(text: string): void;
  /** Ends the last phase and takes the live line away. */
  end(): void;
}

const redrawMs = 100;
/** The interval at which a long phase is mentioned again where there is no live line. */
const repeatMs = 30_000;
const barWidth = 12;
/** Clears the current line. */
const clearLine = "\r\x1b[2K";

/** Progress for a command. With `--quiet` there is none. */
export function newProgress(io: Io): Progress {
  return io.verbosity === "quiet" ? silence : shown(io);
}

const silence: Progress = {
  phase: () => {},
  step: () => {},
  note: () => {},
  detail: () => {},
  warn: () => {},
  end: () => {},
};

/** The live line of a terminal, or the plain lines in its place. */
interface StatusLine {
  /** Writes a text where the live line is, of which nothing is left then. */
  readonly replace: (text: string) => void;
  /** Shows a phase that has gone on for so long. */
  readonly draw: (name: string, step: Step | undefined, elapsedMs: number) => void;
}

function statusLine(io: Io): StatusLine {
  return {
    replace(text) {
      const write = () => io.err(io.isLive ? `${clearLine}${text}` : text);
      if (io.isLive && io.spinner !== undefined) io.spinner.draw(write);
      else if (io.isLive || text !== "") write();
    },
    draw(name, step, elapsedMs) {
      const seconds = elapsedMs / 1000;
      if (!io.isLive) {
        io.err(`${plainLine(name, step, seconds)}\n`);
        return;
      }
      const columns = io.columns - 1 - (io.spinner === undefined ? 0 : spinnerColumns);
      const text = liveLine(name, step, seconds, columns);
      const write = () => io.err(`${clearLine}${text}`);
      if (io.spinner === undefined) write();
      else io.spinner.draw(write, { text, elapsedMs });
    },
  };
}

function shown(io: Io): Progress {
  const isVerbose = io.verbosity === "verbose";
  const begunAt = io.now();
  const line = statusLine(io);
  let phases = 0;
  let name: string | undefined;
  let startedAt = 0;
  let shownAt = 0;
  let last: Step | undefined;

  const draw = (): void => {
    if (name === undefined) return;
    shownAt = io.now();
    line.draw(name, last, shownAt - startedAt);
  };
  const finish = (): void => {
    if (name === undefined) return;
    const seconds = (io.now() - startedAt) / 1000;
    // Quick phases are not reported.
    const isNews = isVerbose || seconds >= 1;
    line.replace(isNews ? `${name}: ${seconds.toFixed(isVerbose ? 2 : 1)} s\n` : "");
    name = undefined;
    phases++;
  };
  const above = (write: () => void): void => {
    line.replace("");
    write();
    if (io.isLive) draw();
  };
  const note = (text: string): void =>
    above(() => io.err(`${wrap(text, io.errorColumns, "  ")}\n`));
  return {
    phase(next) {
      if (next === name) return;
      finish();
      name = next;
      last = undefined;
      startedAt = io.now();
      shownAt = startedAt;
      if (io.isLive) draw();
    },
    step(step) {
      last = step;
      if (io.now() - shownAt >= (io.isLive ? redrawMs : repeatMs)) draw();
    },
    note,
    detail(text) {
      if (isVerbose) note(text);
    },
    warn: (text) => above(() => tell(io, "warning", text)),
    end() {
      finish();
      if (isVerbose && phases > 1) io.err(`total: ${((io.now() - begunAt) / 1000).toFixed(2)} s\n`);
      phases = 0;
    },
  };
}

function liveLine(name: string, step: Step | undefined, seconds: number, columns: number): string {
  if (step === undefined) return shorten(`${name} …`, columns);
  const share = step.total > 0 ? Math.min(1, step.done / step.total) : 0;
  const filled = Math.round(share * barWidth);
  const bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`;
  const parts = details(step, share, seconds);
  const line = [`${name} ${bar}`, ...parts].join("  ");
  if (displayWidth(line) <= columns) return line;
  // Where the line is too long, bar and percentage go first: the counts say the same.
  const rest = step.unit === undefined ? parts : parts.slice(1);
  return shorten([name, ...rest].join("  "), columns);
}

function plainLine(name: string, step: Step | undefined, seconds: number): string {
  if (step === undefined) return `${name}: ${formatDuration(seconds)} so far`;
  const share = step.total > 0 ? Math.min(1, step.done / step.total) : 0;
  return `${name}: ${details(step, share, seconds).join(", ")}`;
}

function details(step: Step, share: number, seconds: number): string[] {
  const parts = [`${Math.floor(100 * share)} %`];
  if (step.unit !== undefined) {
    parts.push(`${step.done}/${step.total} ${step.unit}`);
    parts.push(step.rate ?? rateOf(step.done, seconds));
  }
  if (step.note !== undefined) parts.push(step.note);
  const secondsLeft =
    step.secondsLeft ?? (share > 0 && seconds > 1 ? (seconds * (1 - share)) / share : undefined);
  if (secondsLeft !== undefined) parts.push(`${formatDuration(secondsLeft)} left`);
  return parts.filter((part) => displayWidth(part) > 0);
}

function rateOf(done: number, seconds: number): string {
  const rate = done / Math.max(seconds, 1e-3);
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`;
}
