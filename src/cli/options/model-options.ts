/** @file What commands that read a model have in common. */
import { stat } from "node:fs/promises";
import { EspalierError } from "../../errors.ts";
import type { Shape } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import { advanced, asText, pairs, toggle, type ValuesOf, value } from "./flag.ts";
import { integerFrom, positiveValue } from "./values.ts";

/** Where the weights of a model may lie. */
export const externalDataFlags = {
  externalData: toggle(
    "Allows weights in other files of the model's folder, which are not read otherwise.",
  ),
};

/** Flags of every command that reads a model. */
export const modelFlags = {
  ...externalDataFlags,
  dims: pairs(
    "name=size",
    integerFrom(1),
    "The size of an open dimension, by the name that inspect shows. May be repeated. Default: 1 for the batch, 224 for an image's side.",
  ),
};

/** The values of {@link modelFlags}. */
export type ModelFlags = ValuesOf<typeof modelFlags>;

/** How many threads run an operator. */
export const threadsFlags = {
  threads: advanced(
    value(
      "n",
      integerFrom(1),
      "Threads inside an operator, which change how fast it is. Default: all cores.",
    ),
  ),
};

/** How exactly networks must agree. */
export const toleranceFlags = {
  tolerance: advanced(
    value(
      "share",
      positiveValue,
      "Largest error that is allowed when verifying, as a share of the range of values. Default: 1e-4, or 2e-2 for float16 and quantised networks.",
    ),
  ),
};

/** The output to measure, and its name of version 0.1, which elsewhere is the place of the result. */
export const outputNameFlags = {
  outputName: advanced(
    value("name", asText, "The output that is measured. Default: the one whose shape fits."),
  ),
  output: value("name", asText, "The former name of --output-name.", { isHidden: true }),
};

/** The output that the flags name. */
export function outputNameOf({
  outputName,
  output,
}: ValuesOf<typeof outputNameFlags>): string | undefined {
  return outputName ?? output;
}

/** What is printed. */
export const jsonFlags = {
  json: toggle("Prints one JSON document instead of text."),
};

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
