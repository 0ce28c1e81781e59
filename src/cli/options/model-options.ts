/** @file What commands that read a model have in common. */
import { stat } from "node:fs/promises";
import { type Command, Option } from "commander";
import { EspalierError } from "../../errors.ts";
import type { Shape } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import { addDim, integerFrom } from "./values.ts";

/** Flags of every command that reads a model. */
export interface ModelFlags {
  readonly externalData?: true;
  readonly dims: ReadonlyMap<string, number>;
}

/** Adds the flags of {@link ModelFlags}. */
export function addModelOptions(command: Command): Command {
  return command
    .option("--external-data", "allow weights in other files of the model's folder")
    .addOption(
      new Option(
        "--dims <name=size>",
        "size of an open dimension, by the name that inspect shows (repeatable)",
      )
        .argParser(addDim)
        .default(new Map<string, number>(), "1 for the batch, 224 for an image's side"),
    );
}

/** Adds `--threads`. */
export function addThreadsOption(command: Command): Command {
  return command.option("--threads <n>", "threads inside an operator", integerFrom(1));
}

/** Flags that name the output to measure. */
export interface OutputFlags {
  readonly outputName?: string;
  /** What version 0.1 called it, where no folder is written. */
  readonly output?: string;
}

/** Adds `--output-name`, and its former name `--output`, which elsewhere is the place of the result. */
export function addOutputNameOption(command: Command): Command {
  return command
    .option("--output-name <name>", "the output to measure (default: by its shape)")
    .addOption(new Option("--output <name>", "the former name of --output-name").hideHelp());
}

/** The output that the flags name. */
export function outputNameOf({ outputName, output }: OutputFlags): string | undefined {
  return outputName ?? output;
}

/** Adds `--json`. */
export function addJsonOption(command: Command): Command {
  return command.option("--json", "print one JSON document instead of text");
}

/** Whether a path is that of a folder, such as a run's. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Loads a model as the flags say, and refuses sizes for dimensions that it does not have. */
export async function load(path: string, flags: ModelFlags): Promise<Model> {
  const { loadModel } = await import("../../files/model-file.ts");
  const model = await loadModel(path, { externalData: flags.externalData ?? false }).catch(
    (error: unknown) => {
      throw named(path, error);
    },
  );
  requireDims(model, flags.dims);
  return model;
}

/** What is wrong with a file, by its name: a command may read several. */
export function named(path: string, error: unknown): unknown {
  if (!(error instanceof EspalierError) || error.message.includes(path)) return error;
  const { code, message, hint, data } = error;
  return new EspalierError(code, `${path}: ${message}`, {
    hint,
    data: { ...data, path },
    cause: error,
  });
}

function requireDims({ graph }: Model, dims: ReadonlyMap<string, number>): void {
  const named = (shapes: readonly (Shape | undefined)[]): readonly string[] =>
    shapes.flatMap((shape) => shape ?? []).filter((dim) => typeof dim === "string");
  const known = new Set(named([...graph.types.values()].map(({ shape }) => shape)));
  const unknown = [...dims.keys()].filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  const list = [...new Set(named(graph.inputs.map((name) => graph.types.get(name)?.shape)))];
  throw new EspalierError("USAGE", `the model has no dimension named ${unknown.join(", ")}`, {
    hint:
      list.length === 0
        ? "All dimensions of its inputs have fixed sizes."
        : `The open dimensions of its inputs are: ${list.join(", ")}.`,
    data: { unknown, known: list },
  });
}
