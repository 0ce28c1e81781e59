/** @file Ctrl-C and `kill -9` of the command at several moments: nothing half-written is left. */
import { existsSync, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, it } from "vitest";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { writeQuadrants } from "./support/quadrants.ts";
import { expectWholeFiles } from "./support/run-files.ts";

/** How a command in a process of its own ended. */
interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** When a signal is sent: so long after the first file appears beside the data, or the first epoch is told. */
interface Moment {
  readonly after: "file" | "epoch";
  readonly ms: number;
}

/** Sends a signal to the command at a moment, and waits for its end. */
async function interrupted(
  argv: readonly string[],
  folder: string,
  signal: NodeJS.Signals,
  { after, ms }: Moment,
): Promise<Ended> {
  const watcher = watch(folder);
  const child = startEspalier(argv);
  let isDue = false;
  const send = () => {
    if (!isDue) wait(ms).then(() => child.kill(signal));
    isDue = true;
  };
  let said = "";
  if (after === "file") watcher.on("change", send);
  child.stderr.on("data", (part) => {
    said += part;
    if (after === "epoch" && said.includes("epoch")) send();
  });
  return new Promise((ended) => {
    child.on("exit", (code, signal) => {
      watcher.close();
      ended({ code, signal });
    });
  });
}

/** While the run is made, and within epochs, of which checkpoints take a good part. */
const moments: readonly Moment[] = [
  { after: "file", ms: 0 },
  { after: "epoch", ms: 0 },
  { after: "epoch", ms: 7 },
  { after: "epoch", ms: 23 },
  { after: "epoch", ms: 61 },
];

it.each([
  ["SIGINT", 1],
  ["SIGKILL", 1],
  ["SIGINT", 2],
] as const)(
  "%s leaves nothing half-written, replicas: %i",
  async (signal, replicas) => {
    const folder = await emptyFolder();
    const data = join(folder, "data");
    await writeQuadrants(data);
    const train = (run: string, epochs: number) => [
      ...["train", "lenet-300-100", "--data", data, "-o", run, "--epochs", String(epochs)],
      ...["--batch", "20", "--lr", "0.05", "--checkpoint-every", "1", "--threads", "1"],
      ...["--replicas", String(replicas)],
    ];
    const run = join(folder, "run");
    for (const moment of moments) {
      const isNew = !existsSync(run);
      const ended = await interrupted(
        isNew ? train(run, 100_000) : ["resume", run],
        folder,
        signal,
        moment,
      );
      expect(ended).toEqual(
        signal === "SIGINT" ? { code: 130, signal: null } : { code: null, signal },
      );
      if (signal === "SIGINT") {
        const isBegun = existsSync(run);
        expect((await readdir(folder)).sort()).toEqual(isBegun ? ["data", "run"] : ["data"]);
        if (isBegun) await expectWholeFiles(run);
      }
    }
    // What `kill -9` left, the next one removes; it goes on from a checkpoint, not from the beginning.
    const controller = new AbortController();
    let said = "";
    const { exitCode } = await espalier(["resume", run], {
      signal: controller.signal,
      err(text) {
        said += text;
        if (/epoch \d+\//.test(said)) controller.abort();
      },
    });
    expect(exitCode).toBe(130);
    expect(said).not.toContain("epoch 1/");
    await expectWholeFiles(run);
    expect((await readdir(folder)).sort()).toEqual(["data", "run"]);
    const events = await readFile(join(run, "events.jsonl"), "utf8");
    expect(events.match(/"resumed"/g)?.length).toBeGreaterThanOrEqual(3);
  },
  120_000,
);
