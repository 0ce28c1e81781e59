/** @file Chooses the coding of a tensor: every promising way is tried on a counter, and the cheapest wins. */

import { bytesOf } from "../../tensor/host-tensor.ts";
import type { Geometry } from "../coding/geometry.ts";
import { codePlanes, freshPlaneStates, planeForms } from "../coding/plane-code.ts";
import { BitCounter } from "../coding/range-encoder.ts";
import { supportForms } from "../coding/support-code.ts";
import type { Coding, Entry } from "../file/directory.ts";
import { Models, type Parts, partCodes } from "../file/tensor-code.ts";

/** A tensor with the way in which it is to be coded. */
export interface Choice {
  readonly entry: Entry;
  readonly parts: Parts;
  /** Bits, as counted. */
  readonly cost: TensorCost;
}

/** What is to be coded, before the choice. */
export type Content =
  | { readonly kind: "exact"; readonly bytes: Uint8Array; readonly isFloat: boolean }
  | {
      readonly kind: "steps";
      readonly step: number;
      readonly codes: Int16Array;
      readonly shifts: Int16Array;
    }
  | { readonly kind: "table"; readonly table: Float32Array; readonly places: Int16Array };

/** A tensor and where it stands. */
export interface Draft extends Geometry {
  readonly gap: number;
  readonly width: number;
  readonly beginsSection: boolean;
  readonly content: Content;
}

/** Tables above this are not worth looking for. */
const mostDistinct = 1024;

/** What a tensor costs by part, in bits. */
export interface TensorCost {
  readonly support: number;
  readonly tables: number;
  readonly codes: number;
}

/** Tries the ways to code a tensor, given what was learnt so far. */
export class Chooser {
  readonly #scratch = new Models();

  /** The cheapest way to code `draft` after `models`, which stay as they are. */
  best(draft: Draft, models: Models): Choice {
    const { content, ...place } = draft;
    const choices = formsOf(content, place.width).flatMap(({ coding, parts }) => {
      const entry: Entry = { ...place, ...coding };
      const mask = supportOf(entry, parts);
      return supportForms
        .filter((support) => support === "dense" || mask.includes(0))
        .map((support) => {
          const own = { ...parts, mask: support === "dense" ? undefined : mask };
          return this.#measured({ ...entry, support }, own, models);
        });
    });
    return choices.reduce((a, b) => (sumOf(b.cost) < sumOf(a.cost) ? b : a));
  }

