/** @file `espalier evaluate`: how good a network is on a data set. */
import { Command, Option } from "commander";
import type { Role } from "../data/splits.ts";
import type { Evaluation } from "../measure/tally.ts";
import { formatInteger, formatPercent } from "../report/text.ts";
import { addDataOptions, type DataFlags, open } from "./data-options.ts";
import { type Io, writeJson } from "./io.ts";
import {
  addJsonOption,
  addModelOptions,
  addThreadsOption,
  load,
  type ModelFlags,
} from "./model-options.ts";
import { newProgress } from "./progress.ts";
import { drawFacts, drawTable } from "./table.ts";
import { integerFrom } from "./values.ts";

interface Flags extends ModelFlags, DataFlags {
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
What lies in DIR is recognised: IDX files (MNIST and kin), CIFAR binary batches,
class folders of images, npz files with x and y. A file dataset.json beside the
data may hold the data flags. A model that \`train\` wrote knows how samples
become its inputs, which wins over dataset.json; flags win over both.

Examples:
  espalier evaluate net.onnx --data mnist
  espalier evaluate net.onnx --data cifar10 --mean 0.485,0.456,0.406 \\
      --std 0.229,0.224,0.225
  espalier evaluate net.onnx --data photos --resize 256 --crop 224x224 --json
  espalier evaluate net.onnx --data pixels --scale 1 --layout nhwc --limit 1000`;

/** The command. */
export function evaluateCommand(io: Io): Command {
  const command = new Command("evaluate")
    .argument("<MODEL>", "ONNX file")
    .description("Measures a classifier: accuracy, loss and calibration, each with its interval.")
    .requiredOption("--data <DIR>", "the data set")
    .addOption(
      new Option("--split <role>", "which samples")
        .choices(["fit", "select", "certify", "test"])
        .default("test"),
    )
    .option("--limit <n>", "only the first n samples of the split", integerFrom(1))
    .option("--batch <n>", "samples per run (default 128)", integerFrom(1))
    .option("--output <name>", "the output that holds the classes")
    .option("--per-class", "show the accuracy of each class")
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
      onProgress: ({ done, total, top1 }) =>
        progress.step({ done, total, unit: "samples", note: `top-1 ${formatPercent(top1, 2)}` }),
    });
    progress.end();
    if (flags.json) {
      const { predictions, ...figures } = evaluation;
      writeJson(io, figures);
    } else io.out(describe(evaluation, flags.perClass ?? false, io));
  } finally {
    progress.end();
  }
}

function describe(evaluation: Evaluation, showsClasses: boolean, io: Io): string {
  const { top1, top5, crossEntropy, calibrationError, samples, split, classes } = evaluation;
  const share = ({ value, ci95 }: typeof top1) => [
    formatPercent(value, 2),
    `${formatPercent(ci95[0], 2)} to ${formatPercent(ci95[1], 2)}`,
  ];
  const number = ({ value, ci95 }: typeof top1) => [
    value.toFixed(4),
    `${ci95[0].toFixed(4)} to ${ci95[1].toFixed(4)}`,
  ];
  const table = drawTable(
    [
      { title: "metric" },
      { title: "value", align: "right" },
      { title: "95 % interval", align: "right" },
    ],
    [
      ["top-1", ...share(top1)],
      ...(classes > 5 ? [["top-5", ...share(top5)]] : []),
      ["loss (nats)", ...number(crossEntropy)],
      ["calibration error", ...share(calibrationError)],
    ],
    io,
  );
  const facts = drawFacts(
    [
      ["samples", `${formatInteger(samples)} (${split})`],
      ["output", `${evaluation.output}, ${classes} classes, ${evaluation.outputKind}`],
    ],
    io.columns,
  );
  return [table, facts, ...(showsClasses ? [describeClasses(evaluation, io)] : [])].join("\n");
}

function describeClasses({ perClass }: Evaluation, io: Io): string {
  return drawTable(
    [
      { title: "class", isFlexible: true },
      { title: "samples", align: "right" },
      { title: "right", align: "right" },
    ],
    perClass.map(({ label, name, samples, correct }) => [
      name ?? String(label),
      formatInteger(samples),
      samples === 0 ? "" : formatPercent(correct / samples),
    ]),
    io,
  );
}
