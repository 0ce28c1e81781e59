/** @file Compression in memory: a model and samples in, the smaller model out. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { EspalierError } from "../errors.ts";
import { loadModel } from "../files/model-file.ts";
import { loadPlan } from "../files/plan-file.ts";
import type { Model, ModelBytes } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { runPaths } from "../runs/folder/run-folder.ts";
import type { RunHooks } from "../runs/folder/run-hooks.ts";
import type { CompressSettingsInput } from "../runs/settings/compress-settings.ts";
import type { Plan } from "../structure/plan.ts";
import { beginRun, carryOut, checkedSettings } from "./compress-run.ts";
import type { CustomParts } from "./context/custom.ts";
import type { CompressReport } from "./record/compress-report.ts";

/** The settings of a compression, and the hooks for its progress. A target or `maxDrop` must be there. */
export interface CompressOptions extends CompressSettingsInput, RunHooks {
  /** A metric and an objective of the caller's. */
  readonly custom?: CustomParts | undefined;
}

/** The result of a compression. */
export interface Compressed {
  /** The smaller network, tuned. */
  readonly model: Model;
  /** Its file. */
  readonly bytes: ModelBytes;
  /** The removal of all rounds as one plan. */
  readonly plan: Plan;
  /** Every figure, and whether targets and tolerance were met. */
  readonly report: CompressReport;
}

/**
 * Compresses a model: rounds of scoring, removal and fine-tuning on the samples, as `compressRun` does in a
 * folder that can be resumed. This one works in a temporary folder, which it removes whatever happens.
 *
 * Fails with `USAGE`, `TARGET_INVALID`, `METHOD_UNKNOWN`, `DATA_NOT_FOUND`, `VERIFY_FAILED`, everything that
 * `train` fails with, and `ABORTED`.
 *
 * @example
 * const model = await loadModel("net.onnx");
 * const photos = await openDataset("photos");
 * const small = await compress(model, photos, { maxDrop: 0.01, onPhase: console.log });
 * if (small.report.outcome.isReached) await saveModel("small.onnx", small.bytes);
 */
export async function compress(
  model: Model,
  dataset: Dataset,
  options: CompressOptions,
): Promise<Compressed> {
  const { signal, onPhase, onProgress, onEpoch, onTest, onNote, onWarning, custom, ...given } =
    options;
  const settings = checkedSettings(given);
  const folder = await mkdtemp(join(tmpdir(), "espalier-compress-"));
  try {
    const run = join(folder, "run");
    const source = { model, network: "model", externalData: true, samples: dataset };
    const { config, dataset: judged } = await beginRun(
      run,
      { ...source, dataOptions: {} },
      settings,
      custom ?? {},
      options,
    );
    const report = await carryOut(run, config, judged, options, custom);
    const paths = runPaths(run);
    const small = await loadModel(paths.model, { externalData: true });
    return { model: small, bytes: writeModel(small), plan: await loadPlan(paths.plan), report };
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new EspalierError("ABORTED", "Compression was stopped.", { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
