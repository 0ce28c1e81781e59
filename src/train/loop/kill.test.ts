/** @file Runs that are killed at random moments, in processes of their own, end as if nothing had happened. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { randomOf } from "../../tensor/random.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-kill-"));
const data = join(folder, "data");
beforeAll(() => writeQuadrants(data));
afterAll(() => rmSync(folder, { recursive: true }));

const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

/** Trains for 84 steps with a checkpoint after every 4; says "." at each, and writes the result. */
function scriptOf(name: string): string {
  return `
    import { writeFileSync } from "node:fs";
    import { quadrantNetwork } from ${here("../../../test/support/training.ts")};
    import { openDataset } from ${here("../../data/dataset.ts")};
    import { concatBytes } from ${here("../../onnx/writing/write.ts")};
    import { adam } from ${here("../step/optimizers.ts")};
    import { train } from ${here("./train.ts")};
    const result = await train(quadrantNetwork(), await openDataset(${JSON.stringify(data)}), {
      epochs: 7,
      batchSize: 32,
      learningRate: 0.01,
      optimizer: adam(),
      augment: { crop: 1, flip: true },
      threads: 1,
      checkpoint: {
        path: ${JSON.stringify(join(folder, `${name}.safetensors`))},
        everySteps: 4,
        resumes: true,
      },
      onProgress: ({ step }) => process.stdout.write(step + "."),
    });
    writeFileSync(${JSON.stringify(join(folder, `${name}.onnx`))}, concatBytes(result.final.bytes));`;
}

/** Runs the script, and kills it once it has said so much; gives what it said. */
function run(name: string, killAfter = Number.POSITIVE_INFINITY): Promise<string[]> {
  const args = ["--import", "tsx", "--input-type=module", "--eval", scriptOf(name)];
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname });
  let said = "";
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  child.stdout.on("data", (chunk) => {
    said += chunk;
    if (said.split(".").length > killAfter) child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) => {
    child.on("exit", (code, signal) => {
      if (code === 0 || signal === "SIGKILL") resolve(said.split(".").slice(0, -1));
      else reject(new Error(errors));
    });
  });
}

it("resumes after kill -9, again and again, to the same file as without", async () => {
  expect((await run("whole")).length).toBeGreaterThanOrEqual(84);
  const random = randomOf("kill");
  const starts: number[] = [];
  for (let kill = 0; kill < 5; kill++) {
    const said = await run("killed", 2 + random.integer(20));
    starts.push(Number(said[0]));
  }
  await run("killed");
  // Each took up where a checkpoint was, not at the beginning.
  expect(starts[0]).toBe(1);
  expect(starts.slice(1).every((step, i) => step >= starts[i])).toBe(true);
  expect(starts[4]).toBeGreaterThan(8);
  const [whole, killed] = ["whole", "killed"].map((name) =>
    readFileSync(join(folder, `${name}.onnx`)),
  );
  expect(killed.equals(whole)).toBe(true);
  const left = readdirSync(folder);
  expect(left.sort()).toEqual([
    "data",
    "killed.onnx",
    "killed.safetensors",
    "whole.onnx",
    "whole.safetensors",
  ]);
}, 120_000);
