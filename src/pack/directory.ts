/** @file The directory of a pack: what each tensor is, how it is coded, and where it belongs. */
import { ByteReader, pushFloat32, pushVarint } from "./byte-io.ts";
import type { Geometry } from "./geometry.ts";
import { type PlaneForm, planeForms } from "./plane-code.ts";
import { type SupportForm, supportForms } from "./support-code.ts";
import { UnpackError } from "./unpack-error.ts";

/** How the values of a tensor are coded. */
export type ValueForm =
  /** Bit for bit. `turned`: floats, turned by one bit. */
  | { readonly kind: "planes"; readonly isTurned: boolean; readonly planes: readonly PlaneForm[] }
  /** float32 codes · step; with shifts, each row's step is step · 2^shift. */
  | { readonly kind: "steps"; readonly step: number; readonly hasShifts: boolean }
  /** Places in a table of `size` elements, relative to place `zero`. */
  | {
      readonly kind: "table";
      readonly size: number;
      readonly zero: number;
      readonly isTurned: boolean;
      readonly planes: readonly PlaneForm[];
    };

/** One tensor. */
export interface Entry extends Geometry {
  /** Bytes of the structure that stand before it, behind the tensor before. */
  readonly gap: number;
  /** Bytes of an element: 1, 2, 4 or 8. */
  readonly width: number;
  readonly support: SupportForm;
  readonly values: ValueForm;
  /** True where the tensor is the first of a section. */
  readonly beginsSection: boolean;
}

const kinds = ["planes", "steps", "table"] as const;

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
  const flag = values.kind === "steps" ? values.hasShifts : values.isTurned;
  out.push(
    (31 - Math.clz32(width)) |
      (supportForms.indexOf(support) << 2) |
      (kinds.indexOf(values.kind) << 4) |
      (entry.beginsSection ? 64 : 0) |
      (flag ? 128 : 0),
  );
  pushVarint(out, gap);
  // The row as it is, and how many there are: most tensors have whole rows.
  pushVarint(out, kernel);
  pushVarint(out, row / kernel);
  pushVarint(out, count / row);
  if (values.kind === "steps") pushFloat32(out, values.step);
  else writePlanes(out, values.planes);
  if (values.kind !== "table") return;
  pushVarint(out, values.size);
  pushVarint(out, values.zero);
}

/** Two bits per plane, four planes to a byte. */
function writePlanes(out: number[], planes: readonly PlaneForm[]): void {
  for (let k = 0; k < planes.length; k += 4)
    out.push(
      planes
        .slice(k, k + 4)
        .reduce((sum, form, i) => sum | (planeForms.indexOf(form) << (2 * i)), 0),
    );
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
  const count = reader.varint();
  // An entry takes at least 6 bytes.
  if (count > bytes.length / 6) throw contradiction();
  const entries: Entry[] = [];
  let gaps = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const entry = readEntry(reader, outputBytes);
    if (i === 0 && !entry.beginsSection) throw contradiction();
    gaps += entry.gap;
    total += entry.count * entry.width;
    entries.push(entry);
  }
  const structure = reader.rest;
  if (gaps > structure.length || structure.length + total !== outputBytes) throw contradiction();
  return { entries, structure };
}

function readEntry(reader: ByteReader, outputBytes: number): Entry {
  const flags = reader.byte();
  const width = 1 << (flags & 3);
  const kind = kinds[(flags >> 4) & 3];
  const gap = reader.varint();
  const kernel = reader.varint();
  const row = kernel * reader.varint();
  const count = row * reader.varint();
  if (!(count > 0 && count * width <= outputBytes) || (kind === "steps" && width !== 4))
    throw contradiction();
  const values = readValues(reader, kind, flags >= 128, width);
  return {
    gap,
    width,
    count,
    row,
    kernel,
    support: supportForms[(flags >> 2) & 3],
    values,
    beginsSection: (flags & 64) !== 0,
  };
}

function readValues(
  reader: ByteReader,
  kind: (typeof kinds)[number] | undefined,
  flag: boolean,
  width: number,
): ValueForm {
  if (kind === "steps") return { kind, step: reader.float32(), hasShifts: flag };
  if (kind === undefined) throw contradiction();
  const planes = readPlanes(reader, width);
  if (kind === "planes") return { kind, isTurned: flag, planes };
  const size = reader.varint();
  const zero = reader.varint();
  if (size < 1 || size > largestTable || zero >= size) throw contradiction();
  return { kind, size, zero, isTurned: flag, planes };
}

/** Entries of the largest table. */
export const largestTable = 2 ** 14;

function readPlanes(reader: ByteReader, width: number): PlaneForm[] {
  const planes: PlaneForm[] = [];
  let byte = 0;
  for (let k = 0; k < width; k++) {
    if (k % 4 === 0) byte = reader.byte();
    planes.push(planeForms[(byte >> (2 * (k % 4))) & 3]);
  }
  return planes;
}

function contradiction(): UnpackError {
  return new UnpackError("DAMAGED", "The pack's directory contradicts itself.");
}
