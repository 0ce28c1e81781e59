/** @file What commands that read data have in common: how a sample becomes an input. */
import type { Dataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { type Role, roles } from "../../data/splits.ts";
import { storedPreprocessing } from "../../data/stored-preprocessing.ts";
import type { Model } from "../../onnx/model.ts";
import { escapeForTerminal } from "../../words/text.ts";
import type { Progress } from "../terminal/progress.ts";
import { advanced, choice, choiceOr, flagName, toggle, type ValuesOf, value } from "./flag.ts";
import { integerFrom, numbersValue, numberValue, sizeOrSideValue, sizeValue } from "./values.ts";

/** The heading of {@link dataFlags}. */
export const dataHeading = "Data: a sample becomes (scale * x - mean) / std:";

const formats = [
  ...(["idx", "cifar10", "cifar100", "npz", "images-masks", "class-folders", "images"] as const),
] as const;

/** Flags of every command that reads data: how a sample becomes an input. */
export const dataFlags = {
  mean: value(
    "list",
    numbersValue,
    "What is subtracted from scaled pixels: one number, or one for each channel, such as 0.485,0.456,0.406. Default: what the model or dataset.json says, else 0.",
  ),
  std: value(
    "list",
    numbersValue,
    "What pixels are divided by then: one number, or one for each channel. Default: what the model or dataset.json says, else 1.",
  ),
  resize: value(
    "size",
    sizeOrSideValue,
    "The size that images get: WIDTHxHEIGHT, or the length of the shorter side. Default: as stored.",
  ),
  crop: value(
    "size",
    sizeValue,
    "WIDTHxHEIGHT that is cut from the middle, after resizing. Default: all.",
  ),
  heldOut: toggle(
    "The network was not trained on data of this folder: the samples that choose and judge come from its test files. Default: from all.",
  ),
  scale: advanced(
    value(
      "number",
      numberValue,
      "What pixels are multiplied by, such as 1/255. Default: 1/255 for pixels that are whole numbers, else 1.",
    ),
  ),
  layout: advanced(
    choice("layout", ["nchw", "nhwc"], "The order of axes that the network reads. Default: nchw."),
  ),
  color: advanced(
    choice(
      "color",
      ["rgb", "bgr", "gray"],
      "The channels that the network reads. Default: as stored.",
    ),
  ),
  pad: advanced(
    value("pixels", integerFrom(0), "Black pixels on every side, before all else. Default: 0."),
  ),
  format: advanced(
    choice("format", formats, "What lies in the folder. Default: what it is recognised as."),
  ),
  ignoreLabel: advanced(
    value("n", integerFrom(0), "The label of pixels in label maps that don't count. Default: 255."),
  ),
  splitSeed: advanced(
    value("n", integerFrom(0), "Seed by which samples are cut into roles. Default: 0."),
  ),
};

/** The values of {@link dataFlags}. */
export type DataFlags = ValuesOf<typeof dataFlags>;

const names = Object.keys(dataFlags);

/** The samples that a command measures on. */
export const splitFlags = (byDefault: Role) => ({
  split: choiceOr(
    "role",
    roles,
    byDefault,
    `The samples that are measured on. Default: ${byDefault}.`,
  ),
});

/** Which of the data flags were given, as the user writes them. */
export function givenDataFlags(flags: DataFlags): string[] {
  return Object.entries(flags)
    .filter(([name, value]) => names.includes(name) && value !== undefined)
    .map(([name]) => flagName(name));
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
