/** @file Locks: between two users, and those that a dead process left behind. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/support/scratch.ts";
import { whileLocked } from "./lock.ts";

const folder = scratchFolder("lock");
let count = 0;
const freshPath = () => join(folder, `lock-${count++}.json`);
const busy = expect.objectContaining({ code: "RUN_BUSY" });

describe("a lock", () => {
  it("is there during the work, says whose it is, and is gone afterwards", async () => {
    const path = freshPath();
    const during = await whileLocked(path, async () => JSON.parse(readFileSync(path, "utf8")));
    expect(during).toEqual({ pid: process.pid, host: hostname() });
    expect(existsSync(path)).toBe(false);
    await expect(whileLocked(path, () => Promise.reject(new Error("oh")))).rejects.toThrow("oh");
    expect(existsSync(path)).toBe(false);
  });

  it("lets nobody else in, of this process or another, and stays with who has it", async () => {
    const path = freshPath();
    await whileLocked(path, async () => {
      await expect(whileLocked(path, async () => 1)).rejects.toEqual(busy);
      expect(existsSync(path)).toBe(true);
    });
    const parent = freshPath();
    const content = JSON.stringify({ pid: process.ppid, host: hostname() });
    writeFileSync(parent, content);
    await expect(whileLocked(parent, async () => 1)).rejects.toEqual(busy);
    expect(readFileSync(parent, "utf8")).toBe(content);
  });

  const dead = spawnSync(process.execPath, ["--version"]).pid;
  it.each([
    ["a process that is no more", JSON.stringify({ pid: dead, host: hostname() })],
    ["one that had this process's number", JSON.stringify({ pid: process.pid, host: hostname() })],
    ["one that was killed while it wrote", '{"pid"'],
  ])("of %s is taken over", async (_, content) => {
    const path = freshPath();
    writeFileSync(path, content);
    expect(await whileLocked(path, async () => 1)).toBe(1);
  });

  it("of another machine counts", async () => {
    const path = freshPath();
    writeFileSync(path, JSON.stringify({ pid: 1, host: "elsewhere" }));
    await expect(whileLocked(path, async () => 1)).rejects.toMatchObject({
      code: "RUN_BUSY",
      message: "process 1 on elsewhere is at work on this run",
      hint: expect.stringContaining(path),
    });
  });

  it("that cannot be written says so", async () => {
    await expect(whileLocked(join(folder, "no", "lock"), async () => 1)).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
  });
});
