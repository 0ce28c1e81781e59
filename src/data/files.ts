/** @file Reading folders and whole files, under limits, with errors that name the file. */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { constants, gunzip, gunzipSync } from "node:zlib";
import { EspalierError } from "../errors.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { requireRegular } from "../files/plain-file.ts";
import { invalid } from "./table.ts";

/** No file, and no array out of a compressed one, may be larger. */
export const maxFileBytes = 2 ** 31 - 1;

/** What lies in a folder: names in code-unit order, links followed, hidden entries left out. */
export interface Listing {
  readonly path: string;
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

/** Lists a folder; a single file is listed as a folder that holds nothing else. */
export async function list(path: string): Promise<Listing> {
  try {
    const here = await stat(path);
    if (!here.isDirectory()) return { path: dirname(path), files: [basename(path)], folders: [] };
    const files: string[] = [];
    const folders: string[] = [];
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      // A link that leads nowhere is as good as not there.
      const target = entry.isSymbolicLink()
        ? await stat(join(path, entry.name)).catch(() => entry)
        : entry;
      if (target.isDirectory()) folders.push(entry.name);
      else if (target.isFile()) files.push(entry.name);
    }
    return { path, files: files.sort(), folders: folders.sort() };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The bytes of a file. */
export async function readBytes(path: string): Promise<Buffer> {
  try {
    await requireRegular(path);
    const { size } = await stat(path);
    if (size > maxFileBytes) throw tooLarge(path, size);
    return await readFile(path);
  } catch (cause) {
    throw cause instanceof EspalierError ? cause : unreadable(path, cause);
  }
}

/**
 * The bytes of a file that may be gzipped (by its name). `sizeFrom` says from the file's first bytes
 * how long it must be, so that a gzip bomb is refused before anything is allocated for it.
 */
export async function readSized(
  path: string,
  sizeFrom: (head: Uint8Array) => number,
): Promise<Uint8Array> {
  const raw = await readBytes(path);
  const isZipped = /\.gz$/i.test(path);
  const head = isZipped ? gunzipHead(path, raw) : raw;
  const expected = sizeFrom(head);
  if (expected > maxFileBytes) throw tooLarge(path, expected);
  const bytes = isZipped ? await gunzipWhole(path, raw, expected) : raw;
  if (bytes.length !== expected)
    throw invalid(
      path,
      `holds ${bytes.length} bytes; its header says ${expected}`,
      bytes.length < expected ? "The file is truncated; fetch it again." : undefined,
    );
  return bytes;
}

function gunzipHead(path: string, raw: Buffer): Uint8Array {
  try {
    return gunzipSync(raw.subarray(0, 1024), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (cause) {
    throw invalid(path, `is no gzip file (${reasonOf(cause)})`, undefined, cause);
  }
}

async function gunzipWhole(path: string, raw: Buffer, expected: number): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(raw, { maxOutputLength: expected + 1 });
  } catch (cause) {
    const isLonger = systemCode(cause) === "ERR_BUFFER_TOO_LARGE";
    const what = isLonger
      ? `inflates to more than the ${expected} bytes that its header says`
      : `cannot be decompressed (${reasonOf(cause)})`;
    throw invalid(path, what, isLonger ? undefined : "Fetch the file again.", cause);
  }
}

function unreadable(path: string, cause: unknown): EspalierError {
  if (systemCode(cause) !== "ENOENT") return fileError(`read ${path}`, path, cause);
  return new EspalierError("DATA_NOT_FOUND", `${path}: no such file or folder`, {
    data: { file: path },
    cause,
  });
}

function tooLarge(path: string, size: number): EspalierError {
  return invalid(path, `is ${size} bytes long; the limit is ${maxFileBytes}`);
}

/** The message of whatever was thrown. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
