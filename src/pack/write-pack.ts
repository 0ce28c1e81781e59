/** @file Writes the file of a pack: header, structure, sections of tensors, checksums. */

import { assert, EspalierError } from "../errors.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import type { Steps } from "../tensor/steps.ts";
import { codeBytes } from "./coding/byte-code.ts";
import { pushVarint } from "./coding/byte-io.ts";
import { RangeEncoder } from "./coding/range-encoder.ts";
import {
  largestCodedStructure,
  largestOutput,
  magic,
  outputPerByte,
  version,
} from "./file/container.ts";
import { crc32 } from "./file/crc32.ts";
import { writeDirectory } from "./file/directory.ts";
import { codeTensor, Models } from "./file/tensor-code.ts";
import { type Choice, Chooser, type Draft } from "./quantising/choose.ts";

/** A written pack. */
export interface WrittenPack {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of the coded structure, the directory included. */
  readonly structureBytes: number;
  /** How each tensor was coded, in order. */
  readonly choices: readonly Choice[];
}

/** A section as it will be written, and how many bytes come out of it. */
interface Section {
  readonly coded: Uint8Array;
  readonly output: number;
}

/** Lays out a model: `structure` with the tensors put in at their gaps. A step for each tensor. */
export function* writePack(
  structure: Uint8Array,
  drafts: readonly Draft[],
  outputBytes: number,
): Steps<WrittenPack> {
  const models = new Models();
  const chooser = new Chooser();
  const choices: Choice[] = [];
  const begun: { readonly encoder: RangeEncoder; output: number }[] = [];
  for (const [done, draft] of drafts.entries()) {
    yield { step: "coding", done, total: drafts.length };
    if (draft.beginsSection) begun.push({ encoder: new RangeEncoder(), output: 0 });
    const section = begun.at(-1);
    assert(section !== undefined, "the first tensor begins a section");
    const choice = chooser.best(draft, models);
    choices.push(choice);
    codeTensor(section.encoder, models, choice.entry, choice.parts);
    section.output += draft.count * draft.width;
  }

  const directory = writeDirectory(choices.map(({ entry }) => entry));
  const plain = concatBytes([Uint8Array.from(directory), structure]);
  const coded = codedStructure(plain);
  const sections: readonly Section[] = [
    { coded, output: plain.length },
    ...begun.map(({ encoder, output }) => ({ coded: encoder.finish(), output })),
  ];
  const filling = fillingFor(sections);
  const numbers: number[] = [];
  for (const value of [
    outputBytes,
    plain.length,
    filling,
    ...sections.map((section) => section.coded.length),
  ])
    pushVarint(numbers, value);
  const { length } = numbers;
  if (length > 65535) throw new EspalierError("MODEL_TOO_LARGE", "The model has too many tensors.");
  const header = Uint8Array.of(...magic, version, length & 255, length >> 8, ...numbers);
  return {
    bytes: withChecksum(
      concatBytes(
        [header, new Uint8Array(filling), ...sections.map((section) => section.coded)].map(
          withChecksum,
        ),
      ),
    ),
    structureBytes: coded.length,
    choices,
  };
}

/** Bytes to put before the sections, so that none announces more than the bytes up to its end can hold. */
function fillingFor(sections: readonly Section[]): number {
  let [announced, known, filling] = [0, 0, 0];
  for (const { output, coded } of sections) {
    announced += output;
    known += coded.length + checksumBytes;
    const missing = (announced - largestOutput(known)) / outputPerByte;
    filling = Math.max(filling, Math.ceil(missing));
  }
  return filling;
}

/** The structure, coded; as it is where that is shorter, or where coding would take too long. */
function codedStructure(plain: Uint8Array): Uint8Array {
  if (plain.length > largestCodedStructure) return plain;
  const encoder = new RangeEncoder();
  codeBytes(encoder, plain);
  const coded = encoder.finish();
  return coded.length < plain.length ? coded : plain;
}

const checksumBytes = 4;

/** The bytes, and their CRC-32, least significant byte first. */
function withChecksum(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length + checksumBytes);
  out.set(bytes);
  new DataView(out.buffer).setUint32(bytes.length, crc32(bytes), true);
  return out;
}
