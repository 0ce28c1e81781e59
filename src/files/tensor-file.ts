/**
 * @file Tensors on disk, in the safetensors layout: the length of a JSON header (8 bytes), the header
 * (type, shape and place of every tensor), and the elements. Nothing in it can be executed.
 */
import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { assert, EspalierError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { allocate, bytesOf, type HostTensor, isStrings, sizeOf } from "../tensor/host-tensor.ts";
import { fileError } from "./file-error.ts";
import { writeAtomically } from "./model-file.ts";
import { readPlainFile } from "./plain-file.ts";

const codes: ReadonlyMap<string, DType> = new Map([
  ["F64", "float64"],
  ["F32", "float32"],
  ["F16", "float16"],
  ["I64", "int64"],
  ["I32", "int32"],
  ["U8", "uint8"],
]);
const codeOf: ReadonlyMap<DType, string> = new Map(
  [...codes].map(([code, dtype]) => [dtype, code]),
);

const entry = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const metadataKey = "__metadata__";
const metadata = z.strictObject({
  note: z.string(),
  /** SHA-256 of the header without it, and of the elements. Files of version 0.1.0 have none. */
  sha256: z.string().optional(),
});

/** Bytes of the largest header that is read. */
const largestHeader = 2 ** 27;
/** No file of tensors is larger: more cannot be read at once. */
const largestFile = 2 ** 31 - 1;

/** Tensors by name, and a text that goes with them. */
export interface TensorFile {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly note: string;
}

/**
 * Writes tensors and a note. The file appears whole or not at all.
 * Fails with `FILE_UNREADABLE`.
 */
export async function saveTensors(path: string, { tensors, note }: TensorFile): Promise<void> {
  const header = new Map<string, unknown>([[metadataKey, { note }]]);
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    const code = codeOf.get(dtype);
    assert(code !== undefined && !isStrings(data), `tensors of ${dtype} are not kept in files`);
    const bytes = bytesOf(data);
    header.set(name, { dtype: code, shape, data_offsets: [at, at + bytes.length] });
    chunks.push(bytes);
    at += bytes.length;
  }
  header.set(metadataKey, { note, sha256: contentDigest(header, chunks) });
  const bytes = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // Spaces at its end bring the elements to a multiple of 8.
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(0x20);
  padded.set(bytes);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  await writeAtomically(path, [new Uint8Array(length.buffer), padded, ...chunks]);
}

/**
 * Reads what {@link saveTensors} wrote; `undefined` where there is no such file.
 * Fails with `CHECKPOINT_INVALID` for a damaged file, also where only its digest tells, and `FILE_UNREADABLE`.
 *
 * @param hint What can be done about a damaged one.
 */
export async function loadTensors(
  path: string,
  hint = "Put the file back as it was.",
): Promise<TensorFile | undefined> {
  const bytes = await readPlainFile(path, largestFile);
  if (bytes === undefined) return undefined;
  const damaged = (what: string, cause?: unknown) =>
    new EspalierError("CHECKPOINT_INVALID", `${path} ${what}`, {
      hint,
      data: { path },
      cause,
    });
  if (bytes.length < 8) throw damaged("ends within its first bytes");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getBigUint64(0, true);
  if (headerLength > BigInt(bytes.length - 8)) throw damaged("ends within its header");
  if (headerLength > BigInt(largestHeader)) throw damaged("has a header that is none");
  const start = 8 + Number(headerLength);
  const header = parse(bytes.subarray(8, start), damaged);
  const about = metadata.safeParse(header.get(metadataKey));
  if (!about.success) throw damaged("holds no note of what it is");
  const { note, sha256 } = about.data;
  header.set(metadataKey, { note });
  if (sha256 !== undefined && sha256 !== contentDigest(header, [bytes.subarray(start)]))
    throw damaged("is not as it was written: its digest is another");
  header.delete(metadataKey);
  const tensors = new Map<string, HostTensor>();
  for (const [name, value] of header) {
    const parsed = entry.safeParse(value);
    const dtype = codes.get(parsed.data?.dtype ?? "");
    if (!parsed.success || dtype === undefined) throw damaged(`misdescribes the tensor "${name}"`);
    const { shape, data_offsets: offsets } = parsed.data;
    const [from, to] = offsets.map((offset) => offset + start);
    if (from > to || to > bytes.length) throw damaged(`ends within the tensor "${name}"`);
    const element = allocate(dtype, 1).byteLength;
    if (sizeOf(shape) * element !== to - from)
      throw damaged(`has ${to - from} bytes for "${name}" of shape [${shape.join(", ")}]`);
    const data = allocate(dtype, sizeOf(shape));
    bytesOf(data).set(bytes.subarray(from, to));
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, note };
}

function contentDigest(
  header: ReadonlyMap<string, unknown>,
  chunks: readonly Uint8Array[],
): string {
  const hash = createHash("sha256").update(JSON.stringify(Object.fromEntries(header)));
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

/** Removes what writers of this file or folder left behind when they were killed. */
export async function clearLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names)
    if (name.startsWith(`.${basename(path)}.`) && name.endsWith(".tmp"))
      await rm(join(folder, name), { recursive: true, force: true }).catch((cause: unknown) => {
        throw fileError(`remove ${join(folder, name)}`, path, cause);
      });
}

/** A digest of tensors, their names and shapes: equal only for equal ones, for all that is practical. */
export function digestOf(tensors: ReadonlyMap<string, HostTensor>): string {
  const hash = createHash("sha256");
  for (const [name, { dtype, shape, data }] of tensors) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(isStrings(data) ? JSON.stringify(data) : bytesOf(data));
  }
  return hash.digest("hex");
}

function parse(
  bytes: Uint8Array,
  damaged: (what: string, cause?: unknown) => EspalierError,
): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    // Entries, because names come from a file and may be those of an object's own parts.
    if (typeof value === "object" && value !== null) return new Map(Object.entries(value));
    throw new TypeError("no object");
  } catch (cause) {
    throw damaged("has a header that is no JSON", cause);
  }
}
