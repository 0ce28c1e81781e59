/** @file `compress --dry-run` as its users and their scripts see it. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, espalier } from "./cli-io.ts";
import { npyFile, zipFile } from "./data-files.ts";
import { writeQuadrants } from "./support/quadrants.ts";

/** A network that was trained on 8 x 8 images in 4 classes: 400 `fit`, 20 `select`, 60 `certify`, 80 `test`. */
async function workplace() {
  const folder = await emptyFolder();
  const data = join(folder, "data");
  await writeQuadrants(data);
  const run = join(folder, "trained");
  const flags = ["--epochs", "1", "--batch", "20", "--lr", "0.05", "--threads", "1"];
  await espalier(["train", "lenet-300-100", "--data", data, "-o", run, ...flags]);
  const net = join(run, "model.onnx");
  return { folder, data, net, argv: ["compress", net, "--data", data, "--dry-run"] };
}

/** The only JSON document on stdout. */
function json(text: string) {
  return JSON.parse(text);
}

it.each([
  // One stage for each of the two hidden layers.
  ["rbp", ["epochs=3"], 6],
  ["vib", ["epochs=3"], 3],
  ["turbo-vbi", ["rounds=4", "epochs=2"], 8],
])("counts all epochs of %s, stage by stage", async (method, options, epochs) => {
  const { argv } = await workplace();
  const flags = ["--macs", "0.5", "--method", method, ...options.flatMap((o) => ["--option", o])];
  const ran = await espalier([...argv, ...flags, "--json"]);
  expect(json(ran.out).cost.learningEpochs).toBe(epochs);
});

it("counts what the run would do, and writes nothing", async () => {
  const { folder, argv, data } = await workplace();
  const flags = ["--macs", "0.25", "--max-drop", "0.02", "--rounds", "2", "--epochs", "3"];
  const training = ["--final-epochs", "1", "--batch", "20", "--option", "epochs=2"];
  const ran = await espalier([...argv, ...flags, ...training, "--json"]);
  expect(ran.exitCode).toBe(0);
  const plan = json(ran.out);
  // 64 inputs, 300 and 100 hidden units, 4 outputs; at least one unit of each layer stays.
  const macs = 64 * 300 + 300 * 100 + 100 * 4;
  expect(plan).toMatchObject({
    network: {
      macs,
      params: macs + 404,
      units: 404,
      prunableUnits: 400,
      groups: 3,
      prunableGroups: 2,
      fixed: [{ units: 4, groups: ["fc3"] }],
      least: { macs: (64 + 1 + 4) / macs },
    },
    data: {
      path: data,
      format: "idx",
      labelKind: "classes",
      classes: 4,
      isHeldOut: false,
      samples: { fit: 400, select: 20, certify: 60, test: 80 },
    },
    method: { name: "importance", trains: true },
    // Of two rounds with targets the first is accepted from halfway between half of the tolerance and all of it.
    rounds: [
      { round: 1, targets: { macs: 0.5 }, removalDrop: null, acceptedDrop: 0.015 },
      { round: 2, targets: { macs: 0.25 }, removalDrop: null, acceptedDrop: 0.02 },
    ],
    // Two rounds of 2 epochs of learning and 3 of tuning, and one at the end; 400 / 20 steps each.
    cost: { totalEpochs: 11, batchSize: 20, stepsPerEpoch: 20, totalSteps: 220 },
    guard: { maxDrop: 0.02, level: expect.closeTo(0.025, 9), rungs: 4, samples: 60 },
    settings: { method: "importance", rounds: 2, tuning: { batchSize: 20 } },
  });
  expect(plan.time.secondsPerStep).toBeGreaterThan(0);
  expect(plan.time.imagesPerSecond).toBeGreaterThan(0);
  // z² 0.02 / 0.02² = 193 images at the least.
  expect(plan.warnings).toEqual([expect.stringContaining("it takes 193 to certify 2 points")]);
  expect(ran.err).toContain(`warning: ${plan.warnings[0]}\n`);
  expect((await readdir(folder)).sort()).toEqual(["data", "trained"]);
});

