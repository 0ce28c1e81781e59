/** @file `kill -9` of the command at random moments: what comes of the run is the same, byte for byte. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, it } from "vitest";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, startEspalier } from "./cli-io.ts";
import { writeQuadrants } from "./support/quadrants.ts";
import { expectWholeFiles } from "./support/run-files.ts";

const kills = 20;

/** Runs the command line in a process of its own and kills it after so long; true where it was killed. */
async function killed(argv: readonly string[], afterMs?: number): Promise<boolean> {
  const child = startEspalier(argv);
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const ended = new Promise<boolean>((done, fail) => {
    child.on("exit", (code, signal) => {
      if (code === 0 || signal === "SIGKILL") done(signal === "SIGKILL");
      else fail(new Error(`exit code ${code}: ${errors}`));
    });
  });
  if (afterMs !== undefined) {
    await Promise.race([wait(afterMs), ended]);
    child.kill("SIGKILL");
  }
  return ended;
}

it("at 20 random moments, resumed each time, changes nothing", async () => {
  const folder = await emptyFolder();
  const data = join(folder, "data");
  await writeQuadrants(data);
  const train = (run: string) => [
    ...["train", "lenet-300-100", "--data", data, "-o", run, "--epochs", "60", "--batch", "20"],
    ...["--augment", "crop=1,flip", "--optimizer", "adam", "--checkpoint-every", "7"],
    ...["--threads", "1"],
  ];
  const whole = join(folder, "whole");
  const startedAt = performance.now();
  await killed(train(whole));
  const wholeMs = performance.now() - startedAt;
  const files = ["model.onnx", "report.json", "original.onnx"];
  const expected = await Promise.all(files.map((name) => readFile(join(whole, name))));

  const random = randomOf("kill -9");
  let run = join(folder, "run-0");
  let [done, finished] = [0, 0];
  while (done < kills || finished === 0 || existsSync(run)) {
    const isOver = existsSync(join(run, "report.json"));
    if (isOver) {
      for (const [i, name] of files.entries())
        expect((await readFile(join(run, name))).equals(expected[i]), name).toBe(true);
      // Nothing half-written is left.
      expect((await readdir(run)).sort()).toEqual((await readdir(whole)).sort());
      await expectWholeFiles(run);
      finished++;
      run = join(folder, `run-${finished}`);
      continue;
    }
    const argv = existsSync(run) ? ["resume", run] : train(run);
    const moment = done < kills ? (0.1 + 0.8 * random.uniform()) * wholeMs : undefined;
    if (await killed(argv, moment)) done++;
  }
  expect(done).toBe(kills);
  const runs = Array.from({ length: finished }, (_, i) => `run-${i}`);
  // A run that was killed while it was made is taken away by the next of its name, and none came.
  const left = (await readdir(folder)).filter((name) => !name.startsWith(`.run-${finished}.`));
  expect(left.sort()).toEqual(["data", ...runs, "whole"].sort());
}, 600_000);
