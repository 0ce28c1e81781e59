/** @file `train` and `resume` as their users and their scripts see them. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { architectures } from "../src/models/registry.ts";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { idxFile, npyFile, zipFile } from "./data-files.ts";
import { residualNetwork } from "./residual-network.ts";
import { writeQuadrants } from "./support/quadrants.ts";

/** 8 x 8 images in 4 classes: 400 of them `fit`, 20 `select`, 60 `certify`, 80 `test`. */
async function workplace() {
  const folder = await emptyFolder();
  const data = join(folder, "data");
  await writeQuadrants(data);
  const run = join(folder, "run");
  return { folder, data, run, model: join(run, "model.onnx") };
}

/** A network that takes such images, and learns them within two epochs. */
const dense = ["train", "lenet-300-100"];
const quick = [
  ...["--epochs", "2", "--batch", "20", "--lr", "0.05", "--schedule", "cosine", "--threads", "1"],
];

/** The only JSON document on stdout. */
function json(text: string) {
  return JSON.parse(text);
}

/** Stops a command while it says this on stderr. */
function stopAt(text: string) {
  const controller = new AbortController();
  let err = "";
  return {
    signal: controller.signal,
    err(part: string) {
      err += part;
      if (err.includes(text)) controller.abort();
    },
  };
}

