/** @file One process at a time: a file that says who is at work. */
import { rmSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { fileError, systemCode } from "./file-error.ts";
import { readPlainFile } from "./plain-file.ts";

const holder = z.object({ pid: z.int().positive(), host: z.string() });

/** Locks of this process. A file with its number in it may be of one that had the number before. */
const held = new Set<string>();

/** A process that is ended in the middle of its work (the second Ctrl-C, say) takes its locks along. */
function releaseAll(): void {
  for (const path of held) rmSync(path, { force: true });
}

/** Bytes of the largest lock file that is read. */
const largestLock = 4096;

/**
 * Does `work` while the file at `path` says that this process does. One that a process left behind which is no
 * more, or that cannot be read, is taken over. Processes on other machines cannot be asked: they count as alive.
 *
 * Fails with `RUN_BUSY` where somebody else is at work, and as `work`.
 */
export async function whileLocked<T>(path: string, work: () => Promise<T>): Promise<T> {
  await take(path);
  if (held.size === 0) process.on("exit", releaseAll);
  held.add(path);
  try {
    return await work();
  } finally {
    held.delete(path);
    if (held.size === 0) process.off("exit", releaseAll);
    // One that cannot be taken away is taken over when this process is no more.
    await rm(path, { force: true }).catch(() => undefined);
  }
}

async function take(path: string): Promise<void> {
  const content = `${JSON.stringify({ pid: process.pid, host: hostname() })}\n`;
  for (let isTakenOver = false; ; isTakenOver = true) {
    try {
      await writeFile(path, content, { flag: "wx" });
      return;
    } catch (cause) {
      if (systemCode(cause) !== "EEXIST") throw fileError(`write ${path}`, path, cause);
    }
    const other = await holderOf(path);
    if (isTakenOver || (other !== undefined && isAtWork(path, other)))
      throw new EspalierError("RUN_BUSY", `${describe(other)} is at work on this run`, {
        hint: `Wait for it. If it is no more, delete ${path}.`,
        data: { path, ...other },
      });
    await rm(path, { force: true }).catch((cause: unknown) => {
      throw fileError(`remove ${path}`, path, cause);
    });
  }
}

type Holder = z.output<typeof holder>;

async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    return holder.parse(JSON.parse(String(await readPlainFile(path, largestLock))));
  } catch {
    return undefined;
  }
}

function isAtWork(path: string, { pid, host }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0); // sends nothing, asks only
    return true;
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EPERM";
  }
}

function describe(other: Holder | undefined): string {
  return other === undefined ? "another process" : `process ${other.pid} on ${other.host}`;
}
