/** @file However the user ends a run, its lock goes, and the next command can go on. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { writeQuadrants } from "./support/quadrants.ts";

const endings: readonly (readonly [string, readonly NodeJS.Signals[]])[] = [
  ["the terminal is closed", ["SIGHUP"]],
  ["the system shuts down", ["SIGTERM"]],
  ["Ctrl-C is pressed twice", ["SIGINT", "SIGINT"]],
  ["Ctrl-C is pressed and the terminal closed", ["SIGINT", "SIGHUP"]],
];

it.each(endings)(
  "when %s",
  async (_, signals) => {
    const folder = await emptyFolder();
    const [data, run] = [join(folder, "data"), join(folder, "run")];
    await writeQuadrants(data);
    const child = startEspalier([
      ...["train", "lenet-300-100", "--data", data, "-o", run, "--epochs", "100000"],
      ...["--batch", "20", "--threads", "1"],
    ]);
    let told = "";
    child.stderr.on("data", (text) => {
      const before = told.includes("epoch 1/");
      told += text;
      if (before || !told.includes("epoch 1/")) return;
      expect(existsSync(join(run, "checkpoint", "lock.json"))).toBe(true);
      for (const signal of signals) child.kill(signal);
    });
    const code = await new Promise((resolve) => child.on("exit", resolve));
    expect([code, told]).toEqual([130, expect.stringContaining("epoch 1/")]);
    expect(existsSync(join(run, "checkpoint", "lock.json"))).toBe(false);
    const controller = new AbortController();
    const err = () => controller.abort();
    const { exitCode } = await espalier(["resume", run], { signal: controller.signal, err });
    expect(exitCode).toBe(130);
  },
  60_000,
);
