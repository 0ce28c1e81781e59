/** @file `report.html` of a run, drawn from what the run's folder holds. */
import { basename, resolve } from "node:path";
import { type CompressReport, compressReport } from "../compress/record/compress-report.ts";
import { EspalierError } from "../errors.ts";
import { loadModel, writeAtomically } from "../files/model-file.ts";
import { loadTensors, type TensorFile } from "../files/tensor-file.ts";
import { notOver, readConfig, readReport, runPaths } from "../runs/folder/run-folder.ts";
import { trainReport } from "../runs/training/train-report.ts";
import {
  figuresOf,
  magnitudeSupportOf,
  supportedWeights,
  supportOf,
} from "../structure/weights/supports.ts";
import { commandAgain } from "./again.ts";
import { drawReport, type Extras } from "./draw.ts";
import { drawTrainReport } from "./draw-training.ts";
import type { Examples } from "./sections/examples.ts";
import type { Supports } from "./sections/sparsity.ts";

/**
 * Draws `report.html` of a run that is over, and returns its path. An older one is replaced at once.
 * Fails with `RUN_INVALID` where there is no run, one that is not over, or a damaged one, and with
 * `FILE_UNREADABLE`.
 */
export async function writeReportHtml(run: string): Promise<string> {
  const config = await readConfig(run);
  const written = await readReport(run);
  const { html: path, report: source } = runPaths(run);
  if (written === undefined) throw notOver(run);
  const name = basename(resolve(run));
  const again = commandAgain(config, name);
  const common = { config, run: name, data: config.data.path, ...(again && { again }) };
  const page =
    config.command === "compress"
      ? await compressionPage(run, common, parsed(compressReport.safeParse(written), source))
      : drawTrainReport(parsed(trainReport.safeParse(written), source), common);
  await writeAtomically(path, [new TextEncoder().encode(page)]);
  return path;
}

async function compressionPage(run: string, common: Extras, report: CompressReport) {
  const sparse = report.sparsity.map(({ layer }) => layer);
  const supports = sparse.length > 0 ? await supportsIn(run, sparse) : undefined;
  return drawReport(report, {
    ...common,
    ...(await examplesIn(run)),
    ...(supports && { supports }),
  });
}

/** The supports of these layers in both networks of a run, and those that magnitude would have left. */
async function supportsIn(run: string, layers: readonly string[]): Promise<Supports> {
  const paths = runPaths(run);
  const [before, after] = [await loadModel(paths.original), await loadModel(paths.model)].map(
    ({ graph }) => supportedWeights(graph),
  );
  return new Map(
    layers.flatMap((name) => {
      const [first, weight] = [before.get(name), after.get(name)];
      if (first === undefined || weight === undefined) return [];
      const [original, own] = [first, weight].map(supportOf);
      const { nonZero } = figuresOf(own);
      return [
        [
          name,
          {
            ...(original.flags.includes(0) && { before: original }),
            ...(nonZero < original.flags.length && {
              magnitude: magnitudeSupportOf(first, nonZero),
            }),
            after: own,
          },
        ] as const,
      ];
    }),
  );
}

function parsed<T>(
  result: {
    readonly data?: T;
    readonly error?: { readonly issues: readonly { message: string }[] };
  },
  path: string,
): T {
  if (result.data !== undefined) return result.data;
  throw new EspalierError("RUN_INVALID", `${path} is no report of such a run`, {
    hint: "It was changed, or written by another version.",
    data: { path, issues: result.error?.issues.map(({ message }) => message) },
  });
}

async function examplesIn(run: string): Promise<{ readonly examples?: Examples }> {
  const path = runPaths(run).predictions.examples;
  const file = await loadTensors(path);
  return file === undefined ? {} : { examples: readExamples(file, path) };
}

/** Fails with `RUN_INVALID` where the tensors are not what {@link Examples} says. */
function readExamples({ tensors }: TensorFile, path: string): Examples {
  const invalid = (what: string) =>
    new EspalierError("RUN_INVALID", `${path} ${what}`, { data: { path } });
  const size = tensors.get("images")?.shape ?? [];
  const [count, height, width, channels] = size;
  if (size.length !== 4 || channels !== 3)
    throw invalid(`has images of shape [${size.join(", ")}], not [K, H, W, 3]`);
  const bytesOf = (name: string, shape: readonly number[]): Uint8Array => {
    const tensor = tensors.get(name);
    if (!(tensor?.data instanceof Uint8Array) || tensor.shape.join() !== shape.join())
      throw invalid(`lacks "${name}", bytes of shape [${shape.join(", ")}]`);
    return tensor.data;
  };
  const maps = [count, height, width];
  return {
    count,
    height,
    width,
    images: bytesOf("images", size),
    ...(tensors.has("truth") && { truth: bytesOf("truth", maps) }),
    original: bytesOf("original", maps),
    compressed: bytesOf("compressed", maps),
  };
}
