/** @file The spinner in a process whose main thread is busy, which is when it matters. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const program = `
import { newSpinner } from ${JSON.stringify(resolve(import.meta.dirname, "spinner.ts"))};
const busyFor = (ms) => { for (const end = Date.now() + ms; Date.now() < end; ); };
const spinner = newSpinner();
const write = (text) => () => process.stderr.write(text);
spinner.draw(write("pruning"), { text: "pruning", elapsedMs: 61000 });
busyFor(2500);
spinner.draw(write("|note|"));
busyFor(1500);
process.stderr.write("|end|");
`;

it("turns and counts the seconds while the main thread computes, and stops when it is told", async () => {
  const args = ["--import", "tsx", "--input-type=module", "--eval", program];
  const cwd = resolve(import.meta.dirname, "../../..");
  const { stderr } = await promisify(execFile)(process.execPath, args, { cwd });
  const [drawn, afterwards] = stderr.split("|note|");
  const frames = drawn.split("\r\x1b[2K").slice(1);
  expect(frames.length).toBeGreaterThan(3);
  for (const frame of frames) expect(frame).toMatch(/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] pruning 1 min [23] s$/);
  expect(new Set(frames.map(([sign]) => sign)).size).toBeGreaterThan(2);
  expect(afterwards).toBe("|end|");
});
