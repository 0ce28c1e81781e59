/**
 * @file A run on disk: the folder that holds what is needed to repeat it, to resume it, and what came of it.
 *
 *     config.json        everything that reproduces the run
 *     original.onnx      the network as it was; for a built-in one, its untrained form
 *     teacher.onnx       of training: the network to learn from, where there is one
 *     checkpoint/        where the run stands: the state of training, the journal of a compression; while a
 *                        process is at work, its lock
 *     rounds/NN/         of compression: the network before the round, its removal, and the tuned result
 *     predictions/       of compression: what both networks said about each sample of `test`
 *     events.jsonl       what happened when, one JSON object a line
 *     model.onnx         the result
 *     posterior.onnx     of a method that learns one: the result with parameters drawn at every run
 *     plan.json          of compression: the channels that stayed, in the original's indices
 *     report.html        of compression: the result for people
 *     report.json        the result in figures; written last, so its presence says that the run is over
 */
import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type DatasetOptions, datasetOptions } from "../../data/options.ts";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { fileError, systemCode } from "../../files/file-error.ts";
import { writeAtomically } from "../../files/model-file.ts";
import { readPlainFile } from "../../files/plain-file.ts";
import { clearLeftovers } from "../../files/tensor-file.ts";
import { compressSettings } from "../settings/compress-settings.ts";
import { trainSettings } from "../settings/train-settings.ts";
import { requireOwnFiles } from "./own-files.ts";

const common = {
  version: z.literal(1),
  versions: z.record(z.string(), z.string()),
  /** The architecture or the file, as it was named. */
  network: z.string(),
  externalData: z.boolean(),
  data: z.strictObject({
    path: z.string(),
    digest: z.string(),
    options: datasetOptions,
  }),
};
const trainConfig = z.strictObject({
  ...common,
  command: z.literal("train"),
  hasTeacher: z.boolean(),
  settings: trainSettings,
});
const compressConfig = z.strictObject({
  ...common,
  command: z.literal("compress"),
  /** False where the original's own answers serve as labels. */
  hasLabels: z.boolean(),
  /** What the program that began the run added, and must add again to resume it. */
  custom: z.strictObject({ metric: z.string().nullable(), hasObjective: z.boolean() }),
  settings: compressSettings,
});
const runConfig = z.discriminatedUnion("command", [trainConfig, compressConfig]);

/** The data of a run. */
interface RunData {
  readonly path: string;
  readonly digest: string;
  readonly options: DatasetOptions;
}

/** Everything that reproduces a training run, together with `original.onnx`, `teacher.onnx` and the data. */
export interface TrainConfig extends Readonly<Omit<z.output<typeof trainConfig>, "data">> {
  readonly data: RunData;
}
/** Everything that reproduces a compression, together with `original.onnx` and the data. */
export interface CompressConfig extends Readonly<Omit<z.output<typeof compressConfig>, "data">> {
  readonly data: RunData;
}
/** Everything that reproduces a run. */
export type RunConfig = TrainConfig | CompressConfig;

/** Where the parts of a run lie. */
export function runPaths(run: string) {
  const path = (name: string) => join(run, name);
  return {
    config: path("config.json"),
    original: path("original.onnx"),
    teacher: path("teacher.onnx"),
    checkpoint: path("checkpoint/state.safetensors"),
    journal: path("checkpoint/journal.json"),
    lock: path("checkpoint/lock.json"),
    events: path("events.jsonl"),
    model: path("model.onnx"),
    posterior: path("posterior.onnx"),
    plan: path("plan.json"),
    html: path("report.html"),
    report: path("report.json"),
    predictions: {
      original: path("predictions/original.safetensors"),
      result: path("predictions/result.safetensors"),
      /** The mean of the predictions of draws from `posterior.onnx`. */
      posterior: path("predictions/posterior.safetensors"),
      examples: path("predictions/examples.safetensors"),
    },
  } as const;
}

/** Where the parts of a round of compression lie; the first round is 1. */
export function roundPaths(run: string, round: number) {
  const path = (name: string) => join(run, "rounds", String(round).padStart(2, "0"), name);
  return {
    /** The network that is pruned, with the weights that the method learnt. */
    before: path("before.onnx"),
    pruned: path("pruned.onnx"),
    plan: path("plan.json"),
    tuned: path("tuned.onnx"),
    /**
     * What the method remembers, pruned like the network: for the next round, for `posterior.onnx`, and for the
     * steps of a pack (`posteriorTolerances`).
     */
    memory: path("memory.onnx"),
  } as const;
}

/** Fails with `RUN_NOT_EMPTY` unless a run can begin at `run`: nothing is there, or an empty folder. */
export async function requireFree(run: string): Promise<void> {
  const found = await readdir(run).catch(async (cause: unknown) => {
    if (systemCode(cause) === "ENOENT") return [];
    // A file of this name, or one that is a part of the path.
    const isFile = systemCode(cause) === "ENOTDIR" && (await isThere(run));
    if (isFile) return [basename(run)];
    throw fileError(`make the run ${run}`, run, cause);
  });
  if (found.length === 0) return;
  const isRun = found.includes(basename(runPaths(run).config));
  throw new EspalierError("RUN_NOT_EMPTY", `${run} is not empty`, {
    hint: isRun
      ? "It holds a run: resume it, or name another folder."
      : "Name a folder that does not exist yet.",
    data: { run },
  });
}

