/** @file Runs command lines in this process, with streams that remember. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { main } from "../src/cli/program.ts";
import type { Io } from "../src/cli/terminal/io.ts";

/** What a command line did. */
export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** An outside without a terminal, which drops what it is told. */
export const plainIo: Io = {
  out: () => {},
  err: () => {},
  signal: new AbortController().signal,
  columns: 80,
  errorColumns: Number.POSITIVE_INFINITY,
  hasColor: false,
  hasErrorColor: false,
  isLive: false,
  spinner: undefined,
  verbosity: "normal",
  folder: tmpdir(),
  now: () => performance.now(),
};

/**
 * Runs `espalier` with these arguments. `prune` does not time its result in the end, which takes seconds, but with
 * `isTimed`.
 */
export async function espalier(
  argv: readonly string[],
  io: Partial<Io> = {},
  { isTimed = false } = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const words = argv[0] === "prune" && !isTimed ? [...argv, "--no-bench"] : argv;
  const exitCode = await main(words, {
    ...plainIo,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    ...io,
  });
  return { exitCode, out, err };
}

const root = resolve(import.meta.dirname, "..");

/** Starts `espalier` with these arguments in a process of its own, from source. Unread output is dropped. */
export function startEspalier(argv: readonly string[], cwd: string = root) {
  const args = ["--import", import.meta.resolve("tsx"), join(root, "src/cli/main.ts"), ...argv];
  const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.resume();
  return child;
}

/** An empty folder, removed when the test is over. */
export async function emptyFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "espalier-cli-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
