/** @file Going on with a run that was stopped or killed, whatever its command. */
import { dirname } from "node:path";
import { z } from "zod";
import { openDataset } from "../data/dataset.ts";
import { EspalierError } from "../errors.ts";
import { whileLocked } from "../files/lock.ts";
import { dataNote } from "../runs/evaluate-run.ts";
import { logEvent } from "../runs/folder/events.ts";
import { mendRun } from "../runs/folder/mend.ts";
import {
  makeFolder,
  type RunConfig,
  readConfig,
  readReport,
  runPaths,
} from "../runs/folder/run-folder.ts";
import type { RunHooks } from "../runs/folder/run-hooks.ts";
import { type TrainReport, trainReport } from "../runs/training/train-report.ts";
import { continueTraining } from "../runs/training/train-run.ts";
import { versions } from "../runtime/versions.ts";
import { continueCompression } from "./compress-run.ts";
import type { CustomParts } from "./context/custom.ts";
import { type CompressReport, compressReport } from "./record/compress-report.ts";

/** Options for resuming a run. */
export interface ResumeOptions extends RunHooks {
  /** The folder of the data, if they were moved. */
  readonly data?: string | undefined;
  /** The parts that were added by the program that began the run. */
  readonly custom?: CustomParts | undefined;
}

/** The report of a run, by its command. */
export type RunReport = TrainReport | CompressReport;

/**
 * Goes on with a run where it stands, to the same bytes that it would have given without the
 * interruption (on the same machine, with the same versions and threads). A run that is over gives
 * its report.
 *
 * Fails with `RUN_INVALID`, `RUN_BUSY` while another process is at work on it, `DATA_MISMATCH` where the data are not those of the run, and as
 * `trainRun` and `compressRun`.
 */
export async function resumeRun(run: string, options: ResumeOptions = {}): Promise<RunReport> {
  const config = await readConfig(run);
  const finished = await finishedReport(run);
  if (finished !== undefined) {
    await mendRun(run);
    return finished;
  }
  const { lock } = runPaths(run);
  await makeFolder(dirname(lock));
  return whileLocked(lock, async () => {
    await mendRun(run);
    return continueRun(run, config, options);
  });
}

async function continueRun(
  run: string,
  config: RunConfig,
  options: ResumeOptions,
): Promise<RunReport> {
  options.onPhase?.("reading");
  const path = options.data ?? config.data.path;
  if (options.data === undefined) options.onNote?.(dataNote(path));
  const dataset = await openDataset(path, config.data.options);
  if ((await dataset.digest()) !== config.data.digest)
    throw new EspalierError("DATA_MISMATCH", `${path} does not hold the data of this run`, {
      hint: "Put the data back as they were, or begin a new run.",
      data: { path },
    });
  warnOfVersions(config, options);
  logEvent(run, "resumed");
  return config.command === "train"
    ? continueTraining(run, config, dataset, options)
    : continueCompression(run, config, dataset, options, options.custom);
}

/** The report of a run that is over; `undefined` before. Fails with `RUN_INVALID`. */
export async function finishedReport(run: string): Promise<RunReport | undefined> {
  const written = await readReport(run);
  if (written === undefined) return undefined;
  const report = z.discriminatedUnion("command", [trainReport, compressReport]).safeParse(written);
  if (report.success) return report.data;
  const { report: path } = runPaths(run);
  throw new EspalierError("RUN_INVALID", `${path} is no report`, { data: { path } });
}

/** Warns where the run began with other versions, and names them. */
function warnOfVersions({ versions: before }: RunConfig, { onWarning }: RunHooks): void {
  const changed = Object.entries(versions()).filter(([name, now]) => before[name] !== now);
  if (changed.length === 0) return;
  const list = changed.map(([name, now]) => `${name} was ${before[name]}, is ${now}`).join("; ");
  onWarning?.(`the run began elsewhere, so its result may differ in the last bits: ${list}`);
}
