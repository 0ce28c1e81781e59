/** @file Progress with and without a terminal. */
import { expect, it } from "vitest";
import { displayWidth } from "../report/text.ts";
import type { Io } from "./io.ts";
import { newProgress } from "./progress.ts";

/** What takes the line before away. */
const erase = "\r\x1b[2K";

/** Streams that remember, and a clock that the test turns. */
function fakeIo(isLive: boolean) {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const io: Io = {
    out: () => {},
    err: (text) => lines.push(text),
    signal: new AbortController().signal,
    columns: 80,
    hasColor: false,
    isLive,
    folder: ".",
    now: () => clock.ms,
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
  expect(lines.at(-1)).toBe("evaluating: 8.0 s\n");
});

it("tells the time left", () => {
  const { lines, clock, io } = fakeIo(true);
  const progress = newProgress(io);
  progress.phase("timing");
  clock.ms = 30_000;
  progress.step({ done: 0.25, total: 1 });
  expect(lines.at(-1)).toMatch(/25 % {2}1 min 30 s left$/);
});

it("writes a plain line for each phase otherwise, and one every half minute", () => {
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
  expect(lines).toEqual(["reading: 0.5 s\n", "timing: 50 %, 40 s left\n", "timing: 40.0 s\n"]);
});
