/**
 * @file Plain files: regular ones that are no symbolic links and have no second name. Whatever else bears the
 * name (a link, a pipe, a device, a folder) is refused when it is opened, so that nothing outside its folder is
 * read or written through it, and nothing waits for it.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { type FileHandle, lstat, open, stat } from "node:fs/promises";
import { EspalierError } from "../errors.ts";
import { fileError, systemCode } from "./file-error.ts";

// Windows has neither flag.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;

/** What makes a file a plain one. */
interface Kind {
  isFile(): boolean;
  readonly nlink: number;
}

/** Fails with `FILE_UNREADABLE` unless what was found at `path` is a plain file. */
function requirePlain(path: string, found: Kind): void {
  const what = !found.isFile()
    ? "is no regular file"
    : found.nlink > 1
      ? "has a second name elsewhere (a hard link)"
      : undefined;
  if (what === undefined) return;
  throw new EspalierError("FILE_UNREADABLE", `${path} ${what}`, {
    hint: "Copy its folder (cp -rL), and use the copy.",
    data: { path },
  });
}

/**
 * Fails with `FILE_UNREADABLE` where something is at `path` that is no regular file: a pipe would be waited for
 * without end, a device has none. Links are followed.
 */
export async function requireRegular(path: string): Promise<void> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (cause) {
    throw fileError(`read ${path}`, path, cause);
  }
  if (found.isFile()) return;
  throw new EspalierError("FILE_UNREADABLE", `${path} is no regular file`, {
    hint: found.isDirectory()
      ? "Name a file in it."
      : "It is a pipe or a device: copy what comes out of it to a file, and name that.",
    data: { path },
  });
}

/**
 * Fails with `FILE_UNREADABLE` where a file at `path` would take the place of something that is none, such as
 * /dev/full: whoever may write there may also rename over it.
 */
export async function requireReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined); // nothing there, or what writing will tell
  if (found === undefined || found.isFile() || found.isSymbolicLink() || found.isDirectory())
    return;
  throw new EspalierError("FILE_UNREADABLE", `${path} is a pipe or a device, not a file`, {
    hint: "Name a file: results appear whole or not at all, which only files can.",
    data: { path },
  });
}

/**
 * The bytes of a plain file; `undefined` where there is none. Fails with `FILE_UNREADABLE`, also where there are
 * more than `maxBytes`.
 */
export async function readPlainFile(path: string, maxBytes: number): Promise<Buffer | undefined> {
  return withFile(path, constants.O_RDONLY, async (file, size) => {
    if (size > maxBytes)
      throw new EspalierError(
        "FILE_UNREADABLE",
        `${path} has ${size} bytes; at most ${maxBytes} are read.`,
        { data: { path, size } },
      );
    return file.readFile();
  });
}

/** Adds a line to a plain file, which is made where there is none. Fails with `FILE_UNREADABLE`. */
export function appendLine(path: string, line: string): void {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  let file: number | undefined;
  try {
    file = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o666);
    requirePlain(path, fstatSync(file));
    writeSync(file, `${line}\n`);
  } catch (cause) {
    throw fileError(`write ${path}`, path, cause);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Bytes of the longest line. */
const longestLine = 2 ** 20;

/**
 * Cuts off what stands behind the last line end of a plain file, if there is one. Fails with `FILE_UNREADABLE`,
 * also where that is longer than any line.
 */
export async function dropHalfLine(path: string): Promise<void> {
  const cutAt = await withFile(path, constants.O_RDONLY, async (file, size) => {
    const whole = await endOfLastLine(path, file, size);
    return whole < size ? whole : undefined;
  });
  // A file that is whole need not be one that can be written to.
  if (cutAt !== undefined) await withFile(path, constants.O_RDWR, (file) => file.truncate(cutAt));
}

/** The number of bytes up to and with the last line end. */
async function endOfLastLine(path: string, file: FileHandle, size: number): Promise<number> {
  const length = Math.min(size, longestLine);
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
  const at = buffer.lastIndexOf("\n");
  if (at >= 0 || length === size) return size - length + at + 1;
  throw new EspalierError("FILE_UNREADABLE", `${path} does not end in lines`, {
    hint: "It only tells what happened when: move it away.",
    data: { path, size },
  });
}

/** Opens a plain file for the length of `use`; `undefined` where there is none. */
async function withFile<T>(
  path: string,
  flags: number,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, flags | O_NOFOLLOW | O_NONBLOCK);
    const found = await file.stat();
    requirePlain(path, found);
    return await use(file, found.size);
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(cause) ?? "")) return undefined;
    throw fileError(`read ${path}`, path, cause);
  } finally {
    await file?.close();
  }
}