it("foretells the steps that the run then takes", async () => {
  const { folder, net, data, argv } = await workplace();
  const flags = ["--method", "magnitude", "--macs", "0.5", "--rounds", "1", "--epochs", "2"];
  const training = ["--batch", "30", "--limit", "100", "--json"];
  const plan = json((await espalier([...argv, ...flags, ...training])).out);
  const run = join(folder, "run");
  const ran = await espalier(["compress", net, "--data", data, "-o", run, ...flags, ...training]);
  const [{ attempts }] = json(ran.out).rounds;
  expect(attempts).toHaveLength(1);
  expect(attempts[0].tuning.at(-1).step).toBe(plan.cost.totalSteps);
});

it("says it in 80 columns", async () => {
  const { argv } = await workplace();
  const { exitCode, out, err } = await espalier([...argv, "--max-drop", "0.1"]);
  expect(exitCode).toBe(0);
  expect(err).not.toContain("warning");
  expect(out).toMatch(/may go +400 of 404 units, in 2 of 3 groups\n/);
  expect(out).toMatch(/round +drop when removed +drop when tuned +epochs\n +1 +40\.00 points/);
  expect(out).toMatch(/share of changed answers +images needed +enough +smallest tolerance\n/);
  // z² 0.1 / 0.1² = 39 images, as a drop of 10 points changes a tenth of the answers.
  expect(out).toMatch(/\n +5 % +39 +yes +6\.40 points\n/);
  expect(out).toMatch(/\nNothing was written\.\n$/);
  expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

it("names what speaks against the run", async () => {
  const { folder, net, data } = await workplace();
  const target = ["--macs", "0.5", "--min-width", "200", "--method", "magnitude", "--json"];
  const narrow = await espalier(["compress", net, "--data", data, "--dry-run", ...target]);
  // 200 and 100 units: (64 * 200 + 200 * 100 + 400) / 49600 of the MACs.
  expect(json(narrow.out).warnings).toEqual([
    expect.stringContaining("--macs 0.5 is out of reach: 0.669"),
  ]);
  const pixels = await readFile(join(data, "train-images-idx3-ubyte"));
  const body = npyFile("|u1", [480, 1, 8, 8], pixels.subarray(16));
  const images = join(folder, "x.npz");
  await writeFile(images, zipFile([{ name: "x.npy", content: body }]));
  const taught = await espalier([
    ...["compress", net, "--data", images, "--dry-run", "--macs", "0.5", "--json"],
  ]);
  expect(json(taught.out)).toMatchObject({
    data: { labelKind: "none", samples: { fit: 288, select: 48, certify: 96, test: 48 } },
    warnings: [expect.stringContaining("agreement with the original")],
  });
  const few = join(folder, "few");
  await writeQuadrants(few);
  for (const name of ["test-images-idx3-ubyte", "test-labels-idx1-ubyte"])
    await rm(join(few, name));
  const cut = await espalier([
    "compress",
    net,
    "--data",
    few,
    "--dry-run",
    "--macs",
    "0.5",
    "--json",
  ]);
  expect(json(cut.out)).toMatchObject({ guard: null, warnings: [] });
});

it("fails where the run would fail at its beginning", async () => {
  const { folder, argv, net, data } = await workplace();
  const code = async (more: readonly string[]) => {
    const { exitCode, out } = await espalier([...argv, ...more, "--json"]);
    return [exitCode, json(out).error.code];
  };
  expect(await code([])).toEqual([2, "TARGET_INVALID"]);
  expect(await code(["--macs", "0.5", "--method", "nonesuch"])).toEqual([2, "METHOD_UNKNOWN"]);
  expect(await code(["--macs", "0.5", "--method", "bn"])).toEqual([2, "METHOD_NEEDS_BN"]);
  expect(await code(["--macs", "0.5", "-o", data])).toEqual([2, "RUN_NOT_EMPTY"]);
  const empty = join(folder, "only-test");
  await mkdir(empty);
  await writeQuadrants(empty);
  for (const name of await readdir(empty))
    if (name.startsWith("train")) await rm(join(empty, name));
  const ran = await espalier(["compress", net, "--data", empty, "--dry-run", "--macs", "0.5"]);
  expect(ran).toMatchObject({ exitCode: 2, err: expect.stringContaining("`fit`") });
  await writeFile(join(folder, "net.onnx"), "no network");
  const broken = await espalier(["compress", join(folder, "net.onnx"), ...argv.slice(2)]);
  expect(broken.exitCode).toBe(2);
});
