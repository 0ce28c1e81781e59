/** @file `espalier evaluate`: how good a network is on a data set. */
import { Command } from "commander";
import type { Dataset } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import type { EvaluateOptions, Evaluation } from "../../measure/evaluation/evaluate.ts";
import type { Model } from "../../onnx/model.ts";
import { describeMetric } from "../../words/metrics.ts";
import { escapeForTerminal } from "../../words/text.ts";
import {
  dataFlags,
  dataHeading,
  dataOptionsOf,
  open,
  splitFlags,
  tellLabelSize,
  warnOfInputs,
} from "../options/data-options.ts";
import { addFlags, advanced, asText, type FlagsOf, toggle, value } from "../options/flag.ts";
import { inHost, isolateFlags } from "../options/isolation.ts";
import {
  isFolder,
  jsonFlags,
  load,
  modelFlags,
  outputNameFlags,
  outputNameOf,
  threadsFlags,
} from "../options/model-options.ts";
import { integerFrom } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress, type Progress } from "../terminal/progress.ts";
import { describeEvaluation } from "../texts/evaluate-report.ts";
import { describeRunEvaluation, figuresOfRun } from "../texts/evaluate-run-report.ts";

/** The flags of `espalier evaluate`. */
export const flags = {
  "Options:": {
    data: value("DIR", asText, "The data set. Default: that of the run, where MODEL is one."),
    ...splitFlags("test"),
    limit: value(
      "n",
      integerFrom(1),
      "Measures on the first n samples of the split. Default: all.",
    ),
    against: value(
      "MODEL",
      asText,
      "Measures agreement with this network instead of accuracy; needs no labels.",
    ),
    perClass: toggle("Shows the accuracy of each class, too."),
    posteriorSamples: value(
      "n",
      integerFrom(1),
      "Draws from the posterior of a run, over whose answers the mean is taken. Default: none.",
    ),
    ...modelFlags,
    batch: advanced(value("n", integerFrom(1), "Samples per run. Default: 128.")),
    seed: advanced(value("n", integerFrom(0), "Seed of draws and of resampling. Default: 0.")),
    ...outputNameFlags,
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier evaluate`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
For a classifier it measures accuracy, loss and calibration. With label maps it
measures mean IoU over the classes that occur, Dice and pixel accuracy, with
intervals over images, and IoU and Dice of each class. A network with a single
output channel distinguishes two classes. Maps of another size than the labels,
but of the same aspect ratio, are resized to the size of the labels before the
classes are read off: the scores, linearly, with half-pixel centres.

With --against, the answers of another network stand in for labels. A classifier
is measured by how often it gives the same answer, a segmentation network by mean
IoU with the other's maps, and every other network, such as a detector, by the
similarity of each output: 1 - squared error / variance of the other's output
over images, at least 0 for each image. 100 % means equal outputs, 0 % means
outputs no better than one constant answer for all images.

The format of DIR is recognised: IDX files (MNIST and kin, and images with label
maps), CIFAR binary batches, class folders of images, images/ beside masks/, npz
files with x and y. A file dataset.json beside the data may hold the data flags.
A model that \`train\` wrote holds the preprocessing of its inputs, which wins
over dataset.json; flags win over both.

MODEL may be the folder of a finished run; its result is then measured. The data
are those of the run unless --data names others, and are read as the run read
them. Without labels the result is measured against the original of the run.

With --posterior-samples, MODEL is the folder of a finished run of compress by a
method that learns a posterior. The result with the means of the weights is
compared with the mean of the probabilities over that many draws of the weights.

Examples:
  espalier evaluate net.onnx --data mnist
  espalier evaluate net.onnx --data cifar10 --mean 0.485,0.456,0.406 \\
      --std 0.229,0.224,0.225
  espalier evaluate net.onnx --data photos --resize 256 --crop 224x224 --json
  espalier evaluate net.onnx --data pixels --scale 1 --layout nhwc --limit 1000
  espalier evaluate unet.onnx --data camvid --ignore-label 11
  espalier evaluate small.onnx --data photos --against net.onnx
  espalier evaluate run --per-class
  espalier evaluate run --posterior-samples 20 --json`;

/** The command. */
export function evaluateCommand(io: Io): Command {
  const command = new Command("evaluate")
    .argument("<MODEL>", "ONNX file, or the folder of a finished run")
    .description("Measures a network on a data set, each figure with its confidence interval.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action((path: string, given: Flags) =>
    inHost(given, () => run(path, given, io), io.signal),
  );
}

async function run(path: string, flags: Flags, io: Io): Promise<void> {
  const progress = newProgress(io);
  const onNote = (note: string) => progress.note(escapeForTerminal(note));
  const options: EvaluateOptions = {
    split: flags.split,
    limit: flags.limit,
    batchSize: flags.batch,
    output: outputNameOf(flags),
    threads: flags.threads,
    seed: flags.seed,
    signal: io.signal,
    onProgress({ done, total, metric, value }) {
      const told = flags.against === undefined || metric === "similarity" ? metric : "agreement";
      progress.step({ done, total, unit: "samples", note: describeMetric(told, value) });
    },
  };
  try {
    if (flags.posteriorSamples !== undefined) {
      const { evaluateRun } = await import("../../runs/evaluate-run.ts");
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
    const how = { options, progress, onNote };
    const { model, dataset, against } = await readBoth(path, flags, how);
    const { evaluate } = await import("../../measure/evaluation/evaluate.ts");
    const { writeModel } = await import("../../onnx/writing/write.ts");
    const { withSizes } = await import("../../structure/analysis/bound-sizes.ts");
    io.signal.throwIfAborted();
    progress.phase("evaluating");
    const { signal } = io;
    await tellLabelSize(model, dataset, { progress, output: options.output });
    await warnOfInputs(model, dataset, { progress, signal, role: flags.split });
    const sized = withSizes(model.graph, flags.dims);
    const evaluation = await evaluate(writeModel(model, sized).chunks, dataset, options);
    progress.end();
    if (flags.json) {
      const { predictions, ...figures } = evaluation;
      writeJson(
        io,
        against === undefined ? figures : { ...figures, ...agreement(figures, against) },
      );
    } else {
      const view = { showsClasses: flags.perClass ?? false, against };
      io.out(describeEvaluation(evaluation, view, io));
    }
  } finally {
    progress.end();
  }
}

/** The metric where answers of a network stand in for labels, and the name of that network. */
function agreement(
  { metric }: Pick<Evaluation, "metric">,
  against: string,
): { readonly metric: string; readonly against: string } {
  return { metric: metric === "similarity" ? metric : "agreement", against };
}

/** The network that is evaluated, and the data. */
interface Subject {
  readonly model: Model;
  readonly dataset: Dataset;
  /** The network whose answers stand in for labels. */
  readonly against: string | undefined;
}

/** How networks are run, and how progress is shown. */
interface Reading {
  readonly options: EvaluateOptions;
  readonly progress: Progress;
  readonly onNote: (note: string) => void;
}

/** The network and its data: a file with the data of the flags, or a run with its own data. */
async function readBoth(path: string, flags: Flags, how: Reading): Promise<Subject> {
  const { data, against } = flags;
  if (await isFolder(path)) {
    const { resultOf, runPaths } = await import("../../runs/folder/run-folder.ts");
    const { openRunData } = await import("../../runs/evaluate-run.ts");
    const model = await load(await resultOf(path), flags);
    const { onNote } = how;
    const dataOptions = dataOptionsOf(flags);
    const dataset = await openRunData(path, { data, dataOptions, onNote });
    const original = dataset.labelKind === "none" ? runPaths(path).original : undefined;
    return measuredAgainst(against ?? original, { model, dataset }, flags, how);
  }
  if (data === undefined)
    throw new EspalierError("USAGE", "no data set was named", { hint: "Give --data DIR." });
  const model = await load(path, flags);
  const dataset = await open(data, flags, model);
  return measuredAgainst(against, { model, dataset }, flags, how);
}

/** The evaluation with the answers of another network in place of labels, where one was named. */
async function measuredAgainst(
  against: string | undefined,
  { model, dataset }: Pick<Subject, "model" | "dataset">,
  flags: Flags,
  { options: { output, threads, signal }, progress }: Reading,
): Promise<Subject> {
  if (against === undefined) return { model, dataset, against };
  progress.phase("running the network to compare with");
  const { withAnswersFrom } = await import("../../measure/unlabelled/pseudo-outputs.ts");
  const { writeModel } = await import("../../onnx/writing/write.ts");
  const { sessionOptionsOf } = await import("../../runtime/session.ts");
  const other = await load(against, flags);
  const session = sessionOptionsOf({ threads, signal });
  return {
    model,
    dataset: await withAnswersFrom(dataset, writeModel(other).chunks, { ...session, output }),
    against,
  };
}
