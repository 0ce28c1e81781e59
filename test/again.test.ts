/** @file The command that a report gives to repeat a run, read again by the command line: it asks for the same. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  type Flags as CompressFlags,
  compressCommand,
  requestOf as compressRequest,
} from "../src/cli/commands/compress.ts";
import {
  type Flags as TrainFlags,
  trainCommand,
  requestOf as trainRequest,
} from "../src/cli/commands/train.ts";
import { processIo } from "../src/cli/terminal/io.ts";
import { commandAgain } from "../src/report/again.ts";
import type { CompressConfig, TrainConfig } from "../src/runs/folder/run-folder.ts";
import { compressSettings } from "../src/runs/settings/compress-settings.ts";
import { trainSettings } from "../src/runs/settings/train-settings.ts";

const io = processIo(new AbortController().signal);
const common = { version: 1, versions: {}, network: "net.onnx", externalData: false } as const;

async function compression(words: readonly string[]): Promise<CompressConfig> {
  let flags: CompressFlags | undefined;
  const command = compressCommand(io, () => {}).exitOverride();
  command.action((_: string, given: CompressFlags) => {
    flags = given;
  });
  await command.parseAsync([...words], { from: "user" });
  if (flags === undefined) throw new Error("the command was not read");
  const { data, dataOptions = {}, settings } = compressRequest("net.onnx", flags);
  return {
    ...common,
    command: "compress",
    hasLabels: true,
    custom: { metric: null, hasObjective: false },
    data: { path: data, digest: "00", options: dataOptions },
    settings: compressSettings.parse(settings),
  };
}

async function training(words: readonly string[]): Promise<TrainConfig> {
  let flags: TrainFlags | undefined;
  const command = trainCommand(io).exitOverride();
  command.action((_: string, given: TrainFlags) => {
    flags = given;
  });
  await command.parseAsync([...words], { from: "user" });
  if (flags === undefined) throw new Error("the command was not read");
  const { data, dataOptions = {}, settings, teacher } = trainRequest("net.onnx", flags);
  return {
    ...common,
    command: "train",
    hasTeacher: teacher !== undefined,
    data: { path: data, digest: "00", options: dataOptions },
    settings: trainSettings.parse(settings),
  };
}

/** The words of a line, as sh reads them, without `espalier` and the name of the command. */
function wordsOf(line: string | undefined): readonly string[] {
  const text = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${line ?? ""}`], {
    encoding: "utf8",
  });
  return text.split("\0").slice(2, -1);
}

const split = (text: string) => text.split(" ");

describe.skipIf(process.platform === "win32")("a run made again (skipped on Windows)", () => {
  it.each([
    "--max-drop 0.01",
    "--macs 0.5 --params 0.4 --bytes 0.3 --density 0.2 --latency 0.6",
    "--max-drop 0.02 --confidence 0.9 --rounds 3 --round-drop 0.05 --attempts 2 --epochs 0",
    "--macs 0.5 --method vib --option rate=0.001 --option epochs=2 --seed 7",
    "--macs 0.5 --only conv* --except fc1 --except stream --round-to 8 --min-width 4 --select-inputs",
    "--macs 0.5 --distill --temperature 2 --final-epochs 3 --time-budget 90 --bench-seconds 1",
    "--macs 0.5 --sensitivity --posterior-samples 5 --batch 32 --limit 100 --epoch-samples 50",
    "--macs 0.5 --optimizer adamw --lr 0.001 --schedule one-cycle --warm-up 0.1 --decay 0.01 --clip 1",
    "--macs 0.5 --momentum 0.8 --nesterov --keep-zeros --loss ce+dice --label-smoothing 0.1",
    "--macs 0.5 --augment crop=2,flip --freeze bn* --freeze fc2 --lr-factor conv1=0.5 --threads 2 --replicas 2",
    "--macs 0.5 --checkpoint-every 20 --provider webgpu --held-out --split-seed 3 --ignore-label 11",
    "--macs 0.5 --scale 1 --mean=-0.5,0.4,0.3 --std 0.2,0.2,0.2 --layout nhwc --color bgr --format npz",
    "--macs 0.5 --resize 256 --crop 224x200 --pad 2",
    "--macs 0.5 --resize 320x240 --augment flip",
    "--macs 0.5 --no-bench",
  ])("compress %s asks for the same", async (flags) => {
    const asked = await compression(["net.onnx", "--data", "my data", ...split(flags)]);
    const words = wordsOf(commandAgain(asked, "my run"));
    expect(words[0]).toBe("my run/original.onnx");
    expect(words.slice(-2)).toEqual(["-o", "my run-again"]);
    const { settings, data } = await compression(words);
    expect(settings).toEqual(asked.settings);
    expect(data).toEqual(asked.data);
  });

  it.each([
    "",
    "--epochs 3 --batch 16 --replicas 2 --early-stop 2 --time-budget 60 --augment crop",
    "--distill teacher.onnx --temperature 3 --seed 4",
    "--recalibrate-only",
    "--optimizer adam --lr 0.002 --schedule constant --keep-zeros --loss dice",
  ])("train %s asks for the same", async (flags) => {
    const given = ["net.onnx", "--data", "/d", "-o", "run", ...split(flags).filter(Boolean)];
    const asked = await training(given);
    const { settings, data, hasTeacher } = await training(wordsOf(commandAgain(asked, "run")));
    expect({ settings, data, hasTeacher }).toEqual({
      settings: asked.settings,
      data: asked.data,
      hasTeacher: asked.hasTeacher,
    });
  });

  it("has no command where a program gave what no flag says", async () => {
    const asked = await compression(["net.onnx", "--data", "d", "--macs", "0.5"]);
    const { custom, settings, data } = asked;
    const tuning = { ...settings.tuning, patience: 3 };
    for (const config of [
      { ...asked, custom: { ...custom, metric: "PSNR" } },
      { ...asked, custom: { ...custom, hasObjective: true } },
      { ...asked, settings: { ...settings, tuning } },
      { ...asked, data: { ...data, options: { classes: ["a", "b"] } } },
    ])
      expect(commandAgain(config, "run")).toBe(undefined);
    expect(commandAgain({ ...asked, externalData: true }, "run")).toContain("--external-data");
  });
});
