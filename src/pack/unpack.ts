/**
 * @file The decoder: gives back the ONNX file of a pack. It imports the class of all errors, small files of
 * this folder, and nothing of the packer's.
 */

import { codeBytes } from "./coding/byte-code.ts";
import { ByteReader } from "./coding/byte-io.ts";
import { allocated, damage, packFault, tooLarge } from "./coding/pack-faults.ts";
import { RangeDecoder } from "./coding/range-decoder.ts";
import { largestCodedStructure, largestOutput, magic, version } from "./file/container.ts";
import { crc32 } from "./file/crc32.ts";
import { type Directory, readDirectory } from "./file/directory.ts";
import { joined, PackReader, type PackSource } from "./file/source.ts";
import { codeTensor, elementsOf, emptyParts, Models } from "./file/tensor-code.ts";

/** How to unpack. */
export interface UnpackOptions {
  /** The largest output that is allowed, in bytes. Default: 2 GiB. */
  readonly maxBytes?: number | undefined;
}

interface Header {
  readonly outputBytes: number;
  /** Bytes of directory and structure; coded, unless the first section is as long. */
  readonly structureBytes: number;
  /** Bytes that say nothing, before the first section. */
  readonly filling: number;
  /** Bytes of each section: the structure, then the tensors. */
  readonly sections: readonly number[];
}

/**
 * The ONNX file of a pack, as one array. Errors: `PACK_INVALID`, whose `data.reason` says what is wrong with the
 * pack, and `PACK_TOO_LARGE`. Errors of the source itself pass through.
 */
export async function unpack(
  source: PackSource,
  options: UnpackOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of unpackPieces(source, options)) pieces.push(piece);
  return joined(pieces);
}

/**
 * The ONNX file of a pack, piece by piece as the pack comes in. Only when all pieces have come is the
 * checksum of the whole known to be right.
 */
export async function* unpackPieces(
  source: PackSource,
  options: UnpackOptions = {},
): AsyncGenerator<Uint8Array> {
  const reader = new PackReader(source);
  try {
    const header = await readHeader(reader, options.maxBytes ?? 2 ** 31);
    const { filling, sections } = header;
    await readSection(reader, filling, filling);
    const { entries, structure } = await readStructure(reader, header);
    const models = new Models();
    let announced = header.structureBytes;
    let at = 0;
    let next = 0;
    for (const length of sections.slice(1)) {
      const first = next++;
      while (next < entries.length && !entries[next].beginsSection) next++;
      const own = entries.slice(first, next);
      announced = own.reduce((sum, { count, width }) => sum + count * width, announced);
      const decoder = new RangeDecoder(await readSection(reader, length, announced));
      for (const entry of own) {
        if (entry.gap > 0) yield structure.subarray(at, at + entry.gap);
        at += entry.gap;
        yield allocated(() => {
          const parts = emptyParts(entry);
          codeTensor(decoder, models, entry, parts);
          decoder.finish();
          return elementsOf(entry, parts);
        });
      }
    }
    if (next !== entries.length) throw damage();
    await reader.check(reader.crc);
    if (await reader.hasMore()) throw damage("bytes follow it");
    if (at < structure.length) yield structure.subarray(at);
  } finally {
    await reader.close();
  }
}

async function readHeader(reader: PackReader, maxBytes: number): Promise<Header> {
  for (const expected of magic)
    if ((await reader.take(1))[0] !== expected)
      throw packFault("NOT_A_PACK", "This is no Espalier pack.", "Give a packed file.");
  const [found, low, high] = await reader.take(3);
  if (found !== version)
    throw packFault("UNKNOWN_VERSION", `The pack is of version ${found}.`, "Use a newer Espalier.");
  const numbers = new ByteReader(await reader.take(low + 256 * high));
  await reader.check(reader.crc);
  const outputBytes = numbers.varint();
  const structureBytes = numbers.varint();
  const filling = numbers.varint();
  const sections: number[] = [];
  do sections.push(numbers.varint());
  while (numbers.rest.length > 0);
  requireSize(outputBytes, maxBytes);
  requireSize(filling, outputBytes);
  // The structure is part of the output, and of each tensor the directory takes less than the tensor has.
  if (structureBytes > outputBytes + 1024) throw damage();
  return { outputBytes, structureBytes, filling, sections };
}

async function readStructure(
  reader: PackReader,
  { structureBytes, sections: [length], outputBytes }: Header,
): Promise<Directory> {
  const coded = await readSection(reader, length, structureBytes);
  if (length === structureBytes) return readDirectory(coded, outputBytes);
  if (structureBytes > largestCodedStructure) throw damage();
  const bytes = new Uint8Array(structureBytes);
  const decoder = new RangeDecoder(coded);
  codeBytes(decoder, bytes);
  decoder.finish();
  return readDirectory(bytes, outputBytes);
}

/** The next section of `length` bytes, once its checksum is right; it and those before it give `announced`. */
async function readSection(
  reader: PackReader,
  length: number,
  announced: number,
): Promise<Uint8Array> {
  // Coding never makes anything twice as long; a stream without end must not fill the memory.
  if (length > 2 * announced + 1024) throw damage();
  const bytes = await reader.take(length);
  await reader.check(crc32(bytes));
  requireSize(announced, largestOutput(reader.taken));
  return bytes;
}

function requireSize(bytes: number, most: number): void {
  if (bytes > most) throw tooLarge(`It announces ${bytes} bytes; ${most} are allowed.`);
}
