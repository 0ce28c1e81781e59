/**
 * @file Reads entries of a ZIP archive in memory, without extracting anything to disk. Only what
 * numpy writes: stored and deflated entries, no encryption, no archive over several disks.
 */
import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { maxFileBytes, reasonOf } from "./files.ts";
import { invalid } from "./table.ts";

/** An entry of the central directory. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly headerAt: number;
}

/** Limits against archives that were made to harm. */
export interface ZipLimits {
  readonly entries: number;
  /** Bytes of one entry, and of all entries together, after inflating. */
  readonly bytes: number;
  /** An entry over `freeBytes` may not inflate to more than this many times its size. */
  readonly ratio: number;
  readonly freeBytes: number;
}

/** Generous for numbers: even a mask of two classes rarely deflates to less than a 200th. */
const zipLimits: ZipLimits = {
  entries: 1024,
  bytes: maxFileBytes,
  ratio: 200,
  freeBytes: 2 ** 26,
};

const endSize = 22;
const directorySize = 46;
const headerSize = 30;

/** The entries of an archive, in the order of its central directory. */
export function listZip(file: string, bytes: Uint8Array, limits = zipLimits): readonly ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(file, view);
  const count = view.getUint16(end + 10, true);
  if (count > limits.entries)
    throw invalid(file, `holds ${count} entries; the limit is ${limits.entries}`);
  const entries: ZipEntry[] = [];
  let total = 0;
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (at + directorySize > end || view.getUint32(at, true) !== 0x02014b50)
      throw invalid(file, `entry ${i} of the zip directory is damaged`);
    const nameLength = view.getUint16(at + 28, true);
    const next =
      at +
      directorySize +
      nameLength +
      view.getUint16(at + 30, true) +
      view.getUint16(at + 32, true);
    if (next > end) throw invalid(file, `entry ${i} of the zip directory is damaged`);
    const entry = {
      name: Buffer.from(
        bytes.subarray(at + directorySize, at + directorySize + nameLength),
      ).toString(),
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      compressedSize: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      headerAt: view.getUint32(at + 42, true),
    };
    total += entry.size;
    checkSize(file, entry, total, limits);
    entries.push(entry);
    at = next;
  }
  return entries;
}

/** The content of an entry, its length and checksum verified. */
export async function readEntry(
  file: string,
  bytes: Uint8Array,
  entry: ZipEntry,
): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { headerAt, name } = entry;
  if (headerAt + headerSize > bytes.length || view.getUint32(headerAt, true) !== 0x04034b50)
    throw invalid(file, `the zip entry ${name} is not where the directory says`);
  if (entry.flags & 1) throw invalid(file, `the zip entry ${name} is encrypted`);
  const from =
    headerAt +
    headerSize +
    view.getUint16(headerAt + 26, true) +
    view.getUint16(headerAt + 28, true);
  if (from + entry.compressedSize > bytes.length)
    throw invalid(file, `the zip entry ${name} runs past the end of the file`);
  const packed = bytes.subarray(from, from + entry.compressedSize);
  const content = await unpackEntry(file, packed, entry);
  if (content.length !== entry.size)
    throw invalid(file, `${name} inflates to ${content.length} bytes; expected ${entry.size}`);
  if (crc32(content) !== entry.crc) throw invalid(file, `${name} has a wrong checksum`);
  return content;
}

async function unpackEntry(file: string, packed: Uint8Array, entry: ZipEntry): Promise<Uint8Array> {
  if (entry.method === 0) return packed;
  if (entry.method !== 8)
    throw invalid(file, `${entry.name} is packed by method ${entry.method}; only deflate is read`);
  try {
    // One byte of room more, so that a longer stream is an error here and not a silent cut.
    return await promisify(inflateRaw)(packed, { maxOutputLength: entry.size + 1 });
  } catch (cause) {
    throw invalid(file, `${entry.name} cannot be inflated (${reasonOf(cause)})`, undefined, cause);
  }
}

/** The end record stands last, but for a comment of up to 64 KiB. */
function findEnd(file: string, view: DataView): number {
  const lowest = Math.max(0, view.byteLength - endSize - 0xffff);
  for (let at = view.byteLength - endSize; at >= lowest; at--)
    if (view.getUint32(at, true) === 0x06054b50) return at;
  throw invalid(file, "is no zip archive, or is truncated: its directory is missing");
}

function checkSize(file: string, entry: ZipEntry, total: number, limits: ZipLimits): void {
  if (entry.size > limits.bytes || total > limits.bytes)
    throw invalid(file, `its arrays inflate to more than ${limits.bytes} bytes`);
  if (entry.size > Math.max(limits.freeBytes, limits.ratio * entry.compressedSize))
    throw invalid(
      file,
      `${entry.name} would inflate from ${entry.compressedSize} to ${entry.size} bytes; ` +
        `more than ${limits.ratio} times is refused`,
    );
}
