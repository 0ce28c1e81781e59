/** @file Models on disk: read under limits, written atomically. */
import { randomUUID } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { assert, EspalierError } from "../errors.ts";
import type { Model, ModelBytes } from "../onnx/model.ts";
import { defaultLimits, type Limits } from "../onnx/protobuf/limits.ts";
import { readModel } from "../onnx/reading/read.ts";
import { externalFiles } from "./external-files.ts";
import { fileError } from "./file-error.ts";
import { requireRegular, requireReplaceable } from "./plain-file.ts";

/** Systems move at most 2 GiB in one call. */
const largestCall = 2 ** 30;

/** How to load. */
export interface LoadOptions {
  /** Allow weights in other files of the model's folder. Default: refuse such models. */
  readonly externalData?: boolean | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/**
 * Reads an `.onnx` file. Its size is checked before anything is read.
 * Throws `FILE_UNREADABLE` and everything that `readModel` throws.
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  const limits = { ...defaultLimits, ...options.limits };
  await requireReadable(path);
  const bytes = await readWhole(path, limits.maxBytes);
  return readModel(bytes, {
    limits,
    externalData: options.externalData ? externalFiles(path) : undefined,
  });
}

/** Says what is at a path that is no `.onnx` file: nothing, a folder, or a file of another kind. */
async function requireReadable(path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw fileError(`read ${path}`, path, cause);
  });
  if (found.isDirectory())
    throw new EspalierError("FILE_UNREADABLE", `${path} is a folder, not an .onnx file.`, {
      hint: `Name the file in it; the result of a run is ${join(path, "model.onnx")}.`,
      data: { path },
    });
  requireOnnxName(path);
  await requireRegular(path);
}

async function readWhole(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const file = await open(path, "r");
    try {
      const stat = await file.stat();
      if (stat.size > maxBytes)
        throw new EspalierError(
          "MODEL_TOO_LARGE",
          `${path} has ${stat.size} bytes; at most ${maxBytes} are read.`,
          { data: { path, size: stat.size } },
        );
      const bytes = new Uint8Array(stat.size);
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await file.read(
          bytes,
          done,
          Math.min(bytes.length - done, largestCall),
          done,
        );
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw fileError(`read ${path}`, path, cause);
  }
}

/**
 * Writes a model to `path`, and its external data (if any) beside it. Each file appears whole or
 * not at all: a temporary file of our own naming in the same folder is synced and renamed.
 */
export async function saveModel(path: string, bytes: ModelBytes): Promise<void> {
  requireOnnxName(path);
  const { external } = bytes;
  if (external !== undefined) {
    const { location } = external;
    assert(basename(location) === location && location !== "", "external data lies beside");
    assert(location !== basename(path), "external data has a name of its own");
    await writeAtomically(join(dirname(path), location), external.chunks);
  }
  await writeAtomically(path, bytes.chunks);
}

/** The name that the second file of a model at `path` should have. */
export function externalLocationFor(path: string): string {
  return `${basename(path)}.data`;
}

/** Writes chunks to a temporary file in the folder of `path`, syncs it, and renames it to `path`. */
export async function writeAtomically(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  await requireReplaceable(path);
  const folder = dirname(resolve(path));
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    // wx: O_CREAT | O_EXCL, so that nothing that exists can be followed or overwritten.
    const file = await open(temporary, "wx");
    try {
      for (const chunk of chunks) {
        let done = 0;
        while (done < chunk.length) {
          const { bytesWritten } = await file.write(
            chunk,
            done,
            Math.min(chunk.length - done, largestCall),
          );
          done += bytesWritten;
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to tell
    throw fileError(`write ${path}`, path, cause);
  }
}

function requireOnnxName(path: string): void {
  if (!/\.onnx$/i.test(path))
    throw new EspalierError("FILE_UNREADABLE", `${path} does not end in .onnx.`, {
      hint: "Models are read and written as .onnx files; unpack or rename it first.",
      data: { path },
    });
}
