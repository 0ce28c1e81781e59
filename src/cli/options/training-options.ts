/** @file Flags of commands that train: how long, how fast, by which optimizer, towards what. */
import { type Command, Option } from "commander";
import { lossNames, type TrainSettingsInput } from "../../runs/settings/train-settings.ts";
import {
  addFactor,
  addText,
  augmentValue,
  fractionBelowOne,
  integerFrom,
  nonNegativeValue,
  positiveValue,
} from "./values.ts";

/** Flags of commands that train. */
export interface TrainingFlags {
  readonly epochs?: number;
  readonly batch?: number;
  readonly limit?: number;
  readonly epochSamples?: number;
  readonly seed?: number;
  readonly lr?: number;
  readonly schedule?: TrainSettingsInput["schedule"];
  readonly warmUp?: number;
  readonly optimizer?: TrainSettingsInput["optimizer"];
  readonly momentum?: number;
  readonly nesterov?: true;
  readonly decay?: number;
  readonly clip?: number;
  readonly keepZeros?: true;
  readonly outputName?: string;
  readonly loss?: TrainSettingsInput["loss"];
  readonly labelSmoothing?: number;
  readonly augment?: TrainSettingsInput["augment"];
  readonly temperature?: number;
  readonly freeze: readonly string[];
  readonly lrFactor: readonly (readonly [string, number])[];
  readonly checkpointEvery?: number;
  readonly provider?: string;
  readonly threads?: number;
}

/** What differs between commands. */
export interface TrainingOptionTexts {
  readonly epochs: string;
  readonly fewestEpochs: number;
  readonly seed: string;
  readonly freeze: string;
}

/** Adds the flags of {@link TrainingFlags}, in groups of their own; `--threads` is added elsewhere. */
export function addTrainingOptions(command: Command, texts: TrainingOptionTexts): Command {
  command
    .optionsGroup("Training")
    .option("--epochs <n>", texts.epochs, integerFrom(texts.fewestEpochs))
    .option("--batch <n>", "samples per step (default 64)", integerFrom(1))
    .option("--limit <n>", "train on the first n samples of fit", integerFrom(1));
  addEpochSamplesOption(command)
    .option("--seed <n>", texts.seed, integerFrom(0))
    .option("--checkpoint-every <steps>", "and after each epoch (default 500)", integerFrom(1));
  return addLearningOptions(command, texts).option(
    "--keep-zeros",
    "weights that are 0 in the network stay 0",
  );
}

/** Adds the flag of short epochs. */
export function addEpochSamplesOption(command: Command): Command {
  return command.option(
    "--epoch-samples <n>",
    "so many make an epoch, drawn anew each time (default: all)",
    integerFrom(1),
  );
}

/** The part of them that tells how fast, by which optimizer and towards what. */
export function addLearningOptions(
  command: Command,
  texts: Pick<TrainingOptionTexts, "freeze">,
): Command {
  return command
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
    .option("--output-name <name>", "the output that counts (default: by its shape)")
    .addOption(
      new Option("--loss <name>", "of labels (default ce)")
        .choices([...lossNames])
        .conflicts("distill"),
    )
    .option("--label-smoothing <share>", "of the target, over all classes", fractionBelowOne)
    .option("--augment <list>", "crop[=PIXELS],flip: at random; crop alone is 4", augmentValue)
    .option("--temperature <number>", "of --distill (default 4)", positiveValue)
    .addOption(
      new Option("--freeze <pattern>", texts.freeze).argParser(addText).default([], "none"),
    )
    .addOption(
      new Option("--lr-factor <pattern=factor>", "of these weights (repeatable)")
        .argParser(addFactor)
        .default([], "1"),
    )
    .option("--provider <name>", "of onnxruntime: cpu (default), webgpu, cuda, ...");
}

/** The flags that were given, by the names of the settings; the epochs apart. */
export function trainingSettingsOf(flags: TrainingFlags): Omit<TrainSettingsInput, "epochs"> {
  const { schedule, warmUp, optimizer, momentum, nesterov, decay, seed, limit } = flags;
  const { epochSamples } = flags;
  const { outputName } = flags;
  const { loss, labelSmoothing, augment, temperature, provider, threads, checkpointEvery } = flags;
  const given = {
    schedule,
    warmUp,
    optimizer,
    momentum,
    nesterov,
    decay,
    seed,
    limit,
    epochSamples,
    outputName,
    loss,
    labelSmoothing,
    augment,
    temperature,
    provider,
    threads,
    checkpointEvery,
    batchSize: flags.batch,
    learningRate: flags.lr,
    clipNorm: flags.clip,
    keepsZeros: flags.keepZeros,
    freeze: [...flags.freeze],
    rateFactors: flags.lrFactor.map(([pattern, factor]): [string, number] => [pattern, factor]),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
