/** @file What commands that read data have in common: how a sample becomes an input. */
import { type Command, Option } from "commander";
import type { Dataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { type Role, roles } from "../../data/splits.ts";
import { storedPreprocessing } from "../../data/stored-preprocessing.ts";
import type { Model } from "../../onnx/model.ts";
import { escapeForTerminal } from "../../words/text.ts";
import type { Progress } from "../terminal/progress.ts";
import { integerFrom, numbersValue, numberValue, sizeOrSideValue, sizeValue } from "./values.ts";

/** Flags of every command that reads data. */
export interface DataFlags
  extends Pick<
    DatasetOptions,
    "scale" | "mean" | "std" | "layout" | "color" | "resize" | "crop" | "pad" | "format"
  > {
  readonly ignoreLabel?: number;
  readonly splitSeed?: number;
  readonly heldOut?: true;
}

/** The names of {@link DataFlags}, as commander gives them. */
const names = [
  ...["scale", "mean", "std", "layout", "color", "resize", "crop", "pad", "format"],
  ...["ignoreLabel", "splitSeed", "heldOut"],
];

const formats = ["idx", "cifar10", "cifar100", "npz", "images-masks", "class-folders", "images"];

/** Adds the flags of {@link DataFlags}. A sample becomes (scale * x - mean) / std. */
export function addDataOptions(command: Command): Command {
  return command
    .optionsGroup("Data: a sample becomes (scale * x - mean) / std")
    .option("--scale <number>", "default 1/255 for whole-number pixels, else 1", numberValue)
    .option("--mean <list>", "one number, or one per channel: 0.485,0.456,0.406", numbersValue)
    .option("--std <list>", "one number, or one per channel", numbersValue)
    .addOption(new Option("--layout <layout>", "default nchw").choices(["nchw", "nhwc"]))
    .addOption(new Option("--color <color>", "default as stored").choices(["rgb", "bgr", "gray"]))
    .option("--resize <size>", "WIDTHxHEIGHT, or the shorter side", sizeOrSideValue)
    .option("--crop <size>", "WIDTHxHEIGHT from the middle, after resizing", sizeValue)
    .option("--pad <pixels>", "black pixels on every side, before all else", integerFrom(0))
    .addOption(new Option("--format <format>", "default: recognised").choices(formats))
    .option("--ignore-label <n>", "label-map pixels that don't count (default 255)", integerFrom(0))
    .option("--split-seed <n>", "seed of the cut into roles (default 0)", integerFrom(0))
    .option("--held-out", "the network was not trained on data of this folder")
    .optionsGroup("Options:");
}

/** `--split`: the samples that a command measures on. */
export function roleOption(byDefault: Role): Option {
  return new Option("--split <role>", "which samples").choices(roles).default(byDefault);
}

/** Which of the data flags were given, as the user writes them. */
export function givenDataFlags(flags: DataFlags): string[] {
  return Object.entries(flags)
    .filter(([name, value]) => names.includes(name) && value !== undefined)
    .map(([name]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
}

/** Opens a data set for a model: as the flags say, else as the model was trained. */
export async function open(path: string, flags: DataFlags, model?: Model): Promise<Dataset> {
  const { openDataset } = await import("../../data/dataset.ts");
  const stored = model === undefined ? {} : storedPreprocessing(model.metadata);
  return openDataset(path, { ...stored, ...dataOptionsOf(flags) });
}

/** Tells where a network's maps have another size than the labels. `output` is the one that holds them, where it was named. */
export async function tellLabelSize(
  { graph }: Pick<Model, "graph">,
  dataset: Dataset,
  {
    progress,
    output,
  }: { readonly progress: Pick<Progress, "note">; readonly output?: string | undefined },
): Promise<void> {
  const { labelSizeNote } = await import("../../measure/evaluation/label-size.ts");
  const note = labelSizeNote(graph, dataset, output);
  if (note !== undefined) progress.note(escapeForTerminal(note));
}

/** Warns where samples look unlike those that a network was trained on. */
export async function warnOfInputs(
  { graph }: Pick<Model, "graph">,
  dataset: Dataset,
  { progress, signal, role }: InputCheckContext,
): Promise<void> {
  const { checkInputs, inputWarning } = await import("../../measure/inputs/input-check.ts");
  const warning = inputWarning(
    await checkInputs(graph, dataset, { signal, ...(role && { role }) }),
  );
  if (warning !== undefined) progress.warn(escapeForTerminal(warning));
}

/** What it takes to look at inputs, and to say what was found. */
export interface InputCheckContext {
  readonly progress: Pick<Progress, "warn">;
  readonly signal: AbortSignal;
  /** Whose samples. Default: the first role that has any. */
  readonly role?: Role;
}

/** The data flags that were given. */
export function dataOptionsOf(flags: DataFlags): DatasetOptions {
  const given = Object.entries(flags).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  );
  return Object.fromEntries(given);
}
