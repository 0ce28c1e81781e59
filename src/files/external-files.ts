/**
 * @file Weights in files beside the model, read with distrust: the location comes from the model.
 *
 * Only regular files with one link, inside the model's folder after all links are resolved; no
 * symbolic links on the way. Every read opens the file anew and checks again, so that nothing can
 * be put in its place in between.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, resolve, sep, win32 } from "node:path";
import { EspalierError } from "../errors.ts";
import type { ExternalDataSource } from "../onnx/parts/external.ts";

/** The external data that the model at `modelPath` may read. */
export function externalFiles(modelPath: string): ExternalDataSource {
  const folder = realpathSync(dirname(resolve(modelPath)));
  const sizes = new Map<string, number>();
  return {
    sizeOf(location) {
      const known = sizes.get(location);
      if (known !== undefined) return known;
      const size = withFile(folder, location, (_, bytes) => bytes);
      sizes.set(location, size);
      return size;
    },
    read: (location, offset, length) =>
      withFile(folder, location, (file, size) => {
        const bytes = new Uint8Array(length);
        let done = 0;
        while (done < length && offset + length <= size) {
          const count = readSync(
            file,
            bytes,
            done,
            Math.min(length - done, 2 ** 30),
            offset + done,
          );
          if (count === 0) break;
          done += count;
        }
        if (done < length)
          throw new EspalierError(
            "EXTERNAL_DATA_BAD",
            `The external data file "${location}" ends too early.`,
            { data: { location } },
          );
        return bytes;
      }),
  };
}

/** Opens a location that passes every check, and closes it again. */
function withFile<T>(folder: string, location: string, use: (file: number, size: number) => T): T {
  const unsafe = (problem: string): never => {
    throw new EspalierError(
      "EXTERNAL_DATA_UNSAFE",
      `The model's external data "${location}" ${problem}.`,
      { hint: "Copy the weights into the model's folder as a plain file.", data: { location } },
    );
  };
  if (location.includes("\0")) unsafe("has a name that no file can have");
  if (isAbsolute(location) || win32.isAbsolute(location)) unsafe("is an absolute path");
  if (location.split(/[/\\]/).includes("..")) unsafe("leaves the model's folder");
  const path = join(folder, location);
  const real = missingIsBad(location, () => realpathSync(path));
  if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep))
    unsafe("leaves the model's folder");
  if (real !== path) unsafe("is, or lies behind, a symbolic link");
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = missingIsBad(location, () => openSync(real, flags));
  try {
    const { size, nlink } = checkedStat(file);
    if (size === undefined) return unsafe("is no regular file");
    if (nlink !== 1) return unsafe("has several hard links");
    return use(file, size);
  } finally {
    closeSync(file);
  }
}

function checkedStat(file: number): { readonly size: number | undefined; readonly nlink: number } {
  const stat = fstatSync(file);
  return { size: stat.isFile() ? stat.size : undefined, nlink: stat.nlink };
}

function missingIsBad<T>(location: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new EspalierError(
      "EXTERNAL_DATA_BAD",
      `The model's external data "${location}" cannot be opened.`,
      { hint: "Put the file with the weights beside the model.", data: { location }, cause },
    );
  }
}
