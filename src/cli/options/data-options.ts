/** @file The flags of all commands that read data: how a sample becomes an input. */
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
    "Mean that is subtracted from the scaled pixels: one number, or one for each channel, such as 0.485,0.456,0.406. Default: the mean in the model or dataset.json, else 0.",
  ),
  std: value(
    "list",
    numbersValue,
    "Standard deviation that pixels are then divided by: one number, or one for each channel. Default: the one in the model or dataset.json, else 1.",
  ),
  resize: value(
    "size",
    sizeOrSideValue,
    "The size that images are resized to: WIDTHxHEIGHT, or the length of the shorter side. Default: as stored.",
  ),
  crop: value(
    "size",
    sizeValue,
    "The size, WIDTHxHEIGHT, of the centre crop that is taken after resizing. Default: no crop.",
  ),
  heldOut: toggle(
    "Takes select, certify and test from the test files alone, for a network that was trained elsewhere on the train files of this folder. Default: select and certify come from the train files.",
  ),
  scale: advanced(
    value(
      "number",
      numberValue,
      "Factor that pixels are multiplied by, such as 1/255. Default: 1/255 for whole-number pixels, else 1.",
    ),
  ),
  layout: advanced(
    choice("layout", ["nchw", "nhwc"], "The order of axes of the network's input. Default: nchw."),
  ),
  color: advanced(
    choice(
      "color",
      ["rgb", "bgr", "gray"],
      "The colour channels of the network's input. Default: as stored.",
    ),
  ),
  pad: advanced(
    value(
      "pixels",
      integerFrom(0),
      "Number of black pixels added on every side, before all other steps. Default: 0.",
    ),
  ),
  format: advanced(
    choice(
      "format",
      formats,
      "The format of the data in the folder. Default: the format that is recognised.",
    ),
  ),
  ignoreLabel: advanced(
    value(
      "n",
      integerFrom(0),
      "The label of pixels in label maps that are left out of all figures. Default: 255.",
    ),
  ),
  splitSeed: advanced(
    value("n", integerFrom(0), "Seed of the random cut of samples into roles. Default: 0."),
  ),
};

/** The values of {@link dataFlags}. */
export type DataFlags = ValuesOf<typeof dataFlags>;

const names = Object.keys(dataFlags);

/** The flag for the samples that a command measures on. */
export const splitFlags = (byDefault: Role) => ({
  split: choiceOr(
    "role",
    roles,
    byDefault,
    `The samples that are measured on. Default: ${byDefault}.`,
  ),
});

/** The data flags that were given, as the user writes them. */
export function givenDataFlags(flags: DataFlags): string[] {
  return Object.entries(flags)
    .filter(([name, value]) => names.includes(name) && value !== undefined)
    .map(([name]) => flagName(name));
}

/** Opens a data set for a model: with the preprocessing of the flags, else with that of the model. */
export async function open(path: string, flags: DataFlags, model?: Model): Promise<Dataset> {
  const { openDataset } = await import("../../data/dataset.ts");
  const stored = model === undefined ? {} : storedPreprocessing(model.metadata);
  return openDataset(path, { ...stored, ...dataOptionsOf(flags) });
}

/**
 * Notes it where a network's maps have another size than the labels. `output` names the output that holds the maps,
 * where the user gave it.
 */
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

/** Warns where samples look unlike those that the network was trained on. */
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

/** The network, the samples and the output of a check of inputs. */
export interface InputCheckContext {
  readonly progress: Pick<Progress, "warn">;
  readonly signal: AbortSignal;
  /** The role whose samples are looked at. Default: the first role that has any. */
  readonly role?: Role;
}

/** The data flags that were given. */
export function dataOptionsOf(flags: DataFlags): DatasetOptions {
  const given = Object.entries(flags).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  );
  return Object.fromEntries(given);
}
