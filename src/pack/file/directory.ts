/** @file The directory of a pack: the type, the coding and the place of each tensor. */
import { ByteReader, pushFloat32, pushVarint, word } from "../coding/byte-io.ts";
import type { Geometry } from "../coding/geometry.ts";
import { damage } from "../coding/pack-faults.ts";
import { type SupportForm, supportForms } from "../coding/support-code.ts";
import { leastTensor } from "./container.ts";

/**
 * How the values of a tensor are coded: bit for bit; as float32 codes times a step; or as places in a
 * table, relative to the place of zero. The index is the number in the file.
 */
const valueForms = ["planes", "steps", "table"] as const;
export type ValueForm = (typeof valueForms)[number];

/** How a tensor is coded. */
export interface Coding {
  readonly support: SupportForm;
  readonly values: ValueForm;
  /** Whether each row has a step of its own, a power of two times `step`; tensors with steps alone may. */
  readonly hasShifts: boolean;
  readonly step: number;
  /** Whether elements of planes, or of a table, are floats, turned by one bit. */
  readonly isTurned: boolean;
  /** The forms of all planes, as `planeForms` tells. */
  readonly planes: number;
  /** Elements of the table, and the place that code 0 means. */
  readonly size: number;
  readonly zero: number;
}

/** One tensor. */
export interface Entry extends Geometry, Coding {
  /** Bytes of the structure that stand before it, behind the tensor before. */
  readonly gap: number;
  /** Bytes of an element: 1, 2, 4 or 8. */
  readonly width: number;
  /** True where the tensor is the first of a section. */
  readonly beginsSection: boolean;
}

/** Entries of the largest table. */
const largestTable = 2 ** 14;

/** The directory as bytes: a count, then the entries. */
export function writeDirectory(entries: readonly Entry[]): number[] {
  const out: number[] = [];
  pushVarint(out, entries.length);
  for (const entry of entries) writeEntry(out, entry);
  return out;
}

function writeEntry(out: number[], entry: Entry): void {
  const { gap, width, count, row, kernel, support, values } = entry;
  // Bits 0-1: log2 of the width; 2-3: support; 4-5: values; 6: first of a section; 7: shifts, or turned.
  out.push(
    (31 - Math.clz32(width)) |
      (supportForms.indexOf(support) << 2) |
      (valueForms.indexOf(values) << 4) |
      (entry.beginsSection ? 64 : 0) |
      (entry.hasShifts || entry.isTurned ? 128 : 0),
  );
  for (const number of [gap, kernel, row / kernel, count / row]) pushVarint(out, number);
  if (values === "steps") pushFloat32(out, entry.step);
  else pushVarint(out, entry.planes);
  if (values !== "table") return;
  pushVarint(out, entry.size);
  pushVarint(out, entry.zero);
}

/** A directory that was read, and the bytes behind it. */
export interface Directory {
  readonly entries: readonly Entry[];
  readonly structure: Uint8Array;
}

/**
 * Reads a directory, and makes sure that it describes exactly `outputBytes` bytes: nothing is allocated
 * for a tensor that could not be part of them.
 */
export function readDirectory(bytes: Uint8Array, outputBytes: number): Directory {
  const reader = new ByteReader(bytes);
  const entries: Entry[] = [];
  let gaps = 0;
  let total = 0;
  // Every entry takes bytes: a count that is too large ends with them.
  for (let left = reader.varint(); left > 0; left--) {
    const entry = readEntry(reader);
    const bytes = entry.count * entry.width;
    if (!(bytes >= leastTensor && bytes <= outputBytes)) throw damage();
    gaps += entry.gap;
    total += bytes;
    entries.push(entry);
  }
  const structure = reader.rest;
  if (gaps > structure.length || structure.length + total !== outputBytes) throw damage();
  return { entries, structure };
}

function readEntry(reader: ByteReader): Entry {
  const [flags] = reader.take(1);
  const gap = reader.varint();
  const kernel = reader.varint();
  const row = kernel * reader.varint();
  const count = row * reader.varint();
  const width = 1 << (flags & 3);
  const values = valueForms[(flags >> 4) & 3];
  const isStepped = values === "steps";
  const isTable = values === "table";
  const step = isStepped ? word(reader.take(4), "getFloat32") : 0;
  const planes = isStepped ? 0 : reader.varint();
  const size = isTable ? reader.varint() : 1;
  const zero = isTable ? reader.varint() : 0;
  if (values === undefined || (isStepped && width !== 4) || size > largestTable || zero >= size)
    throw damage();
  return {
    gap,
    kernel,
    row,
    count,
    width,
    support: supportForms[(flags >> 2) & 3],
    values,
    beginsSection: (flags & 64) > 0,
    hasShifts: isStepped && flags > 127,
    isTurned: !isStepped && flags > 127,
    step,
    planes,
    size,
    zero,
  };
}
