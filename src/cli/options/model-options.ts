/** @file The flags of all commands that read a model. */
import { stat } from "node:fs/promises";
import { EspalierError } from "../../errors.ts";
import type { Shape } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import { advanced, asText, offSwitch, pairs, toggle, type ValuesOf, value } from "./flag.ts";
import { integerFrom, positiveValue } from "./values.ts";

/** The flag for weights outside the model file. */
export const externalDataFlags = {
  externalData: toggle(
    "Allows weights in other files of the model's folder. Default: models with such weights are refused.",
  ),
};

/** Flags of every command that reads a model. */
export const modelFlags = {
  ...externalDataFlags,
  dims: pairs(
    "name=size",
    integerFrom(1),
    "Size of a dimension that the model leaves open, by the name that inspect shows. May be repeated. Default: 1 for the batch, 224 for an image's side, 64 for a volume's.",
  ),
};

/** The values of {@link modelFlags}. */
export type ModelFlags = ValuesOf<typeof modelFlags>;

/** The flag for the number of threads. */
export const threadsFlags = {
  threads: advanced(
    value(
      "n",
      integerFrom(1),
      "Threads that compute one operator; they change its speed. Default: all cores.",
    ),
  ),
};

/** The flag that leaves out the timing of a result. */
export const noBenchFlags = {
  bench: offSwitch(
    "Does not time the result against the original, which takes a few seconds at the end. Default: both are timed.",
  ),
};

/** The flag for how exactly networks must agree. */
export const toleranceFlags = {
  tolerance: advanced(
    value(
      "share",
      positiveValue,
      "Largest error that verification allows, as a share of the range of values. Default: 1e-4, or 2e-2 for float16 and quantised networks.",
    ),
  ),
};

/**
 * The flag for the output to measure, and the flag's name in version 0.1, `--output`, which in other commands names the
 * file to write.
 */
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

/** The flag for JSON output. */
export const jsonFlags = {
  json: toggle("Prints one JSON document instead of text."),
};

/** Whether a path names a folder, such as that of a run. */
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

/** The error with the name of the file in front, because a command may read several files. */
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
