/** @file What may go wrong in a compression: it ends as it should, and nothing is lost. */
import { execFile } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileDigest } from "../src/files/file-digest.ts";
import { journalText } from "../src/runs/folder/journal.ts";
import { runPaths } from "../src/runs/folder/run-folder.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { idxFile } from "./data-files.ts";
import { makeWorkplace, type Workplace } from "./support/small-cnn.ts";

let made: Workplace;
/** `model.onnx` of a run that nobody disturbed. */
let expected: Buffer;

// Whole units, not widths of 8: the network has 8 channels, and an attempt can then be halved more than once.
const flags = [
  ...["--method", "magnitude", "--max-drop", "0.25", "--round-drop", "0.15", "--rounds", "2"],
  ...["--epochs", "1", "--batch", "20", "--lr", "0.05", "--threads", "1"],
  ...["--bench-seconds", "0.05", "--round-to", "1"],
];

function compress(run: string, data = made.data, more: readonly string[] = []): string[] {
  return ["compress", made.net, "--data", data, "-o", run, ...flags, ...more];
}

beforeAll(async () => {
  made = await makeWorkplace();
  const { exitCode, err } = await espalier(compress(made.run));
  expect(exitCode, err).toBe(0);
  expected = await readFile(join(made.run, "model.onnx"));
}, 60_000);
afterAll(() => rm(made.folder, { recursive: true, force: true }));

/** The place of a new run, in a folder with nothing else. */
async function place(): Promise<string> {
  return join(await emptyFolder(), "run");
}

/** A copy of the data, to be changed. */
async function copyOfData(): Promise<string> {
  const data = join(await emptyFolder(), "data");
  await cp(made.data, data, { recursive: true });
  return data;
}

/** Runs a command line and does something once, as soon as stderr holds this text. */
async function disturbed(argv: readonly string[], text: string, disturb: () => void, more = {}) {
  let err = "";
  let isDone = false;
  const { exitCode, out } = await espalier(argv, {
    ...more,
    err(part) {
      err += part;
      if (isDone || !err.includes(text)) return;
      isDone = true;
      disturb();
    },
  });
  return { exitCode, out, err };
}

/** Stops the command with Ctrl-C as soon as its progress line says this. */
async function stopped(argv: readonly string[], text: string) {
  const controller = new AbortController();
  const live = { signal: controller.signal, isLive: true };
  return disturbed(argv, text, () => controller.abort(), live);
}

/** Resumes, and expects the result of a run that nobody disturbed, in a folder that is whole. */
async function expectResumed(run: string, more: readonly string[] = []): Promise<void> {
  const { exitCode, err } = await espalier(["resume", run, ...more]);
  expect(exitCode, err).toBe(0);
  await expectWhole(run);
}

async function expectWhole(run: string): Promise<void> {
  expect((await readFile(join(run, "model.onnx"))).equals(expected)).toBe(true);
  const names = await readdir(run, { recursive: true });
  expect(names.sort()).toEqual((await readdir(made.run, { recursive: true })).sort());
  expect((await espalier(["verify", run])).exitCode).toBe(0);
}

async function reportOf(run: string) {
  return JSON.parse(await readFile(join(run, "report.json"), "utf8"));
}

describe("Ctrl-C", () => {
  it.each([
    "measuring the baseline",
    "round 1: searching",
    "epoch 1/1",
    "round 1: fine-tuning",
    "round 2: scoring",
    "choosing",
    "testing",
    "timing",
  ])("while %s ends with 130, and the run goes on", async (text) => {
    const run = await place();
    const { exitCode, err, out } = await stopped(compress(run), text);
    expect([exitCode, out]).toEqual([130, ""]);
    expect(err).toContain(`stopped; \`espalier resume ${run}\` goes on`);
    await expectResumed(run);
  });

  it("while it reads leaves nothing", async () => {
    const run = await place();
    const controller = new AbortController();
    controller.abort();
    const { exitCode, err } = await espalier(compress(run), { signal: controller.signal });
    expect([exitCode, err.includes("stopped; nothing was written")]).toEqual([130, true]);
    expect(existsSync(run)).toBe(false);
  });
});

/** Runs a command in a process whose files may grow to so many kilobytes: a full disk, but for the code. */
function limited(argv: readonly string[], kilobytes: number) {
  const root = resolve(import.meta.dirname, "..");
  const main = join(root, "src/cli/main.ts");
  // Where the signal is ignored, the call fails instead.
  const script = `trap "" XFSZ; ulimit -f ${kilobytes}; exec "$@"`;
  const command = [process.execPath, "--import", "tsx", main, ...argv];
  return new Promise<{ readonly exitCode: unknown; readonly err: string }>((done) => {
    const env = { ...process.env, TSX_DISABLE_CACHE: "1" };
    execFile("bash", ["-c", script, "bash", ...command], { cwd: root, env }, (error, _, err) =>
      done({ exitCode: error === null ? 0 : error.code, err }),
    );
  });
}