  #measured(entry: Entry, parts: Parts, models: Models): Choice {
    copyModels(models, this.#scratch);
    const [support, tables, codes] = partCodes.map((codePart) => {
      const counter = new BitCounter();
      codePart(counter, this.#scratch, entry, parts);
      return counter.bits;
    });
    return { entry, parts, cost: { support, tables, codes } };
  }
}

/** A way to code a draft that was not compared with any other. */
export function simplest({ content, ...place }: Draft): Pick<Choice, "entry" | "parts"> {
  const form =
    content.kind === "exact"
      ? { coding: anyCoding, parts: { ...noParts, bytes: content.bytes } }
      : formsOf(content, place.width)[0];
  return { entry: { ...place, ...form.coding }, parts: form.parts };
}

/** Lets `to` know what `from` has learnt. */
function copyModels(from: Models, to: Models): void {
  to.numbers.set(from.numbers);
  to.planes.set(from.planes);
  to.runs.set(from.runs);
  to.support.states.set(from.support.states);
  to.support.weights.set(from.support.weights);
}

/** All bits of a tensor. */
export function sumOf({ support, tables, codes }: TensorCost): number {
  return support + tables + codes;
}

interface Form {
  readonly coding: Coding;
  readonly parts: Parts;
}

const anyCoding: Coding = {
  support: "dense",
  values: "planes",
  hasShifts: false,
  step: 0,
  isTurned: false,
  planes: 0,
  size: 1,
  zero: 0,
};
const noParts: Parts = {
  mask: undefined,
  shifts: new Int16Array(0),
  numbers: new Int16Array(0),
  bytes: new Uint8Array(0),
};

function formsOf(content: Content, width: number): readonly Form[] {
  switch (content.kind) {
    case "steps": {
      const { step, codes, shifts } = content;
      const coding = { ...anyCoding, values: "steps", step, hasShifts: shifts.length > 0 } as const;
      return [{ coding, parts: { ...noParts, numbers: codes, shifts } }];
    }
    case "table":
      return [tableForm(bytesOf(content.table), content.places, width, true)];
    case "exact": {
      const { bytes, isFloat } = content;
      const found = tableOf(bytes, width, isFloat);
      const planes = planesForm(bytes, width, isFloat);
      return found === undefined
        ? [planes]
        : [planes, tableForm(found.table, found.places, width, isFloat)];
    }
    default:
      return content satisfies never;
  }
}

function planesForm(elements: Uint8Array, width: number, isFloat: boolean): Form {
  const isTurned = isFloat && width > 1;
  const bytes = elements.slice();
  if (isTurned) turn(bytes, width);
  const coding = { ...anyCoding, isTurned, planes: bestPlanes(bytes, width) };
  return { coding, parts: { ...noParts, bytes } };
}

function tableForm(table: Uint8Array, places: Int16Array, width: number, isFloat: boolean): Form {
  const { coding, parts } = planesForm(table, width, isFloat);
  const zero = placeOfZero(table, width);
  return {
    coding: { ...coding, values: "table", size: table.length / width, zero },
    parts: { ...parts, numbers: places.map((place) => place - zero) },
  };
}

/** The place of the zero element, or the middle where there is none. */
function placeOfZero(table: Uint8Array, width: number): number {
  const size = table.length / width;
  for (let place = 0; place < size; place++)
    if (table.subarray(place * width, (place + 1) * width).every((byte) => byte === 0))
      return place;
  return size >> 1;
}

/** The distinct elements in ascending order, where there are few enough to make a table. */
function tableOf(
  bytes: Uint8Array,
  width: number,
  isFloat: boolean,
): { readonly table: Uint8Array; readonly places: Int16Array } | undefined {
  const count = bytes.length / width;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const wordAt = (i: number): number | bigint =>
    width === 8
      ? view.getBigUint64(8 * i, true)
      : width === 4
        ? view.getUint32(4 * i, true)
        : width === 2
          ? view.getUint16(2 * i, true)
          : view.getUint8(i);
  const seen = new Map<number | bigint, number>();
  for (let i = 0; i < count; i++) {
    const word = wordAt(i);
    if (seen.has(word)) continue;
    seen.set(word, i);
    if (seen.size > mostDistinct || 2 * seen.size > count + 1) return undefined;
  }
  const half = 2n ** BigInt(8 * width - 1);
  // Signed whole numbers ascend from the least; floats from the least negative.
  const orderOf = (word: number | bigint): bigint => {
    const bits = BigInt(word);
    if (bits < half) return bits;
    return isFloat ? half - 1n - bits : bits - 2n * half;
  };
  const words = [...seen.keys()].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  const table = new Uint8Array(words.length * width);
  const placeOf = new Map<number | bigint, number>();
  for (const [place, word] of words.entries()) {
    const at = (seen.get(word) ?? 0) * width;
    table.set(bytes.subarray(at, at + width), place * width);
    placeOf.set(word, place);
  }
  return {
    table,
    places: Int16Array.from({ length: count }, (_, i) => placeOf.get(wordAt(i)) ?? 0),
  };
}

/** 1 for each element that is not the one of zero bits, which is what a decoder leaves. */
function supportOf(
  { count, width, values, zero }: Entry,
  { numbers, bytes }: Parts,
): Uint8Array<ArrayBuffer> {
  const isEmpty = (i: number): boolean => {
    for (let k = i * width; k < (i + 1) * width; k++) if (bytes[k] !== 0) return false;
    return true;
  };
  const mask = new Uint8Array(count);
  if (values === "planes") for (let i = 0; i < count; i++) mask[i] = isEmpty(i) ? 0 : 1;
  else if (values === "table" && !isEmpty(zero)) mask.fill(1);
  else for (let i = 0; i < count; i++) mask[i] = numbers[i] === 0 ? 0 : 1;
  return mask;
}

/** Elements by which planes are judged. */
const planeSample = 2 ** 15;

/** The cheapest form of each plane by itself, tried on the first elements. */
function bestPlanes(bytes: Uint8Array, width: number): number {
  const sample = bytes.slice(0, planeSample * width);
  let best = 0;
  for (let plane = 0; plane < width; plane++) {
    const costs = planeForms.map((form) => {
      const counter = new BitCounter();
      const planes = form << (2 * plane);
      codePlanes(counter, freshPlaneStates(), { width, planes }, sample, undefined);
      return counter.bits;
    });
    best |= costs.indexOf(Math.min(...costs)) << (2 * plane);
  }
  return best;
}

/** Turns every element left by one bit: the sign goes to the bottom, the exponent fills the top byte. */
function turn(bytes: Uint8Array, width: number): void {
  for (let first = 0; first < bytes.length; first += width) {
    const last = first + width - 1;
    const sign = bytes[last] >> 7;
    for (let k = last; k > first; k--) bytes[k] = (bytes[k] << 1) | (bytes[k - 1] >> 7);
    bytes[first] = (bytes[first] << 1) | sign;
  }
}