describe("train", () => {
  it("names in its help every network that can be built", async () => {
    const { out } = await espalier(["train", "--help"]);
    for (const { name } of architectures) expect(out).toContain(name);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("keeps the number of replicas that auto chose, and resumes with it", async () => {
    const { data, run, folder } = await workplace();
    const words = [...dense, "--data", data, ...quick, "--batch", "40", "--threads", "2"];
    const io = stopAt("epoch 1/2");
    let told = "";
    const err = (text: string) => {
      told += text;
      io.err(text);
    };
    const begun = [...words, "-o", run, "--replicas", "auto"];
    expect((await espalier(begun, { ...io, err })).exitCode).toBe(130);
    expect(told).toMatch(/trains with \d replicas? \(a step with 1: [\d.]+ ms, 2: [\d.]+ ms\)/);
    const { replicas } = json(await readFile(join(run, "config.json"), "utf8")).settings;
    expect([1, 2]).toContain(replicas);
    expect((await espalier(["resume", run])).exitCode).toBe(0);
    const again = join(folder, "again");
    await espalier([...words, "-o", again, "--replicas", String(replicas)]);
    const bytes = await readFile(join(run, "model.onnx"));
    expect(bytes.equals(await readFile(join(again, "model.onnx")))).toBe(true);
  });

  it("builds a network that fits the data, trains it, and leaves a run", async () => {
    const { data, run, model } = await workplace();
    const { exitCode, out, err } = await espalier([
      ...[...dense, "--data", data, "-o", run, ...quick, "--mean", "0.4", "--json"],
    ]);
    expect(exitCode).toBe(0);
    expect(err).toMatch(
      /epoch 1\/2: loss .*\nepoch 2\/2: loss .*, right .* %, accuracy .* % on select/,
    );
    const report = json(out);
    expect(report).toMatchObject({
      command: "train",
      network: "lenet-300-100",
      seed: 0,
      epochs: 2,
      steps: 40,
      end: "completed",
      history: [
        { epoch: 1, step: 20, select: { metric: "top1" } },
        { epoch: 2, step: 40, select: { metric: "top1" } },
      ],
      best: { metric: "top1" },
      final: { split: "test", metric: "top1", samples: 80 },
    });
    expect(report.history[1].loss).toBeLessThan(report.history[0].loss);
    expect(report.final.value).toBeGreaterThan(0.9);
    expect((await readdir(run)).sort()).toEqual([
      ...["checkpoint", "config.json", "events.jsonl", "model.onnx", "original.onnx"],
      "report.json",
    ]);
    expect(json(await readFile(join(run, "report.json"), "utf8"))).toEqual(report);
    const events = (await readFile(join(run, "events.jsonl"), "utf8")).trim().split("\n");
    expect(events.map((line) => json(line).event)).toEqual([
      ...["started", "epoch", "epoch", "finished"],
    ]);
    // The run knows its data, and how they were read.
    const ofRun = json((await espalier(["evaluate", run, "--json"])).out);
    expect(ofRun).toMatchObject({ samples: 80, value: report.final.value });
    const elsewhere = ["evaluate", run, "--data", data, "--split", "select", "--json"];
    expect(json((await espalier(elsewhere)).out).value).toBe(report.best.value);
    // `evaluate` reads the preprocessing from the model, and flags win over it.
    const evaluation = json((await espalier(["evaluate", model, "--data", data, "--json"])).out);
    expect(evaluation.value).toBe(report.final.value);
    expect(evaluation.loss).toBe(report.final.loss);
    const other = await espalier(["evaluate", model, "--data", data, "--json", "--mean", "0"]);
    expect(json(other.out).loss).not.toBe(report.final.loss);
  });

  it("gives the same bytes for the same seed, and others for another", async () => {
    const { folder, data } = await workplace();
    const result = async (name: string, seed: string) => {
      const run = join(folder, name);
      const argv = [...dense, "--data", data, "-o", run, ...quick, "--seed", seed];
      expect((await espalier([...argv, "--augment", "crop=1,flip"])).exitCode).toBe(0);
      return readFile(join(run, "model.onnx"), "base64");
    };
    const first = await result("a", "1");
    expect(await result("b", "1")).toBe(first);
    expect(await result("c", "2")).not.toBe(first);
  });

  it("fine-tunes a file, keeps frozen weights, and stops early", async () => {
    const { folder, data, model } = await workplace();
    await espalier([...dense, "--data", data, "-o", join(folder, "run"), ...quick]);
    const tuned = join(folder, "tuned");
    const argv = ["train", model, "--data", data, "-o", tuned, "--lr", "1e-9", "--json"];
    const flags = ["--freeze", "fc1.*", "--epochs", "9", "--early-stop", "2", "--batch", "20"];
    const { out, exitCode } = await espalier([...argv, ...flags]);
    expect(exitCode).toBe(0);
    // With such a rate nothing gets better after the first epoch.
    expect(json(out)).toMatchObject({ epochs: 3, end: "early-stop", best: { epoch: 1 } });
    const { loadModel } = await import("../src/files/model-file.ts");
    const weights = async (path: string, name: string) =>
      (await loadModel(path)).graph.constants.get(name)?.read().data;
    const result = join(tuned, "model.onnx");
    expect(await weights(result, "fc1.weight")).toEqual(await weights(model, "fc1.weight"));
    expect(await weights(result, "fc3.bias")).not.toEqual(await weights(model, "fc3.bias"));
  });

  it("follows another network on images without labels", async () => {
    const { folder, data, model } = await workplace();
    await espalier([...dense, "--data", data, "-o", join(folder, "run"), ...quick]);
    const images = join(folder, "x.npz");
    const pixels = new Uint8Array(await readFile(join(data, "train-images-idx3-ubyte")));
    const body = npyFile("|u1", [480, 1, 8, 8], pixels.subarray(16));
    await writeFile(images, zipFile([{ name: "x.npy", content: body }]));
    const student = join(folder, "student");
    const flags = ["--distill", model, "--temperature", "2", ...quick, "--epochs", "8", "--json"];
    const { out, exitCode } = await espalier([
      ...[...dense, "--data", images, "-o", student, "--seed", "5", ...flags],
    ]);
    expect(exitCode).toBe(0);
    expect(json(out)).toMatchObject({ final: { metric: "objective", split: "test" } });
    const taught = ["evaluate", join(student, "model.onnx"), "--data", data, "--json"];
    expect(json((await espalier(taught)).out).value).toBeGreaterThan(0.8);
  });

  it("trains a network that gives every pixel a class, counting classes in the data", async () => {
    const { folder, run, model } = await workplace();
    const data = join(folder, "pixels");
    const { mkdir } = await import("node:fs/promises");
    await mkdir(data);
    // The bright half of an image is class 1.
    const isBright = (count: number) =>
      Uint8Array.from({ length: count * 256 }, (_, i) => Number(i % 16 < 8 === (i >> 8) % 2 > 0));
    for (const [split, count] of [
      ["train", 48],
      ["test", 8],
    ] as const) {
      const maps = isBright(count);
      const pixels = maps.map((label, i) => 100 * label + (i % 90));
      await writeFile(join(data, `${split}-images-idx3-ubyte`), idxFile([count, 16, 16], pixels));
      await writeFile(join(data, `${split}-labels-idx3-ubyte`), idxFile([count, 16, 16], maps));
    }
    const flags = ["--base-width", "2", "--epochs", "8", "--batch", "4", "--optimizer", "adam"];
    const argv = ["train", "unet", "--data", data, "-o", run, ...flags, "--json"];
    const { out, exitCode } = await espalier([...argv, "--loss", "ce+dice", "--lr", "0.02"]);
    expect(exitCode).toBe(0);
    const { epochs, final, best } = json(out);
    expect({ epochs, final, best }).toMatchObject({
      epochs: 8,
      best: { metric: "miou" },
      final: { metric: "miou", samples: 8 },
    });
    expect(final.value).toBeGreaterThan(0.8);
    // The same figures from the file that it wrote, also for people.
    const asked = ["evaluate", model, "--data", data];
    const evaluation = json((await espalier([...asked, "--json"])).out);
    const { metric, value, loss, ci95, samples, perClass } = evaluation;
    const { split, ...figures } = final;
    expect({ metric, value, loss, ci95, samples }).toEqual(figures);
    expect([split, evaluation.split]).toEqual(["test", "test"]);
    expect(perClass).toHaveLength(2);
    expect(value).toBeCloseTo((perClass[0].iou + perClass[1].iou) / 2, 12);
    const { out: text } = await espalier(asked);
    expect(text).toMatch(/mean IoU .* %/);
    expect(text).toMatch(/class +pixels +IoU +Dice/);
    // All pixels of class 1 out of account.
    const { out: rest } = await espalier([...asked, "--ignore-label", "1", "--json"]);
    expect(json(rest)).toMatchObject({ value: 1, pixelAccuracy: { value: 1 } });
  });

  it("refuses a label that the network does not know, naming its file", async () => {
    const { folder, run } = await workplace();
    const pixels = new Uint8Array(6 * 256);
    await writeFile(join(folder, "images-idx3-ubyte"), idxFile([6, 16, 16], pixels));
    await writeFile(join(folder, "labels-idx3-ubyte"), idxFile([6, 16, 16], pixels.fill(7, 900)));
    const argv = ["train", "unet", "--data", folder, "-o", run, "--classes", "2"];
    const { exitCode, err } = await espalier(argv);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/labels-idx3-ubyte: the label map holds the label 7; expected 0 to 1/);
  });

  it("refuses a loss that is not the network's", async () => {
    const { data, run } = await workplace();
    const argv = [...dense, "--data", data, "-o", run, "--loss"];
    expect(await espalier([...argv, "bce"])).toMatchObject({
      exitCode: 2,
      err: expect.stringMatching(/bce is for one output channel; the network has 4/),
    });
    expect((await espalier([...argv, "mse"])).exitCode).toBe(2);
  });

  it("recalibrates batch normalization without training", async () => {
    const { folder, run, model } = await workplace();
    const net = join(folder, "net.onnx");
    await writeFile(net, residualNetwork());
    const images = join(folder, "x.npz");
    const body = npyFile("<f4", [40, 3, 8, 8], Float32Array.from({ length: 7680 }, Math.sin));
    await writeFile(images, zipFile([{ name: "x.npy", content: body }]));
    const flags = ["--data", images, "-o", run, "--batch", "8", "--recalibrate-only", "--json"];
    const { out, exitCode } = await espalier(["train", net, ...flags]);
    expect({ exitCode, report: json(out) }).toMatchObject({
      exitCode: 0,
      report: { epochs: 0, steps: 0, history: [], best: null },
    });
    const { loadModel } = await import("../src/files/model-file.ts");
    const [before, after] = [await loadModel(net), await loadModel(model)];
    const changed = [...after.graph.constants].filter(
      ([name, { read }]) =>
        String(read().data) !== String(before.graph.constants.get(name)?.read().data),
    );
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.every(([, { shape }]) => shape.length === 1)).toBe(true);
    expect((await espalier(["train", net, ...flags, "--lr", "1"])).exitCode).toBe(2);
  });

  it("spends no more than its time budget, and writes what it has", async () => {
    const { data, run } = await workplace();
    const flags = ["--epochs", "100000", "--time-budget", "1", "--batch", "20", "--json"];
    const { out, exitCode } = await espalier([...dense, "--data", data, "-o", run, ...flags]);
    expect(exitCode).toBe(0);
    expect(json(out).end).toBe("time-budget");
    expect(json(out).steps).toBeGreaterThan(0);
  });

  it.each([
    { what: "an unknown network", argv: ["lenet6"], code: "ARCHITECTURE_UNKNOWN", says: "lenet5" },
    { what: "too small images", argv: ["lenet5"], code: "ARCHITECTURE_OPTION", says: "8 x 8" },
    {
      what: "fewer classes than labels",
      argv: ["resnet20", "--classes", "3"],
      code: "DATA_MISMATCH",
      says: "4",
    },
    {
      what: "a width that is fixed",
      argv: ["resnet20", "--base-width", "8"],
      code: "ARCHITECTURE_OPTION",
      says: "--base-width",
    },
    {
      what: "a pattern without weights",
      argv: ["resnet20", "--freeze", "nothing*"],
      code: "PATTERN_UNMATCHED",
      says: "The parameters are conv1.weight, ",
    },
    {
      what: "momentum of Adam",
      argv: ["resnet20", "--optimizer", "adam", "--momentum", "0.5"],
      code: "USAGE",
      says: "adam",
    },
    {
      what: "a temperature without a teacher",
      argv: ["resnet20", "--temperature", "2"],
      code: "USAGE",
      says: "--distill",
    },
    {
      what: "smoothing beside a teacher",
      argv: ["resnet20", "--distill", "missing.onnx", "--label-smoothing", "0.1"],
      code: "USAGE",
      says: "--label-smoothing",
    },
    {
      what: "smoothing of a loss without cross-entropy",
      argv: ["unet", "--loss", "dice", "--label-smoothing", "0.1"],
      code: "USAGE",
      says: "no part of dice",
    },
    {
      what: "a missing model",
      argv: ["missing.onnx"],
      code: "FILE_UNREADABLE",
      says: "missing.onnx",
    },
    {
      what: "a missing provider",
      argv: ["resnet20", "--provider", "nonesuch"],
      code: "PROVIDER_MISSING",
      says: "nonesuch",
    },
  ])("refuses $what, and leaves no run", async ({ argv, code, says }) => {
    const { folder, data, run } = await workplace();
    const ran = await espalier(["train", ...argv, "--data", data, "-o", run, "--json"]);
    expect(ran.exitCode).toBe(2);
    expect(json(ran.out).error.code).toBe(code);
    expect(ran.err).toContain(says);
    expect(await readdir(folder)).toEqual(["data"]);
  });

  it.each(["data", "file"])("refuses a RUN that is taken: a %s", async (name) => {
    const { folder, data } = await workplace();
    await writeFile(join(folder, "file"), "");
    const ran = await espalier([...dense, "--data", data, "-o", join(folder, name), "--json"]);
    expect(ran.exitCode).toBe(2);
    expect(json(ran.out).error.code).toBe("RUN_NOT_EMPTY");
    expect(ran.err).toContain("hint: Name a folder that does not exist yet.");
  });

  it("names the file of damaged data", async () => {
    const { data, run } = await workplace();
    await writeFile(join(data, "train-labels-idx1-ubyte"), idxFile([7]));
    const ran = await espalier([...dense, "--data", data, "-o", run]);
    expect(ran.exitCode).toBe(2);
    expect(ran.err).toContain("train-");
    const missing = await espalier([...dense, "--data", join(data, "none"), "-o", run]);
    expect(missing).toMatchObject({ exitCode: 2, err: expect.stringContaining("none") });
  });

  it("names step and tensor where training diverges", async () => {
    const { data, run } = await workplace();
    const flags = ["--lr", "1e30", "--schedule", "constant", "--batch", "20", "--json"];
    const { out, exitCode } = await espalier([...dense, "--data", data, "-o", run, ...flags]);
    expect(exitCode).toBe(2);
    const { error } = json(out);
    expect(error).toMatchObject({
      code: "TRAINING_DIVERGED",
      data: { step: expect.any(Number), tensor: expect.any(String) },
    });
    expect(error.message).toMatch(/^Step \d+ \(epoch 1\): .* is not finite\.$/);
  });
});