describe("a full disk", () => {
  it("as the run begins leaves nothing", async () => {
    const run = await place();
    const { exitCode, err } = await limited(compress(run), 2);
    expect(exitCode, err).toBe(2);
    expect(err).toMatch(/error: Cannot write .*: it is too large for this file system\.\nhint: /);
    expect(await readdir(join(run, ".."))).toEqual([]);
  });

  // The first checkpoint is larger than the network; the page is larger than all else.
  it.each([
    ["in a round", 6, "checkpoint"],
    ["at the end", 40, "report.html"],
  ])("%s loses nothing that was done", async (_, kilobytes, file) => {
    const run = await place();
    const { exitCode, err } = await limited(compress(run), kilobytes);
    expect(exitCode, err).toBe(2);
    expect(err).toMatch(new RegExp(`error: Cannot write .*${file}.*: it is too large for`));
    const names = await readdir(run, { recursive: true });
    expect(names.filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await expectResumed(run);
  });
});

describe("a folder that cannot be written", () => {
  it("is refused before anything is measured", async () => {
    const run = join(made.net, "run");
    const { exitCode, err } = await espalier(compress(run));
    expect(exitCode).toBe(2);
    expect(err).toMatch(/error: .*run/);
    expect(err).not.toContain("baseline");
  });

  it.skipIf(!existsSync("/proc/self"))("is refused where nothing can be made at all", async () => {
    const { exitCode, err } = await limited(compress("/proc/run"), 1e6);
    expect(exitCode, err).toBe(2);
    expect(err).toMatch(/error: Cannot make the run/);
  });

  it("halfway loses nothing that was done", async () => {
    const run = await place();
    const obstacle = join(run, "rounds", "02");
    const ran = await disturbed(compress(run), "accepted", () => writeFileSync(obstacle, ""));
    expect(ran.exitCode, ran.err).toBe(2);
    expect(ran.err).toContain(
      `error: Cannot make the folder ${obstacle}: there is something of this name already.`,
    );
    expect(ran.err).toContain(`what was done is kept: \`espalier resume ${run}\` goes on`);
    await rm(obstacle);
    await expectResumed(run);
  });
});

describe("what can never succeed", () => {
  it.each([
    { flags: ["--method", "snr", "--option", "epochs=1.5"], tells: /epochs/ },
    { flags: ["--method", "importance", "--option", "penalty=-1"], tells: /penalty/ },
    { flags: ["--method", "turbo-vbi", "--option", "density=2"], tells: /density/ },
    { flags: ["--method", "vib", "--option", "threshold=-1"], tells: /threshold/ },
    { flags: ["--only", "nothing"], tells: /nothing/ },
    { flags: ["--freeze", "nothing"], tells: /nothing/ },
    { flags: ["--loss", "bce"], tells: /bce is for one output/ },
  ])("is refused before the run begins: $flags", async ({ flags, tells }) => {
    const run = await place();
    const { exitCode, err } = await espalier([...compress(run), ...flags]);
    expect(exitCode, err).toBe(2);
    expect(err).toMatch(tells);
    expect(err).not.toContain("goes on");
    expect(existsSync(run)).toBe(false);
  });
});

describe("data", () => {
  it("that are gone when the run goes on are named, and may have moved", async () => {
    const run = await place();
    const data = await copyOfData();
    await stopped(compress(run, data), "round 2: scoring");
    await rename(data, `${data}-moved`);
    const { exitCode, err, out } = await espalier(["resume", run, "--json"]);
    expect([exitCode, JSON.parse(out).error.code]).toEqual([2, "DATA_NOT_FOUND"]);
    expect(err).toContain(data);
    await expectResumed(run, ["--data", `${data}-moved`]);
  });

  it("of which a file is gone, or has changed, are refused", async () => {
    const run = await place();
    const data = await copyOfData();
    await stopped(compress(run, data), "round 2: scoring");
    const labels = join(data, "train-labels-idx1-ubyte");
    const bytes = await readFile(labels);
    await rm(labels);
    const gone = await espalier(["resume", run, "--json"]);
    expect([gone.exitCode, JSON.parse(gone.out).error.code]).toEqual([2, "DATA_INVALID"]);
    expect(gone.err).toContain("train-images-idx3-ubyte");
    const changed = Buffer.from(bytes);
    changed[8] = 3 - changed[8];
    await writeFile(labels, changed);
    const other = await espalier(["resume", run, "--json"]);
    expect([other.exitCode, JSON.parse(other.out).error.code]).toEqual([2, "DATA_MISMATCH"]);
    await writeFile(labels, bytes);
    await expectResumed(run);
  });

  it("that vanish under the run end it with their name, and it goes on when they are back", async () => {
    const run = await place();
    const data = await copyOfData();
    const images = await imageFolders(data);
    const vanish = () => rmSync(images, { recursive: true });
    const ran = await disturbed(compress(run, images), "round 1: searching", vanish, {
      isLive: true,
    });
    expect(ran.exitCode, ran.err).toBe(2);
    expect(ran.err).toMatch(/error: .*\.png/);
    await imageFolders(data);
    const { exitCode, err } = await espalier(["resume", run]);
    expect([0, 3], err).toContain(exitCode);
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });

  it("with a label that the network does not know are refused before anything is done", async () => {
    const run = await place();
    const data = await copyOfData();
    const path = join(data, "train-labels-idx1-ubyte");
    const labels = await readFile(path);
    labels[labels.length - 1] = 7;
    await writeFile(path, labels);
    const { exitCode, err } = await espalier(compress(run, data));
    expect(exitCode, err).toBe(2);
    expect(err).toMatch(/error: .*(label|class)/);
    expect(err).not.toContain("round 1");
    expect(existsSync(run)).toBe(false);
  });

  it("without labels serve too: what the original says is right", async () => {
    const run = await place();
    const data = await copyOfData();
    for (const name of await readdir(data)) if (name.includes("labels")) await rm(join(data, name));
    // The original teaches, so that a temperature has something to say.
    const { exitCode, err } = await espalier(compress(run, data, ["--temperature", "2"]));
    expect(exitCode, err).toBe(0);
    expect(await reportOf(run)).toMatchObject({
      metric: "agreement",
      hasLabels: false,
      baseline: { value: 1 },
      drop: { certified: true },
    });
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });
});

/** The train and test images as PNG files in folders of their class. */
async function imageFolders(data: string): Promise<string> {
  const folder = `${data}-images`;
  const { default: sharp } = await import("sharp");
  for (const split of ["train", "test"]) {
    const pixels = (await readFile(join(data, `${split}-images-idx3-ubyte`))).subarray(16);
    const labels = (await readFile(join(data, `${split}-labels-idx1-ubyte`))).subarray(8);
    for (const [i, label] of labels.entries()) {
      const inside = join(folder, split, String(label));
      await mkdir(inside, { recursive: true });
      const raw = { width: 8, height: 8, channels: 1 } as const;
      await sharp(pixels.subarray(64 * i, 64 * i + 64), { raw })
        .toColourspace("b-w")
        .png()
        .toFile(join(inside, `${i}.png`));
    }
  }
  return folder;
}

it.each([
  { more: ["--temperature", "3"], says: "--distill" },
  { more: ["--distill", "--label-smoothing", "0.1"], says: "--label-smoothing" },
  { more: ["--optimizer", "adam", "--momentum", "0.3"], says: "adam" },
  { more: ["--optimizer", "adamw", "--nesterov"], says: "adamw" },
  { more: ["--nesterov", "--momentum", "0"], says: "--momentum" },
])("$more, which would do nothing, is refused", async ({ more, says }) => {
  const run = await place();
  for (const flags of [more, [...more, "--dry-run"]]) {
    const { exitCode, out } = await espalier(compress(run, made.data, [...flags, "--json"]));
    expect(exitCode).toBe(2);
    const { error } = JSON.parse(out);
    expect(error.code).toBe("USAGE");
    expect(`${error.message} ${error.hint}`).toContain(says);
  }
  expect(existsSync(run)).toBe(false);
});

it.each([
  ["--confidence", "0.5", "above 0.5 and below 1"],
  ["--round-drop", "0", "above 0 and below 1"],
  ["--posterior-samples", "10001", "from 0 to 10000"],
])("%s %s is refused with its range", async (flag, value, range) => {
  const { exitCode, err } = await espalier(compress(await place(), made.data, [flag, value]));
  expect(exitCode).toBe(2);
  expect(err).toMatch(new RegExp(`'${flag} .*${range}`));
});

describe("tuning that diverges", () => {
  it("in every attempt gives the original back, with the reason", async () => {
    const run = await place();
    const { exitCode, out } = await espalier(compress(run, made.data, ["--lr", "1e30"]));
    expect(exitCode).toBe(3);
    expect(out.replace(/\s+/g, " ")).toContain(
      "The original is returned as it was: nothing smaller held. Fine-tuning diverged in 3 of 3 attempts: a lower learning rate",
    );
    const { rounds, chosenRound } = await reportOf(run);
    expect([chosenRound, rounds.length]).toEqual([0, 1]);
    for (const attempt of rounds[0].attempts)
      expect(attempt).toMatchObject({
        isAccepted: false,
        isDiverged: true,
        tuned: null,
        tuning: [],
        reason: expect.stringMatching(/^fine-tuning diverged: Step \d+ \(epoch 1\): .* finite\.$/),
      });
    const [original, model] = await Promise.all([made.net, join(run, "model.onnx")].map(readAll));
    expect(model.equals(original)).toBe(true);
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });

  it("in a later round leaves what was accepted before", async () => {
    const run = await place();
    await stopped(compress(run), "round 2: scoring");
    await changeRate(run, 1e30);
    const { exitCode, out, err } = await espalier(["resume", run]);
    expect(exitCode, err).toBe(0);
    expect(out).toMatch(/Fine-tuning\s+diverged\s+in/);
    const { rounds, chosenRound, drop } = await reportOf(run);
    expect([chosenRound, drop.certified]).toEqual([1, true]);
    expect(rounds[1]).toMatchObject({ isAccepted: false });
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });
});

/** Changes the learning rate of a run, and what is on record of its settings: else `resume` would refuse it. */
async function changeRate(run: string, rate: number): Promise<void> {
  const { config: path, journal } = runPaths(run);
  const config = JSON.parse(await readFile(path, "utf8"));
  config.settings.tuning.learningRate = rate;
  await writeFile(path, JSON.stringify(config));
  const { seconds, entries, files, origin } = JSON.parse(await readFile(journal, "utf8"));
  const changed = { ...origin, "config.json": await fileDigest(path) };
  await writeFile(journal, journalText({ seconds, entries, files, origin: changed }));
}

async function readAll(path: string): Promise<Buffer> {
  return readFile(path);
}

it.each(["magnitude", "importance"])(
  "%s ends its rounds when nothing more may go",
  async (method) => {
    const run = await place();
    const greedy = [
      "--method",
      method,
      "--max-drop",
      "0.9",
      "--round-drop",
      "0.95",
      "--rounds",
      "3",
    ];
    const { exitCode, err } = await espalier(compress(run, made.data, greedy));
    expect([0, 3], err).toContain(exitCode);
    const { rounds, notes } = await reportOf(run);
    expect(rounds[0].isAccepted).toBe(true);
    expect(rounds[1]).toMatchObject({ attempts: [], isAccepted: false });
    expect([rounds.length, notes]).toEqual([2, ["round 2: nothing is left that may go"]]);
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  },
);

describe("a tolerance", () => {
  it("that nothing meets gives the original back", async () => {
    const run = await place();
    const harsh = ["--epochs", "0", "--attempts", "1", "--max-drop", "0.01", "--round-drop", "0.7"];
    const { exitCode, out } = await espalier(compress(run, made.data, harsh));
    expect(exitCode).toBe(3);
    expect(out.replace(/\s+/g, " ")).toContain(
      "The original is returned as it was: nothing smaller held. Nothing that was tried kept the drop of accuracy within 1 point on select.",
    );
    const [original, model] = await Promise.all([made.net, join(run, "model.onnx")].map(readAll));
    expect(model.equals(original)).toBe(true);
    // Asked again, it says the same.
    expect(await espalier(["resume", run])).toMatchObject({ exitCode: 3, out });
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });

  it("with one image to certify it gives a result that says so", async () => {
    const run = await place();
    const data = await copyOfData();
    // Of a validation split beside a test split, one quarter is `select` and the rest `certify`.
    const image = (await readFile(join(data, "test-images-idx3-ubyte"))).subarray(16, 16 + 2 * 64);
    await writeFile(join(data, "val-images-idx3-ubyte"), idxFile([2, 8, 8], image));
    await writeFile(join(data, "val-labels-idx1-ubyte"), idxFile([2], [0, 1]));
    const { exitCode, out } = await espalier(compress(run, data));
    expect(exitCode).toBe(3);
    expect(out.replace(/\s+/g, " ")).toMatch(
      /Not certified: a drop of accuracy of 0 points observed on 1 image of certify.*fewer than 6 images.* It would take about \d+ images/,
    );
    expect(await reportOf(run)).toMatchObject({
      samples: { select: 1, certify: 1 },
      drop: { certified: false },
      looks: [{ samples: 1, passed: false }],
    });
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });
});
