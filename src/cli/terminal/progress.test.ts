/** @file Progress with and without a terminal. */
import { expect, it } from "vitest";
import { displayWidth } from "../../words/text.ts";
import type { Io } from "./io.ts";
import { newProgress } from "./progress.ts";

/** What takes the line before away. */
const erase = "\r\x1b[2K";

/** Streams that remember, and a clock that the test turns. */
function fakeIo(isLive: boolean, more: Partial<Io> = {}) {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const io: Io = {
    out: () => {},
    err: (text) => lines.push(text),
    signal: new AbortController().signal,
    columns: 80,
    errorColumns: Number.POSITIVE_INFINITY,
    hasColor: false,
    hasErrorColor: false,
    spinner: undefined,
    verbosity: "normal",
    isLive,
    folder: ".",
    now: () => clock.ms,
    ...more,
  };
  return { lines, clock, io };
}

it("draws one line on a terminal, with share, rate and time left", () => {
  const { lines, clock, io } = fakeIo(true);
  const progress = newProgress(io);
  progress.phase("evaluating");
  clock.ms = 2000;
  progress.step({ done: 500, total: 2000, unit: "samples", note: "top-1 90 %" });
  const line = lines.at(-1) ?? "";
  expect(line.startsWith(erase)).toBe(true);
  expect(line).toMatch(
    /evaluating ███░{9} {2}25 % {2}500\/2000 samples {2}250\/s {2}top-1 90 % {2}6 s left$/,
  );
  expect(displayWidth(line.slice(erase.length))).toBeLessThan(80);
  progress.step({ done: 500, total: 2000 });
  expect(lines.at(-1)).toBe(line); // not redrawn so soon
  progress.warn("careful");
  expect(lines).toContain("warning: careful\n");
  clock.ms = 8000;
  progress.end();
  expect(lines.at(-1)).toBe(`${erase}evaluating: 8.0 s\n`);
});

it("tells the time left", () => {
  const { lines, clock, io } = fakeIo(true);
  const progress = newProgress(io);
  progress.phase("timing");
  clock.ms = 30_000;
  progress.step({ done: 0.25, total: 1 });
  expect(lines.at(-1)).toMatch(/25 % {2}1 min 30 s left$/);
});

it("writes a plain line for each phase over a second otherwise, and one every half minute", () => {
  const { lines, clock, io } = fakeIo(false);
  const progress = newProgress(io);
  progress.phase("reading");
  clock.ms = 500;
  progress.phase("timing");
  clock.ms = 20_500;
  progress.step({ done: 0.2, total: 1 });
  clock.ms = 40_500;
  progress.step({ done: 0.5, total: 1 });
  progress.end();
  progress.end();
  expect(lines).toEqual(["timing: 50 %, 40 s left\n", "timing: 40.0 s\n"]);
});

it("says nothing when it is to be quiet", () => {
  const { lines, clock, io } = fakeIo(true, { verbosity: "quiet" });
  const progress = newProgress(io);
  progress.phase("timing");
  clock.ms = 5000;
  progress.step({ done: 0.5, total: 1 });
  progress.note("a note");
  progress.warn("a warning");
  progress.end();
  expect(lines).toEqual([]);
});

it("tells every phase, what was decided and the whole time when it is to be verbose", () => {
  const { lines, clock, io } = fakeIo(false, { verbosity: "verbose" });
  const progress = newProgress(io);
  progress.phase("reading");
  progress.detail("method bn, because batch normalization is kept");
  clock.ms = 20;
  progress.phase("pruning");
  clock.ms = 1520;
  progress.end();
  progress.end();
  expect(lines).toEqual([
    "method bn, because batch normalization is kept\n",
    "reading: 0.02 s\n",
    "pruning: 1.50 s\n",
    "total: 1.52 s\n",
  ]);
});

it("breaks what is told at words where the terminal ends", () => {
  const { lines, io } = fakeIo(false, { errorColumns: 24, hasErrorColor: true });
  const progress = newProgress(io);
  progress.detail("not told");
  progress.warn("the result differs in many places");
  expect(lines).toEqual(["\x1b[33mwarning:\x1b[39m the result\n  differs in many places\n"]);
});
