/**
 * @file The decoder: gives back the ONNX file of a pack. It imports nothing outside this folder but small
 * files beside it, and none of the packer's.
 */

import { codeBytes } from "./byte-code.ts";
import { largestCodedStructure, largestOutput, magic, version } from "./container.ts";
import { crc32 } from "./crc32.ts";
import { type Directory, type Entry, readDirectory } from "./directory.ts";
import { RangeDecoder } from "./range-decoder.ts";
import { joined, PackReader, type PackSource } from "./source.ts";
import { codeTensor, elementsOf, emptyParts, Models } from "./tensor-code.ts";
import { UnpackError } from "./unpack-error.ts";

/** How to unpack. */
export interface UnpackOptions {
  /** The largest output that is allowed, in bytes. Default: 2 GiB. */
  readonly maxBytes?: number;
}

interface Header {
  readonly outputBytes: number;
  /** Bytes of directory and structure, and how many they are coded in; the same when stored. */
  readonly structureBytes: number;
  readonly codedBytes: number;
  readonly sections: number;
  /** Bytes of the first section, which say nothing. */
  readonly filling: number;
}

/**
 * The ONNX file of a pack, as one array. Everything wrong with the pack is an {@link UnpackError};
 * errors of the source itself pass through.
 */
export async function unpack(
  source: PackSource,
  options: UnpackOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of unpackPieces(source, options)) {
    pieces.push(piece);
    length += piece.length;
  }
  return joined(pieces, length);
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
    await readSection(reader, header.filling, header.outputBytes);
    const { entries, structure } = await readStructure(reader, header);
    const models = new Models();
    let at = 0;
    let next = 0;
    for (let section = 0; section < header.sections; section++) {
      const own = entriesOfSection(entries, next);
      next += own.length;
      const bytes = await readSection(reader, await reader.varint(), sizeOf(own));
      requirePlausible(sizeOf(own), reader.taken);
      const decoder = new RangeDecoder(bytes);
      for (const entry of own) {
        if (entry.gap > 0) yield structure.subarray(at, at + entry.gap);
        at += entry.gap;
        const parts = emptyParts(entry);
        codeTensor(decoder, models, entry, parts);
        decoder.finish();
        yield elementsOf(entry, parts);
      }
    }
    if (next < entries.length) throw new UnpackError("DAMAGED", "The pack lacks a section.");
    await reader.check(reader.crc, "the pack");
    if (!(await reader.isAtEnd()))
      throw new UnpackError("DAMAGED", "Something follows the end of the pack.");
    if (at < structure.length) yield structure.subarray(at);
  } finally {
    await reader.close();
  }
}

async function readHeader(reader: PackReader, maxBytes: number): Promise<Header> {
  for (const expected of magic)
    if ((await reader.take(1))[0] !== expected)
      throw new UnpackError("NOT_A_PACK", "The bytes are no Espalier pack.");
  const [found] = await reader.take(1);
  if (found !== version)
    throw new UnpackError("UNKNOWN_VERSION", `The pack is of version ${found}.`);
  const header = {
    outputBytes: await reader.varint(),
    structureBytes: await reader.varint(),
    codedBytes: await reader.varint(),
    sections: await reader.varint(),
    filling: await reader.varint(),
  };
  await reader.check(reader.crc, "the header");
  const { outputBytes, structureBytes, codedBytes } = header;
  if (outputBytes > maxBytes)
    throw new UnpackError(
      "TOO_LARGE",
      `The pack announces ${outputBytes} bytes; at most ${maxBytes} are allowed.`,
    );
  const isStored = codedBytes === structureBytes;
  if (codedBytes > structureBytes || (!isStored && structureBytes > largestCodedStructure))
    throw new UnpackError("DAMAGED", "The pack's header contradicts itself.");
  return header;
}

async function readStructure(reader: PackReader, header: Header): Promise<Directory> {
  const { structureBytes, codedBytes, outputBytes } = header;
  const coded = await readSection(reader, codedBytes, outputBytes);
  if (codedBytes === structureBytes) return readDirectory(coded, outputBytes);
  requirePlausible(structureBytes, reader.taken);
  const bytes = new Uint8Array(structureBytes);
  const decoder = new RangeDecoder(coded);
  codeBytes(decoder, bytes);
  decoder.finish();
  return readDirectory(bytes, outputBytes);
}

/** `length` bytes that `output` bytes come from, and the checksum behind them. */
async function readSection(
  reader: PackReader,
  length: number,
  output: number,
): Promise<Uint8Array> {
  // Coding never makes anything twice as long; a stream without end must not fill the memory.
  if (length > 2 * output + 1024)
    throw new UnpackError("DAMAGED", "A section of the pack is longer than what it holds.");
  const bytes = await reader.take(length);
  await reader.check(crc32(bytes), "a section");
  return bytes;
}

/** The entry at `first` and those behind it up to the next section. */
function entriesOfSection(entries: readonly Entry[], first: number): readonly Entry[] {
  if (first >= entries.length) throw new UnpackError("DAMAGED", "The pack has a section too many.");
  let end = first + 1;
  while (end < entries.length && !entries[end].beginsSection) end++;
  return entries.slice(first, end);
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { count, width }) => sum + count * width, 0);
}

function requirePlausible(output: number, packed: number): void {
  if (output > largestOutput(packed))
    throw new UnpackError("TOO_LARGE", `${packed} bytes of a pack announce ${output} bytes.`);
}
