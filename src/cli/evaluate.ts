/** @file `espalier evaluate`: how good a network is on a data set. */
import { Command } from "commander";
import type { Dataset } from "../data/dataset.ts";
import type { Role } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";
import type { EvaluateOptions } from "../measure/evaluate.ts";
import { describeMetric } from "../measure/words.ts";
import type { Model } from "../onnx/read.ts";
import { escapeForTerminal } from "../report/text.ts";
import { addDataOptions, type DataFlags, dataOptionsOf, open, roleOption } from "./data-options.ts";
import { describeEvaluation } from "./evaluate-report.ts";
import { describeRunEvaluation, figuresOfRun } from "./evaluate-run-report.ts";
import { explained } from "./help.ts";
import { type Io, writeJson } from "./io.ts";
import { addIsolateOption, type IsolationFlags, inHost } from "./isolation.ts";
import {
  addJsonOption,
  addModelOptions,
  addThreadsOption,
  isFolder,
  load,
  type ModelFlags,
} from "./model-options.ts";
import { newProgress } from "./progress.ts";
import { integerFrom } from "./values.ts";

/** Flags of `espalier evaluate`, as they are read. */
export interface Flags extends DataFlags, IsolationFlags, ModelFlags {
  readonly data?: string;
  readonly split: Role;
  readonly posteriorSamples?: number;
  readonly seed?: number;
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

MODEL may be the folder of a run that is over, for its result. The data are
those of the run unless --data names others, and are read as the run read them.

With --posterior-samples, MODEL is the folder of a finished run of compress by a
method that learns a posterior: its result at the means of the weights, beside
the mean of the probabilities of that many draws of them, and what changes.

Examples:
  espalier evaluate net.onnx --data mnist
  espalier evaluate net.onnx --data cifar10 --mean 0.485,0.456,0.406 \\
      --std 0.229,0.224,0.225
  espalier evaluate net.onnx --data photos --resize 256 --crop 224x224 --json
  espalier evaluate net.onnx --data pixels --scale 1 --layout nhwc --limit 1000
  espalier evaluate unet.onnx --data camvid --ignore-label 11
  espalier evaluate run --per-class
  espalier evaluate run --posterior-samples 20 --json`;

/** The command. */
export function evaluateCommand(io: Io): Command {
  const command = new Command("evaluate")
    .argument("<MODEL>", "ONNX file, or the folder of a run that is over")
    .description("Measures a network on a data set, each figure with its interval.")
    .option("--data <DIR>", "the data set (default: that of the run)")
    .addOption(roleOption("test"))
    .option("--limit <n>", "only the first n samples of the split", integerFrom(1))
    .option("--batch <n>", "samples per run (default 128)", integerFrom(1))
    .option("--output <name>", "the output to measure")
    .option("--per-class", "show the accuracy of each class too")
    .option("--posterior-samples <n>", "draws from the posterior of a run", integerFrom(1))
    .option("--seed <n>", "of draws and resampling (default 0)", integerFrom(0))
    .addHelpText("after", explained(explanation, io));
  addJsonOption(addIsolateOption(addThreadsOption(addModelOptions(command))));
  return addDataOptions(command).action((path: string, flags: Flags) =>
    inHost(flags, () => run(path, flags, io), io.signal),
  );
}

async function run(path: string, flags: Flags, io: Io): Promise<void> {
  const progress = newProgress(io);
  const onNote = (note: string) => progress.note(escapeForTerminal(note));
  const options: EvaluateOptions = {
    ...{ split: flags.split, limit: flags.limit, batchSize: flags.batch },
    ...{ output: flags.output, threads: flags.threads, seed: flags.seed },
    signal: io.signal,
    onProgress({ done, total, metric, value }) {
      progress.step({ done, total, unit: "samples", note: describeMetric(metric, value) });
    },
  };
  try {
    if (flags.posteriorSamples !== undefined) {
      const { evaluateRun } = await import("../compress/runs/evaluate-run.ts");
      progress.phase("evaluating");
      const { data, posteriorSamples: draws } = flags;
      const own = { ...options, draws, data, dataOptions: dataOptionsOf(flags), onNote };
      const found = await evaluateRun(path, own);
      progress.end();
      if (flags.json) writeJson(io, figuresOfRun(found));
      else io.out(describeRunEvaluation(found, flags.perClass ?? false, io));
      return;
    }
    progress.phase("reading");
    const { model, dataset } = await readBoth(path, flags, onNote);
    const { evaluate } = await import("../measure/evaluate.ts");
    const { writeModel } = await import("../onnx/write.ts");
    const { withSizes } = await import("../structure/bound-sizes.ts");
    io.signal.throwIfAborted();
    progress.phase("evaluating");
    const sized = withSizes(model.graph, flags.dims);
    const evaluation = await evaluate(writeModel(model, sized).chunks, dataset, options);
    progress.end();
    if (flags.json) {
      const { predictions, ...figures } = evaluation;
      writeJson(io, figures);
    } else io.out(describeEvaluation(evaluation, flags.perClass ?? false, io));
  } finally {
    progress.end();
  }
}

/** The network and its data: of a file, or of a run, which knows its own. */
async function readBoth(
  path: string,
  flags: Flags,
  onNote: (note: string) => void,
): Promise<{ readonly model: Model; readonly dataset: Dataset }> {
  const { data } = flags;
  if (await isFolder(path)) {
    const { resultOf } = await import("../compress/runs/run-folder.ts");
    const { openRunData } = await import("../compress/runs/evaluate-run.ts");
    const model = await load(await resultOf(path), flags);
    const dataOptions = dataOptionsOf(flags);
    return { model, dataset: await openRunData(path, { data, dataOptions, onNote }) };
  }
  if (data === undefined)
    throw new EspalierError("USAGE", "no data set was named", { hint: "Give --data DIR." });
  const model = await load(path, flags);
  return { model, dataset: await open(data, flags, model) };
}
