/** @file Compressions that are killed and resumed, against one that was left alone. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { loadModel } from "../../src/files/model-file.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { workplace } from "./small-cnn.ts";

const root = resolve(import.meta.dirname, "../..");

/**
 * Kills a compression at `kills` random moments, resumed each time until it is done, and again from the
 * beginning while kills are left. Expects the same files as of one that was left alone, byte for byte but
 * for latencies and times. Gives the number of runs that were finished.
 */
export async function expectSameAfterKills(method: string, kills: number): Promise<number> {
  const { folder, net, data } = await workplace();
  const argv = (run: string) => [run, net, data, method];
  const whole = join(folder, "whole");
  const { workMs } = await go(argv(whole));
  const expected = await contentsOf(whole);
  const random = randomOf("kill -9", method);
  let [done, finished] = [0, 0];
  for (;;) {
    const run = join(folder, `run-${finished}`);
    const moment = done < kills ? random.uniform() * workMs : undefined;
    const { isKilled } = await go(argv(run), moment);
    if (isKilled) {
      done++;
      if (existsSync(run)) await expectReadable(run);
      continue;
    }
    expect(await contentsOf(run)).toEqual(expected);
    finished++;
    if (done >= kills) return finished;
  }
}

/** Runs the process; kills it so long after it has begun to work. */
async function go(
  argv: readonly string[],
  afterMs?: number,
): Promise<{ readonly isKilled: boolean; readonly workMs: number }> {
  const script = join(root, "test/support/compress-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, ...argv], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  let begun = 0;
  child.stderr.on("data", (text) => {
    said += text;
    if (begun > 0 || !said.includes("begin")) return;
    begun = performance.now();
    if (afterMs !== undefined) void wait(afterMs).then(() => child.kill("SIGKILL"));
  });
  return new Promise((done, fail) => {
    child.on("exit", (code, signal) => {
      if (code !== 0 && signal !== "SIGKILL") fail(new Error(`exit code ${code}: ${said}`));
      done({ isKilled: signal === "SIGKILL", workMs: performance.now() - begun });
    });
  });
}

/** All files of a run by name, in a form in which equal runs are equal: without latencies and times. */
async function contentsOf(run: string): Promise<ReadonlyMap<string, unknown>> {
  const entries = await readdir(run, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(run.length + 1))
    .sort();
  const contents = new Map<string, unknown>();
  for (const name of names) contents.set(name, await contentOf(join(run, name), name));
  return contents;
}

async function contentOf(path: string, name: string): Promise<unknown> {
  const bytes = await readFile(path);
  if (name === "events.jsonl") return eventsOf(bytes.toString());
  if (name === "report.html") return "";
  if (!name.endsWith(".json")) return bytes.toString("base64");
  // The digest of the journal is one of its seconds, too.
  return JSON.parse(bytes.toString(), (key, value) =>
    ["seconds", "latency", "latencyMs", "sha256"].includes(key) ? 0 : value,
  );
}

/**
 * What happened, without times, sessions, and repetitions: what was logged but not yet on record when the
 * process was killed happens twice.
 */
function eventsOf(text: string): string[] {
  const lines = text.split("\n");
  expect(lines.pop()).toBe(""); // every line is ended
  const events = lines
    .map((line) => JSON.stringify({ ...JSON.parse(line), at: "" }))
    .filter((line) => !/"event":"(started|resumed)"/.test(line));
  return events.filter((line, i) => line !== events[i - 1]);
}

/** Expects that what bears a file's name is whole, however the process ended. */
async function expectReadable(run: string): Promise<void> {
  const entries = await readdir(run, { recursive: true, withFileTypes: true });
  for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
    if (name.startsWith(".")) continue;
    const path = join(parentPath, name);
    if (name.endsWith(".onnx")) expect((await loadModel(path)).graph.nodes).not.toHaveLength(0);
    if (name.endsWith(".json")) expect(JSON.parse(await readFile(path, "utf8"))).toBeTruthy();
  }
}
