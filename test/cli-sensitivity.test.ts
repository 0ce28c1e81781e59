/** @file `sensitivity`, and the same within `compress`, as their users and their scripts see them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, espalier } from "./cli-io.ts";
import { writeQuadrants } from "./support/quadrants.ts";

/** A network that was trained on 8 x 8 images in 4 classes; 20 of them serve as `select`. */
async function workplace() {
  const folder = await emptyFolder();
  const data = join(folder, "data");
  await writeQuadrants(data);
  const run = join(folder, "trained");
  const flags = ["--epochs", "2", "--batch", "20", "--lr", "0.05", "--threads", "1"];
  await espalier(["train", "lenet-300-100", "--data", data, "-o", run, ...flags]);
  return { folder, data, net: join(run, "model.onnx"), run: join(folder, "run") };
}

/** The only JSON document on stdout. */
function json(text: string) {
  return JSON.parse(text);
}

it("measures each group, and says so in a table of 80 columns", async () => {
  const { folder, data, net } = await workplace();
  const argv = ["sensitivity", net, "--data", data, "--split", "test", "--points", "3"];
  const { exitCode, out } = await espalier([...argv, "--json"]);
  expect(exitCode).toBe(0);
  const measured = json(out);
  expect(measured).toMatchObject({
    method: "magnitude",
    metric: "top1",
    split: "test",
    samples: 80,
    groups: [
      { id: "fc1", units: 300, prunableUnits: 300 },
      { id: "fc2", units: 100, prunableUnits: 100 },
    ],
  });
  // What `prune` and `evaluate` say of the same removal: half of the first layer.
  const [, half] = measured.groups[0].points;
  expect(half).toMatchObject({ share: 0.5, units: 150 });
  const small = join(folder, "small.onnx");
  const pruning = ["prune", net, "-o", small, "--method", "magnitude", "--only", "fc1"];
  const pruned = await espalier([...pruning, "--macs", String(half.macs), "--json"]);
  expect(json(pruned.out).groups[0]).toMatchObject({ before: 300, after: 150 });
  const evaluated = await espalier(["evaluate", small, "--data", data, "--json"]);
  expect(measured.value - json(evaluated.out).value).toBeCloseTo(half.drop, 12);

  const table = await espalier(argv);
  expect(table.exitCode).toBe(0);
  expect(table.out).toMatch(/group +units +-16\.7 % +-50 % +-83\.3 %\n/);
  expect(table.out).toMatch(/\nfc1 +300( +-?\d+\.\d){3} +[▁-█]{3}\n/);
  expect(Math.max(...table.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect((await readdir(folder)).sort()).toEqual([
    "data",
    "small.onnx",
    "small.onnx.plan.json",
    "trained",
  ]);
});

it("stops with Ctrl-C, having written nothing", async () => {
  const { folder, data, net } = await workplace();
  const controller = new AbortController();
  const ran = await espalier(["sensitivity", net, "--data", data, "--points", "50"], {
    signal: controller.signal,
    isLive: true,
    err: (text) => text.includes("networks") && controller.abort(),
  });
  expect(ran).toMatchObject({ exitCode: 130, out: "" });
  expect((await readdir(folder)).sort()).toEqual(["data", "trained"]);
});

it("refuses a method that trains, naming others", async () => {
  const { data, net } = await workplace();
  const argv = ["sensitivity", net, "--data", data, "--method", "importance", "--json"];
  const { exitCode, out, err } = await espalier(argv);
  expect([exitCode, json(out).error.code]).toEqual([2, "USAGE"]);
  expect(err).toContain("hint: Sensitivity is measured with one of bn, magnitude");
});

it("stands in the report of a compression that was asked for it", async () => {
  const { data, net, run } = await workplace();
  const flags = ["--method", "magnitude", "--macs", "0.5", "--rounds", "1", "--epochs", "0"];
  const argv = ["compress", net, "--data", data, "-o", run, ...flags, "--sensitivity", "--json"];
  const { exitCode, out } = await espalier(argv);
  expect(exitCode).toBe(0);
  const alone = await espalier(["sensitivity", net, "--data", data, "--json"]);
  const expected = json(alone.out).groups.map((group: { id: string; points: Point[] }) => ({
    id: group.id,
    points: group.points.map(({ share, drop }) => ({ share, drop })),
  }));
  expect(json(out).sensitivity).toEqual(expected);
  const journal = await readFile(join(run, "checkpoint", "journal.json"), "utf8");
  expect(json(journal).entries.sensitivity).toEqual(expected);
});

interface Point {
  readonly share: number;
  readonly drop: number;
}
