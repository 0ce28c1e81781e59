/** @file Signals while a command computes: heard at once, with handlers that are what they were before and after. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { EspalierError } from "../../errors.ts";
import { interruptible } from "./interruptible.ts";

/** Starts the busy process, sends a signal when it is ready, and waits for its end. */
async function stopped(signal: NodeJS.Signals, ...args: readonly string[]) {
  const script = resolve(import.meta.dirname, "../../../test/support/busy-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args]);
  let stderr = "";
  let sentAt = 0;
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
    if (sentAt > 0 || !stderr.includes("ready")) return;
    sentAt = performance.now();
    // It has begun to compute by then.
    setTimeout(() => child.kill(signal), 200);
  });
  const end = await new Promise<{ code: number | null; signal: string | null }>((settle) =>
    child.on("exit", (code, by) => settle({ code, signal: by })),
  );
  return { ...end, stderr, ms: performance.now() - sentAt };
}

describe.runIf(process.platform !== "win32")("a signal while nothing else gets a turn", () => {
  it("SIGINT stops the work, which says so, with exit code 130", async () => {
    const { code, stderr, ms } = await stopped("SIGINT");
    expect(stderr).toContain("The command was stopped");
    expect(stderr).not.toContain("handled");
    expect(code).toBe(130);
    expect(ms).toBeLessThan(5000);
  });

  it.each(["SIGTERM", "SIGHUP"] as const)("%s ends the process", async (signal) => {
    const end = await stopped(signal);
    expect(end.signal).toBe(signal);
    expect(end.ms).toBeLessThan(5000);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("%s is handled again afterwards", async (signal) => {
    const { code, stderr } = await stopped(signal, "later");
    expect(stderr).toContain("ready 7");
    expect(stderr).toContain("handled");
    expect(code).toBe(0);
  });
});

it("work that fails fails as it would", () => {
  const error = new EspalierError("MODEL_BAD_SHAPE", "no");
  expect(() =>
    interruptible(() => {
      throw error;
    }),
  ).toThrow(error);
});

it("what work returns is returned, promises too", async () => {
  expect(interruptible(() => [1, 2])).toEqual([1, 2]);
  await expect(interruptible(async () => 3)).resolves.toBe(3);
});
