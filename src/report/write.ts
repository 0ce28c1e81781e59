/** @file `report.html` of a run, drawn from what the run's folder holds. */
import { compressReport } from "../compress/compress-report.ts";
import { readConfig, readReport, runPaths } from "../compress/run-folder.ts";
import { trainReport } from "../compress/train-report.ts";
import { EspalierError } from "../errors.ts";
import { writeAtomically } from "../files/model-file.ts";
import { loadTensors, type TensorFile } from "../files/tensor-file.ts";
import { drawReport } from "./draw.ts";
import { drawTrainReport } from "./draw-training.ts";
import type { Examples } from "./examples.ts";

/**
 * Draws `report.html` of a run that is over, and returns its path. An older one is replaced at once.
 * Fails with `RUN_INVALID` where there is no run, one that is not over, or a damaged one, and with
 * `FILE_UNREADABLE`.
 */
export async function writeReportHtml(run: string): Promise<string> {
  const config = await readConfig(run);
  const written = await readReport(run);
  const { html: path, report: source } = runPaths(run);
  if (written === undefined)
    throw new EspalierError("RUN_INVALID", `The run ${run} is not over yet: it has no report.`, {
      hint: `\`espalier resume ${run}\` goes on with it.`,
      data: { run },
    });
  const page =
    config.command === "compress"
      ? drawReport(parsed(compressReport.safeParse(written), source), {
          config,
          ...(await examplesIn(run)),
        })
      : drawTrainReport(parsed(trainReport.safeParse(written), source), { config });
  await writeAtomically(path, [new TextEncoder().encode(page)]);
  return path;
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
    ...{ count, height, width, images: bytesOf("images", size) },
    ...(tensors.has("truth") && { truth: bytesOf("truth", maps) }),
    original: bytesOf("original", maps),
    compressed: bytesOf("compressed", maps),
  };
}
