/** @file `espalier report`: the page of a run in a folder. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { saveTensors } from "../src/files/tensor-file.ts";
import { drawReport } from "../src/report/draw.ts";
import {
  type CompressConfig,
  createRun,
  runPaths,
  type TrainConfig,
  writeReport,
} from "../src/runs/folder/run-folder.ts";
import { compressSettings } from "../src/runs/settings/compress-settings.ts";
import { settingsOf } from "../src/runs/settings/train-settings.ts";
import type { TrainReport } from "../src/runs/training/train-report.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { cellExamples, uncertifiedReport } from "./reports.ts";

const common = {
  versions: { espalier: "0.1.0" },
  network: "net.onnx",
  externalData: false,
  data: { path: "/data", digest: "00", options: {} },
} as const;
const compressConfig: CompressConfig = {
  version: 1,
  ...common,
  command: "compress",
  hasLabels: true,
  custom: { metric: null, hasObjective: false },
  settings: compressSettings.parse({ maxDrop: 0.005 }),
};

/** A run of `compress` that is over, with examples. */
async function finishedRun(): Promise<string> {
  const run = join(await emptyFolder(), "run");
  await createRun(run, compressConfig, async () => {});
  const { count, height, width, images, truth, ...maps } = cellExamples(2, 16);
  const path = runPaths(run).predictions.examples;
  await mkdir(dirname(path));
  const shape = [count, height, width];
  const tensors = new Map([
    ["images", tensorOf("uint8", [...shape, 3], images)],
    ["truth", tensorOf("uint8", shape, truth ?? [])],
    ["original", tensorOf("uint8", shape, maps.original)],
    ["compressed", tensorOf("uint8", shape, maps.compressed)],
  ]);
  await saveTensors(path, { tensors, note: "" });
  await writeReport(run, uncertifiedReport());
  return run;
}

const codeOf = ({ out }: { readonly out: string }) => JSON.parse(out).error.code;

describe("espalier report", () => {
  it("draws the page, prints its path, and draws the same bytes again", async () => {
    const run = await finishedRun();
    const path = join(run, "report.html");
    expect(await espalier(["report", run])).toMatchObject({ exitCode: 0, out: `${path}\n` });
    const page = await readFile(path, "utf8");
    expect(page).toContain("compression with method importance");
    expect(page.match(/<img /g)).toHaveLength(10);
    const { exitCode, out } = await espalier(["report", run, "--json"]);
    expect([exitCode, JSON.parse(out)]).toEqual([0, { path }]);
    expect(await readFile(path, "utf8")).toBe(page);
    expect(await readdir(run)).not.toContainEqual(expect.stringMatching(/tmp$/));
  });

  it("draws what the report says, without examples where there are none", async () => {
    const run = join(await emptyFolder(), "run");
    await createRun(run, compressConfig, async () => {});
    await writeReport(run, uncertifiedReport());
    await espalier(["report", run]);
    const config = JSON.parse(await readFile(runPaths(run).config, "utf8"));
    expect(await readFile(runPaths(run).html, "utf8")).toBe(
      drawReport(uncertifiedReport(), {
        config,
        run: "run",
        data: "/data",
        again: "espalier compress run/original.onnx --data /data --max-drop 0.005 -o run-again",
      }),
    );
  });

  it("draws a smaller page of a training run", async () => {
    const run = join(await emptyFolder(), "run");
    const settings = settingsOf({});
    const config: TrainConfig = {
      version: 1,
      ...common,
      command: "train",
      hasTeacher: false,
      settings,
    };
    await createRun(run, config, async () => {});
    const report: TrainReport = {
      command: "train",
      network: "lenet5",
      seed: 0,
      epochs: 2,
      steps: 20,
      end: "early-stop",
      history: [1, 2].map((epoch) => ({
        epoch,
        step: 10 * epoch,
        rate: 0.01,
        loss: 1 / epoch,
        select: { metric: "top1", value: 0.4 * epoch, loss: 1.1 / epoch },
      })),
      best: { epoch: 2, metric: "top1", value: 0.8, loss: 0.55 },
      final: {
        split: "test",
        metric: "top1",
        value: 0.79,
        loss: 0.6,
        samples: 500,
        ci95: [0.75, 0.82],
      },
      sizeBytes: 248_026,
      warnings: ["the learning rate is <high>"],
    };
    await writeReport(run, report);
    expect(await espalier(["report", run])).toMatchObject({ exitCode: 0 });
    const page = (await readFile(runPaths(run).html, "utf8")).replaceAll("\u00a0", " ");
    expect(page).toContain("2 epochs; it ended early");
    expect(page).toContain(
      "Accuracy on 500 test samples: <b>79.00 %</b> (95 %: 75.00 % to 82.00 %)",
    );
    expect(page).toContain("The learning rate is &#60;high&#62;.");
    expect(page.match(/<svg class="wide"/g)).toHaveLength(2);
  });

  it("refuses a folder without a run", async () => {
    const ran = await espalier(["report", await emptyFolder(), "--json"]);
    expect([ran.exitCode, codeOf(ran)]).toEqual([2, "RUN_INVALID"]);
  });

  it("refuses a run that is not over, and says how to go on", async () => {
    const run = join(await emptyFolder(), "run");
    await createRun(run, compressConfig, async () => {});
    const { exitCode, err } = await espalier(["report", run]);
    expect(exitCode).toBe(2);
    expect(err).toContain("not over yet");
    expect(err).toContain(`espalier resume ${run}`);
  });

  it.each([
    ["report.json", `{"command":"compress"}`, "RUN_INVALID"],
    ["report.json", "{", "RUN_INVALID"],
    ["predictions/examples.safetensors", "short", "CHECKPOINT_INVALID"],
  ])("refuses a damaged %s (%s), and leaves the page as it was", async (name, text, code) => {
    const run = await finishedRun();
    await espalier(["report", run]);
    const page = await readFile(runPaths(run).html, "utf8");
    await writeFile(join(run, name), text);
    const ran = await espalier(["report", run, "--json"]);
    expect([ran.exitCode, codeOf(ran)]).toEqual([2, code]);
    expect(await readFile(runPaths(run).html, "utf8")).toBe(page);
  });

  it("refuses examples of other shapes", async () => {
    const run = await finishedRun();
    const tensors = new Map([
      ["images", tensorOf("uint8", [1, 2, 2, 3], new Uint8Array(12))],
      ["original", tensorOf("uint8", [1, 2, 2], new Uint8Array(4))],
      ["compressed", tensorOf("uint8", [1, 4], new Uint8Array(4))],
    ]);
    await saveTensors(runPaths(run).predictions.examples, { tensors, note: "" });
    const { exitCode, err } = await espalier(["report", run]);
    expect(exitCode).toBe(2);
    expect(err).toContain('lacks "compressed", bytes of shape [1, 2, 2]');
  });
});
