/** @file `espalier evaluate`: how good a network is on a data set. */
import { Command, Option } from "commander";
import type { Role } from "../data/splits.ts";
import { formatPercent } from "../report/text.ts";
import { addDataOptions, type DataFlags, open } from "./data-options.ts";
import { describeEvaluation } from "./evaluate-report.ts";
import { type Io, writeJson } from "./io.ts";
import {
  addJsonOption,
  addModelOptions,
  addThreadsOption,
  load,
  type ModelFlags,
} from "./model-options.ts";
import { newProgress } from "./progress.ts";
import { integerFrom } from "./values.ts";

export interface Flags extends ModelFlags, DataFlags {
  readonly data: string;
  readonly split: Role;
  readonly limit?: number;
  readonly batch?: number;
  readonly output?: string;
  readonly threads?: number;
  readonly perClass?: true;
  readonly json?: true;
}

const explanation = `
Of a classifier: accuracy, loss and calibration. With label maps: mean IoU over
the classes that occur, Dice and pixel accuracy, with intervals over images, and
IoU and Dice of each class. A network with a single output channel tells two
classes apart.

What lies in DIR is recognised: IDX files (MNIST and kin, and images with label
maps), CIFAR binary batches, class folders of images, images/ beside masks/, npz
files with x and y. A file dataset.json beside the data may hold the data flags.
A model that \`train\` wrote knows how samples become its inputs, which wins over
dataset.json; flags win over both.

Examples:
  espalier evaluate net.onnx --data mnist
  espalier evaluate net.onnx --data cifar10 --mean 0.485,0.456,0.406 \\
      --std 0.229,0.224,0.225
  espalier evaluate net.onnx --data photos --resize 256 --crop 224x224 --json
  espalier evaluate net.onnx --data pixels --scale 1 --layout nhwc --limit 1000
  espalier evaluate unet.onnx --data camvid --ignore-label 11`;

/** The command. */
export function evaluateCommand(io: Io): Command {
  const command = new Command("evaluate")
    .argument("<MODEL>", "ONNX file")
    .description("Measures a network on a data set, each figure with its interval.")
    .requiredOption("--data <DIR>", "the data set")
    .addOption(
      new Option("--split <role>", "which samples")
        .choices(["fit", "select", "certify", "test"])
        .default("test"),
    )
    .option("--limit <n>", "only the first n samples of the split", integerFrom(1))
    .option("--batch <n>", "samples per run (default 128)", integerFrom(1))
    .option("--output <name>", "the output to measure")
    .option("--per-class", "show the accuracy of each class too")
    .addHelpText("after", explanation);
  addJsonOption(addThreadsOption(addModelOptions(command)));
  return addDataOptions(command).action((path: string, flags: Flags) => run(path, flags, io));
}

async function run(path: string, flags: Flags, io: Io): Promise<void> {
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const model = await load(path, flags);
    const dataset = await open(flags.data, flags, model);
    const { evaluate } = await import("../measure/evaluate.ts");
    const { writeModel } = await import("../onnx/write.ts");
    io.signal.throwIfAborted();
    progress.phase("evaluating");
    const evaluation = await evaluate(writeModel(model).chunks, dataset, {
      split: flags.split,
      limit: flags.limit,
      batchSize: flags.batch,
      output: flags.output,
      threads: flags.threads,
      signal: io.signal,
      onProgress({ done, total, metric, value }) {
        const name = metric === "miou" ? "mean IoU" : "top-1";
        progress.step({ done, total, unit: "samples", note: `${name} ${formatPercent(value, 2)}` });
      },
    });
    progress.end();
    if (flags.json) {
      const { predictions, ...figures } = evaluation;
      writeJson(io, figures);
    } else io.out(describeEvaluation(evaluation, flags.perClass ?? false, io));
  } finally {
    progress.end();
  }
}
