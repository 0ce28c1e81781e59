/** @file Writes the file of a pack: header, structure, sections of tensors, checksums. */

import { codeBytes } from "./byte-code.ts";
import { pushVarint } from "./byte-io.ts";
import { type Choice, Chooser, type Draft } from "./choose.ts";
import { largestCodedStructure, largestOutput, magic, version } from "./container.ts";
import { crc32 } from "./crc32.ts";
import { writeDirectory } from "./directory.ts";
import { RangeEncoder } from "./range-encoder.ts";
import { joined } from "./source.ts";
import { codeTensor, Models } from "./tensor-code.ts";

/** A written pack. */
export interface WrittenPack {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of the coded structure, the directory included. */
  readonly structureBytes: number;
  /** How each tensor was coded, in order. */
  readonly choices: readonly Choice[];
}

/** Lays out a model: `structure` with the tensors put in at their gaps. */
export function writePack(
  structure: Uint8Array,
  drafts: readonly Draft[],
  outputBytes: number,
): WrittenPack {
  const models = new Models();
  const chooser = new Chooser();
  const choices: Choice[] = [];
  const sections: Uint8Array[] = [];
  let encoder: RangeEncoder | undefined;
  for (const draft of drafts) {
    if (draft.beginsSection) {
      if (encoder !== undefined) sections.push(encoder.finish());
      encoder = new RangeEncoder();
    }
    const choice = chooser.best(draft, models);
    choices.push(choice);
    if (encoder !== undefined) codeTensor(encoder, models, choice.entry, choice.parts);
  }
  if (encoder !== undefined) sections.push(encoder.finish());

  const directory = writeDirectory(choices.map(({ entry }) => entry));
  const plain = joined(
    [Uint8Array.from(directory), structure],
    directory.length + structure.length,
  );
  const coded = codedStructure(plain);
  const tail = [withChecksum(coded), ...sections.flatMap(framed)];
  const tailBytes = tail.reduce((sum, part) => sum + part.length, 0);
  let filling = 0;
  while (largestOutput(tailBytes - (sections.at(-1)?.length ?? 0) + filling) < outputBytes)
    filling += 4096;

  const header: number[] = [...magic, version];
  for (const value of [outputBytes, plain.length, coded.length, sections.length, filling])
    pushVarint(header, value);
  const parts = [
    withChecksum(Uint8Array.from(header)),
    withChecksum(new Uint8Array(filling)),
    ...tail,
  ];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return {
    bytes: withChecksum(joined(parts, length)),
    structureBytes: coded.length,
    choices,
  };
}

/** Coded, or as it is where that is shorter or would take too long. */
function codedStructure(plain: Uint8Array): Uint8Array {
  if (plain.length > largestCodedStructure) return plain;
  const encoder = new RangeEncoder();
  codeBytes(encoder, plain);
  const coded = encoder.finish();
  return coded.length < plain.length ? coded : plain;
}

function framed(section: Uint8Array): readonly Uint8Array[] {
  const length: number[] = [];
  pushVarint(length, section.length);
  return [Uint8Array.from(length), withChecksum(section)];
}

/** The bytes, and their CRC-32, least significant byte first. */
function withChecksum(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length + 4);
  out.set(bytes);
  new DataView(out.buffer).setUint32(bytes.length, crc32(bytes), true);
  return out;
}
