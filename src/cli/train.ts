/** @file `espalier train`: trains a built-in network from nothing, or fine-tunes a file. */
import { Command, Option } from "commander";
import type { TrainRunRequest } from "../compress/train-run.ts";
import type { TrainSettingsInput } from "../compress/train-settings.ts";
import { addDataOptions, type DataFlags, dataOptionsOf } from "./data-options.ts";
import type { Io } from "./io.ts";
import { addJsonOption, addThreadsOption } from "./model-options.ts";
import { follow } from "./train-report.ts";
import {
  addFactor,
  addText,
  augmentValue,
  fractionBelowOne,
  integerFrom,
  nonNegativeValue,
  positiveValue,
} from "./values.ts";

interface Flags extends DataFlags {
  readonly data: string;
  readonly output: string;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly schedule?: TrainSettingsInput["schedule"];
  readonly warmUp?: number;
  readonly optimizer?: TrainSettingsInput["optimizer"];
  readonly momentum?: number;
  readonly nesterov?: true;
  readonly decay?: number;
  readonly clip?: number;
  readonly seed?: number;
  readonly limit?: number;
  readonly loss?: TrainSettingsInput["loss"];
  readonly labelSmoothing?: number;
  readonly augment?: TrainSettingsInput["augment"];
  readonly distill?: string;
  readonly temperature?: number;
  readonly freeze: readonly string[];
  readonly lrFactor: readonly (readonly [string, number])[];
  readonly earlyStop?: number;
  readonly timeBudget?: number;
  readonly checkpointEvery?: number;
  readonly recalibrateOnly?: true;
  readonly classes?: number;
  readonly baseWidth?: number;
  readonly provider?: string;
  readonly threads?: number;
  readonly externalData?: true;
  readonly json?: true;
}

const explanation = `
Networks that can be built: lenet-300-100, lenet5, lenet5-caffe, vgg16-bn,
resnet20, resnet56, unet, ternausnet. They take the size, channels and classes
of the data, and begin with random weights from --seed. A file goes on from the
weights that it has.

Samples are used by role: fit trains, select says after each epoch how good the
network is, test is read once, at the end. A folder with train and test files
gives fit 5/6 of train, select 1/24, certify 1/8 (kept for a last check), and
test as it is. For a network that was trained elsewhere on these very files,
select would measure what it knows by heart: give --held-out, which cuts
select, certify and test from the test file.

Losses: ce is cross-entropy, binary for a network with one output channel, which
bce insists on; dice and jaccard (1 - soft overlap) are for label maps; a sum has
both with weight 1. Label maps (IDX, npz, images/ beside masks/) are scored by
mean IoU. Their classes are counted in the data unless dataset.json names them;
pixels with the label 255, or --ignore-label, don't count. Masks that hold 0 and
255 alone are two classes.

RUN will hold model.onnx (the best epoch on select, for inference, with its
preprocessing), original.onnx, report.json, events.jsonl, config.json and a
checkpoint. Stop with Ctrl-C; \`espalier resume RUN\` goes on to the same bytes.

Examples:
  espalier train lenet5 --data mnist -o run
  espalier train resnet20 --data cifar10 -o run --epochs 15 --lr 0.1 \\
      --schedule one-cycle --decay 5e-4 --augment crop,flip
  espalier train small.onnx --data cifar10 -o tuned --epochs 5
  espalier train small.onnx --data photos -o tuned --distill net.onnx
  espalier train unet --base-width 16 --data cells -o run --optimizer adam \\
      --loss ce+dice --augment flip
  espalier train net.onnx --data photos -o run --recalibrate-only`;