/**
 * Makes the folder of a run, whole or not at all. `write` puts models into the folder that it is
 * given. Fails with `RUN_NOT_EMPTY`, `FILE_UNREADABLE`.
 */
export async function createRun(
  run: string,
  config: RunConfig,
  write: (folder: string) => Promise<void>,
): Promise<void> {
  await requireFree(run);
  const target = resolve(run);
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    await clearLeftovers(target);
    await mkdir(dirname(target), { recursive: true });
    // Each by itself: where nothing can be made, as in /proc, the recursive form of Node 20 never ends.
    await mkdir(temporary);
    await mkdir(join(temporary, "checkpoint"));
    await write(temporary);
    await writeJson(runPaths(temporary).config, config);
    await rmdir(target).catch(() => undefined); // not every system renames over an empty folder
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw fileError(`make the run ${run}`, run, cause);
  }
}

/** Whether a run got as far as a checkpoint. */
export async function hasCheckpoint(run: string): Promise<boolean> {
  return isThere(runPaths(run).checkpoint);
}

/** The configuration of a run. Fails with `RUN_INVALID`, also where parts of the run are links or not files. */
export async function readConfig(run: string): Promise<RunConfig> {
  const { config } = runPaths(run);
  await requireOwn(run);
  const written = await readJson(config);
  if (written === undefined)
    throw new EspalierError("RUN_INVALID", `${run} holds no run`, {
      hint: "Give the folder that `train` or `compress` made with -o RUN.",
      data: { path: config },
    });
  const parsed = runConfig.safeParse(written);
  if (parsed.success) return parsed.data;
  throw new EspalierError("RUN_INVALID", `${config} does not describe a run`, {
    hint: "It was changed, or written by another version.",
    data: { path: config, issues: parsed.error.issues.map(({ message }) => message) },
  });
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Whether a folder is that of a run, or lies in one: it holds what only a run holds. */
export async function isInRun(folder: string): Promise<boolean> {
  const { config, original, events, checkpoint } = runPaths(folder);
  if (await isThere(config))
    for (const path of [original, events, dirname(checkpoint)])
      if (await isThere(path)) return true;
  const parent = dirname(resolve(folder));
  return parent === resolve(folder) ? false : isInRun(parent);
}

/** The report of a run that is over; `undefined` before. Fails with `RUN_INVALID`. */
export async function readReport(run: string): Promise<unknown> {
  const { report } = runPaths(run);
  await requireOwn(run);
  return readJson(report);
}

/** Fails with `RUN_INVALID` where a part of a run is not its own. */
function requireOwn(run: string): Promise<void> {
  const { predictions, checkpoint, journal, lock, original, ...files } = runPaths(run);
  return requireOwnFiles(run, original, Object.values(files));
}

const withDigests = z.object({ digests: z.object({ model: z.string() }) });

/**
 * Where the result of a run lies. Fails with `RUN_INVALID` where there is no run, one that is not over, or one
 * whose result is not the network that its report is about.
 */
export async function resultOf(run: string): Promise<string> {
  const { model } = runPaths(run);
  const report = await readReport(run);
  if (report === undefined) {
    await readConfig(run);
    throw notOver(run);
  }
  const { data } = withDigests.safeParse(report);
  if (data !== undefined && (await fileDigest(model)) !== data.digests.model)
    throw new EspalierError("RUN_INVALID", `${model} is not the network that the run ended with`, {
      hint: `\`espalier verify ${run}\` says what else has changed. If you mean this file, name it instead of its folder.`,
      data: { path: model },
    });
  return model;
}

/** The error for a run that is not over yet. */
export function notOver(run: string): EspalierError {
  return new EspalierError("RUN_INVALID", `The run ${run} is not over yet: it has no report.`, {
    hint: `\`espalier resume ${run}\` goes on with it.`,
    data: { run },
  });
}

/** Writes the report, which ends the run. */
export async function writeReport(run: string, report: unknown): Promise<void> {
  await writeJson(runPaths(run).report, report);
}

/** Makes a folder in a run, if it is not there. Fails with `FILE_UNREADABLE`. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    throw fileError(`make the folder ${path}`, path, cause);
  });
}

/** No JSON file of a run is larger. */
const largestJson = 2 ** 26;

/** What a JSON file of a run holds; `undefined` where there is no such file. */
async function readJson(path: string): Promise<unknown> {
  const bytes = await readPlainFile(path, largestJson);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw damaged(path, cause);
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomically(path, [new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)]);
}

function damaged(path: string, cause: unknown): EspalierError {
  return new EspalierError("RUN_INVALID", `${path} cannot be read`, { data: { path }, cause });
}
