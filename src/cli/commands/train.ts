/** @file `espalier train`: trains a built-in network from nothing, or fine-tunes a file. */

import { Command } from "commander";
import type { TrainSettingsInput } from "../../runs/settings/train-settings.ts";
import type { TrainRunRequest } from "../../runs/training/train-run.ts";
import { dataFlags, dataHeading, dataOptionsOf } from "../options/data-options.ts";
import { addFlags, asText, type FlagsOf, required, toggle, value } from "../options/flag.ts";
import { isolateFlags } from "../options/isolation.ts";
import { externalDataFlags, jsonFlags, threadsFlags } from "../options/model-options.ts";
import { trainingFlags, trainingSettingsOf } from "../options/training-options.ts";
import { integerFrom, positiveValue } from "../options/values.ts";
import { warningsInFlags } from "../terminal/flag-names.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { describeTraining } from "../texts/train-report.ts";
import { follow } from "./follow.ts";

/** The flags of `espalier train`. */
export const flags = {
  "Options:": {
    data: required("DIR", asText, "The data set. Must be given."),
    output: required("RUN", asText, "The folder of the run, which must be empty or not exist.", {
      short: "-o",
    }),
    epochs: value("n", integerFrom(1), "Passes over the samples of fit. Default: 10."),
    distill: value("MODEL", asText, "Learns the outputs of this network instead of labels."),
    ...externalDataFlags,
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  "Training:": {
    ...trainingFlags,
    recalibrateOnly: toggle(
      "Measures the statistics of batch normalization again, and trains nothing.",
      {
        conflicts: [
          ...["epochs", "lr", "schedule", "warmUp", "optimizer", "momentum", "nesterov", "decay"],
          ...["clip", "loss", "labelSmoothing", "augment", "distill", "temperature", "earlyStop"],
          ...["keepZeros", "timeBudget", "replicas"],
        ],
        isAdvanced: true,
      },
    ),
  },
  "When to stop:": {
    earlyStop: value(
      "n",
      integerFrom(1),
      "Ends after n epochs without a better score on select. Default: after --epochs.",
    ),
    timeBudget: value(
      "seconds",
      positiveValue,
      "Ends after this time of training. Default: after --epochs.",
    ),
  },
  "Built-in networks:": {
    classes: value(
      "n",
      integerFrom(1),
      "Number of classes of the output. Default: as many as the data have.",
    ),
    baseWidth: value("n", integerFrom(1), "Channels of the first level of unet and ternausnet."),
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier train`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
Networks that can be built: lenet-300-100, lenet5, lenet5-caffe, vgg16-bn,
resnet20, resnet56, unet, ternausnet. They take the size, channels and classes
of the data, and begin with random weights from --seed. The network of a file is
trained from the weights in the file.

By default the LeNets are trained with --lr 0.1 --schedule one-cycle, and the ResNets
with --decay 5e-4 in addition, settings with which they are known to learn well. Each
of these flags can be overridden; --optimizer adam and adamw have their own defaults.
All other networks are trained with the defaults above.

Samples are used by role: fit trains, select measures the network after each
epoch, and test is read once, at the end. In a folder with train and test files,
fit gets 5/6 of the train file, select 1/24 and certify 1/8 (kept for a last
check); test is the test file. For a network that was trained elsewhere on the
same train files, select would measure images that the network has seen: give
--held-out, which cuts select, certify and test from the test file.

The loss ce is cross-entropy, which is binary for a network with one output channel;
bce is the same, and refuses other networks. dice and jaccard (1 - soft overlap) are
for label maps. In a sum both losses have weight 1.
Label maps (IDX, npz, images/ beside masks/) are scored by
mean IoU. Their classes are counted in the data unless dataset.json names them;
pixels with the label 255, or --ignore-label, don't count. Masks that hold only 0
and 255 have two classes.

RUN will hold model.onnx (the best epoch on select, for inference, with its
preprocessing), original.onnx, report.json, events.jsonl, config.json and a
checkpoint. Stop with Ctrl-C; \`espalier resume RUN\` goes on to the same bytes.

Examples:
  espalier train lenet5 --data mnist -o run
  espalier train resnet20 --data cifar10 -o run --epochs 15 --augment crop,flip
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
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (network: string, given: Flags) => {
    const { trainRun } = await import("../../runs/training/train-run.ts");
    const report = await follow(io, given, (hooks) => trainRun(requestOf(network, given), hooks));
    if (given.json) writeJson(io, warningsInFlags(report));
    else io.out(describeTraining(given.output, report, io.columns));
  });
}

/** The training run that the flags ask for. */
export function requestOf(network: string, flags: Flags): TrainRunRequest {
  const { output: run, data, distill: teacher, classes, baseWidth: width, externalData } = flags;
  return {
    network,
    run,
    data,
    teacher,
    classes,
    width,
    externalData: externalData ?? false,
    dataOptions: dataOptionsOf(flags),
    settings: settingsOf(flags),
  };
}

function settingsOf(flags: Flags): TrainSettingsInput {
  const { epochs, earlyStop, timeBudget, recalibrateOnly = false } = flags;
  return {
    ...trainingSettingsOf(flags),
    ...(epochs !== undefined && { epochs }),
    ...(earlyStop !== undefined && { patience: earlyStop }),
    ...(timeBudget !== undefined && { timeBudgetSeconds: timeBudget }),
    recalibrateOnly,
  };
}