/** The command. */
export function trainCommand(io: Io): Command {
  const command = new Command("train")
    .argument("<MODEL|ARCH>", "ONNX file, or a network to build: lenet5, resnet20, ...")
    .description("Trains a network from nothing, or fine-tunes a file.")
    .requiredOption("--data <DIR>", "the data set")
    .requiredOption("-o, --output <RUN>", "folder of the run; it must be empty or not exist")
    .option("--epochs <n>", "passes over the samples of fit (default 10)", integerFrom(1))
    .option("--batch <n>", "samples per step (default 64)", integerFrom(1))
    .option("--limit <n>", "train on the first n samples of fit", integerFrom(1))
    .option("--seed <n>", "weights, order, augmentation, noise (default 0)", integerFrom(0))
    .optionsGroup("Learning rate")
    .option("--lr <rate>", "default 0.01 with sgd, else 0.001", positiveValue)
    .addOption(
      new Option(
        "--schedule <name>",
        "its course (default cosine); step: x 0.1 at 1/2, 3/4",
      ).choices(["constant", "cosine", "linear", "step", "one-cycle"]),
    )
    .option("--warm-up <share>", "of the run, in which it rises (default 0)", fractionBelowOne)
    .optionsGroup("Optimizer")
    .addOption(new Option("--optimizer <name>", "default sgd").choices(["sgd", "adam", "adamw"]))
    .option("--momentum <number>", "of sgd (default 0.9)", fractionBelowOne)
    .option("--nesterov", "Nesterov's momentum")
    .option("--decay <number>", "weight decay (default 0; adamw 0.01)", nonNegativeValue)
    .option("--clip <norm>", "largest norm of all gradients together", positiveValue)
    .optionsGroup("What is learnt")
    .addOption(
      new Option("--loss <name>", "of labels (default ce)")
        .choices([
          ...["ce", "dice", "jaccard", "ce+dice", "ce+jaccard"],
          ...["bce", "bce+dice", "bce+jaccard"],
        ])
        .conflicts("distill"),
    )
    .option("--label-smoothing <share>", "of the target, over all classes", fractionBelowOne)
    .option("--augment <list>", "crop[=PIXELS],flip: at random; crop alone is 4", augmentValue)
    .option("--distill <MODEL>", "follow this network's outputs; needs no labels")
    .option("--temperature <number>", "of --distill (default 4)", positiveValue)
    .addOption(
      new Option("--freeze <pattern>", "weights that stay; * matches anything (repeatable)")
        .argParser(addText)
        .default([], "none"),
    )
    .addOption(
      new Option("--lr-factor <pattern=factor>", "of these weights (repeatable)")
        .argParser(addFactor)
        .default([], "1"),
    )
    .addOption(
      new Option("--recalibrate-only", "measure batch normalization anew, train nothing").conflicts(
        [
          ...["epochs", "lr", "schedule", "warmUp", "optimizer", "momentum", "nesterov", "decay"],
          ...["clip", "loss", "labelSmoothing", "augment", "distill", "temperature", "earlyStop"],
          ...["timeBudget"],
        ],
      ),
    )
    .optionsGroup("When to stop")
    .option("--early-stop <n>", "after n epochs without a better one on select", integerFrom(1))
    .option("--time-budget <seconds>", "when so much training is done", positiveValue)
    .option("--checkpoint-every <steps>", "and after each epoch (default 500)", integerFrom(1))
    .optionsGroup("Networks that are built")
    .option("--classes <n>", "default: as many as the data have", integerFrom(1))
    .option("--base-width <n>", "channels of the first level (unet, ternausnet)", integerFrom(1))
    .optionsGroup("Options:")
    .option("--provider <name>", "of onnxruntime: cpu (default), webgpu, cuda, ...")
    .option("--external-data", "allow weights in other files of the model's folder")
    .addHelpText("after", explanation);
  addJsonOption(addThreadsOption(command));
  return addDataOptions(command).action(async (network: string, flags: Flags) => {
    const { trainRun } = await import("../compress/train-run.ts");
    await follow(flags.output, flags.json ?? false, io, (hooks) =>
      trainRun(requestOf(network, flags), hooks),
    );
  });
}

function requestOf(network: string, flags: Flags): TrainRunRequest {
  const { output: run, data, distill: teacher, classes, baseWidth: width, externalData } = flags;
  return {
    ...{ network, run, data, teacher, classes, width },
    externalData: externalData ?? false,
    dataOptions: dataOptionsOf(flags),
    settings: settingsOf(flags),
  };
}

/** The flags that were given, by the names of the settings. */
function settingsOf(flags: Flags): TrainSettingsInput {
  const { epochs, schedule, warmUp, optimizer, momentum, nesterov, decay, seed, limit } = flags;
  const { loss, labelSmoothing, augment, temperature, provider, threads, checkpointEvery } = flags;
  const given = {
    ...{ epochs, schedule, warmUp, optimizer, momentum, nesterov, decay, seed, limit },
    ...{ loss, labelSmoothing, augment, temperature, provider, threads, checkpointEvery },
    ...{ batchSize: flags.batch, learningRate: flags.lr, clipNorm: flags.clip },
    ...{ patience: flags.earlyStop, timeBudgetSeconds: flags.timeBudget },
    freeze: [...flags.freeze],
    rateFactors: flags.lrFactor.map(([pattern, factor]): [string, number] => [pattern, factor]),
    recalibrateOnly: flags.recalibrateOnly ?? false,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
