/** @file LeNets that benches train from nothing, before they are compressed in several ways. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { resumeRun } from "../src/compress/resume-run.ts";
import type { TrainSettingsInput } from "../src/runs/settings/train-settings.ts";
import { trainRun } from "../src/runs/training/train-run.ts";

/** A network that is trained from nothing. */
export interface Base {
  readonly name: string;
  readonly architecture: Architecture;
  readonly data: DataName;
  readonly settings: TrainSettingsInput;
}

export const architectures = ["lenet-300-100", "lenet5-caffe"] as const;
export type Architecture = (typeof architectures)[number];
export const dataNames = ["mnist", "fashion"] as const;
export type DataName = (typeof dataNames)[number];
export const seeds = [0, 1, 2] as const;

/** How all of them are trained, before and after pruning. */
export const training = {
  batchSize: 128,
  optimizer: "adam",
  learningRate: 0.002,
  threads: 1,
} as const;

export function baseOf(architecture: Architecture, data: DataName, seed: number): Base {
  return {
    name: `${architecture}-${data}-${seed}`,
    architecture,
    data,
    settings: {
      ...training,
      epochs: 20,
      schedule: "one-cycle",
      seed,
      augment: { crop: 2, flip: false },
    },
  };
}

/** The file of a base, which is trained in FOLDER/name where it is not there yet. */
export async function trainedBase(folder: string, data: string, base: Base): Promise<string> {
  const run = join(folder, base.name);
  if (existsSync(join(run, "config.json"))) await resumeRun(run);
  else await trainRun({ network: base.architecture, data, run, settings: base.settings });
  return join(run, "model.onnx");
}