describe("resume", () => {
  it("goes on after Ctrl-C to the same bytes as without it", async () => {
    const { folder, data, run, model } = await workplace();
    const flags = ["--data", data, ...quick, "--epochs", "4", "--augment", "crop=1", "--json"];
    const whole = join(folder, "whole");
    expect((await espalier([...dense, "-o", whole, ...flags])).exitCode).toBe(0);

    for (const stop of ["epoch 1/4", "epoch 3/4"]) {
      const argv = stop.startsWith("epoch 1") ? [...dense, "-o", run, ...flags] : ["resume", run];
      const io = stopAt(stop);
      const stopped = await espalier(argv, io);
      expect(stopped.exitCode).toBe(130);
      const hint = `\`espalier resume ${run}\` goes on`;
      if (argv.includes("--json"))
        expect(json(stopped.out)).toMatchObject({ error: { code: "ABORTED", hint } });
      else expect(stopped.out).toBe("");
      expect((await readdir(run)).sort()).toEqual([
        ...["checkpoint", "config.json", "events.jsonl", "original.onnx"],
      ]);
    }
    const resumed = await espalier(["resume", run, "--json"]);
    expect(resumed.exitCode).toBe(0);
    for (const name of ["model.onnx", "report.json"])
      expect((await readFile(join(run, name))).equals(await readFile(join(whole, name)))).toBe(
        true,
      );
    // A run that is over shows its report again, and is left alone.
    const before = await readFile(model);
    const again = await espalier(["resume", run, "--json"]);
    expect(again).toMatchObject({ exitCode: 0, out: resumed.out });
    expect(await readFile(model)).toEqual(before);
  });

  it("says how to go on when it is stopped", async () => {
    const { data, run } = await workplace();
    let err = "";
    const io = stopAt("epoch 1/9");
    const { exitCode } = await espalier(
      [...dense, "--data", data, "-o", run, "--epochs", "9", "--batch", "20"],
      {
        signal: io.signal,
        err(text) {
          err += text;
          io.err(text);
        },
      },
    );
    expect(exitCode).toBe(130);
    expect(err).toContain(`stopped; \`espalier resume ${run}\` goes on`);
    for (const early of [
      ["pack", run, "-o", `${run}.esp`],
      ["evaluate", run],
    ]) {
      const ran = await espalier(early);
      expect(ran.exitCode).toBe(2);
      expect(ran.err).toMatch(/not over yet(.|\n)*espalier resume/);
    }
  });

  it("goes on after Ctrl-C, as a process", async () => {
    const { data, run } = await workplace();
    const flags = ["--data", data, "-o", run, "--epochs", "100000", "--batch", "20"];
    const child = startEspalier([...dense, ...flags]);
    child.stderr.on("data", (text) => {
      if (String(text).includes("epoch 3/")) child.kill("SIGINT");
    });
    expect(await new Promise((ended) => child.on("exit", ended))).toBe(130);
    let err = "";
    const io = stopAt("epoch 5/");
    const says = (text: string) => {
      err += text;
      io.err(text);
    };
    const { exitCode } = await espalier(["resume", run], { signal: io.signal, err: says });
    expect(exitCode).toBe(130);
    expect(err).not.toContain("epoch 1/");
  });

  it("refuses other data, and finds the same ones elsewhere", async () => {
    const { folder, data, run } = await workplace();
    const argv = [...dense, "--data", data, "-o", run, ...quick];
    expect((await espalier(argv, stopAt("epoch 1/2"))).exitCode).toBe(130);
    const { rename } = await import("node:fs/promises");
    const moved = join(folder, "moved");
    await rename(data, moved);
    await writeQuadrants(data);
    await writeFile(join(data, "test-labels-idx1-ubyte"), idxFile([80], new Uint8Array(80)));
    const other = await espalier(["resume", run, "--json"]);
    expect(other.exitCode).toBe(2);
    expect(json(other.out).error.code).toBe("DATA_MISMATCH");
    expect(await espalier(["resume", run, "--data", moved])).toMatchObject({ exitCode: 0 });
  });

  it.each([
    { what: "no run", write: undefined, says: "holds no run" },
    { what: "a config that is no JSON", write: "{", says: "cannot be read" },
    { what: "a config of something else", write: "{}", says: "does not describe a run" },
  ])("refuses $what", async ({ write, says }) => {
    const folder = await emptyFolder();
    if (write !== undefined) await writeFile(join(folder, "config.json"), write);
    const ran = await espalier(["resume", folder, "--json"]);
    expect(ran.exitCode).toBe(2);
    expect(json(ran.out).error.code).toBe("RUN_INVALID");
    expect(ran.err).toContain(says);
  });
});
