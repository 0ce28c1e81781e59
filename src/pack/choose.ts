/** @file Which way a tensor is coded: every way that may pay is tried on a counter, the cheapest wins. */
import type { Entry, ValueForm } from "./directory.ts";
import type { Geometry } from "./geometry.ts";
import { codePlanes, freshPlaneStates, type PlaneForm, planeForms, turn } from "./plane-code.ts";
import { BitCounter } from "./range-encoder.ts";
import { supportForms } from "./support-code.ts";
import { codeTensor, Models, type Parts, type TensorCost } from "./tensor-code.ts";

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
      readonly codes: Int32Array;
      readonly shifts: Int32Array;
    }
  | { readonly kind: "table"; readonly table: Float32Array; readonly places: Int32Array };

/** A tensor and where it stands. */
export interface Draft extends Geometry {
  readonly gap: number;
  readonly width: number;
  readonly beginsSection: boolean;
  readonly content: Content;
}

/** Tables above this are not worth looking for. */
const mostDistinct = 1024;

/** Tries the ways to code a tensor, given what was learnt so far. */
export class Chooser {
  private readonly scratch = new Models();

  /** The cheapest way to code `draft` after `models`, which stay as they are. */
  best(draft: Draft, models: Models): Choice {
    const candidates = valueForms(draft).flatMap(({ values, parts }) => {
      const isZero = zerosOf(values, parts, draft);
      const mask = Uint8Array.from({ length: draft.count }, (_, i) => (isZero(i) ? 0 : 1));
      const hasZeros = mask.includes(0);
      return supportForms
        .filter((support) => support === "dense" || hasZeros)
        .map((support) => this.measured(draft, values, support, mask, parts, models));
    });
    return candidates.reduce((a, b) => (sumOf(b.cost) < sumOf(a.cost) ? b : a));
  }

  private measured(
    draft: Draft,
    values: ValueForm,
    support: Entry["support"],
    mask: Uint8Array,
    parts: Omit<Parts, "mask">,
    models: Models,
  ): Choice {
    const { content: _, ...place } = draft;
    const entry: Entry = { ...place, support, values };
    const own: Parts = { ...parts, mask: support === "dense" ? undefined : mask };
    this.scratch.copy(models);
    const counter = new BitCounter();
    const cost = codeTensor(counter, this.scratch, entry, own, () => counter.bits);
    return { entry, parts: own, cost };
  }
}

/** All bits of a tensor. */
export function sumOf({ support, tables, codes }: TensorCost): number {
  return support + tables + codes;
}

interface Form {
  readonly values: ValueForm;
  readonly parts: Omit<Parts, "mask">;
}

const none = { numbers: new Int32Array(0), shifts: new Int32Array(0), bytes: new Uint8Array(0) };

function valueForms({ content, width }: Draft): readonly Form[] {
  switch (content.kind) {
    case "steps": {
      const { step, codes, shifts } = content;
      const values = { kind: "steps", step, hasShifts: shifts.length > 0 } as const;
      return [{ values, parts: { ...none, numbers: codes, shifts } }];
    }
    case "table": {
      const { table, places } = content;
      return [tableForm(new Uint8Array(table.slice().buffer), places, width, true)];
    }
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
  if (isTurned) turn(bytes, width, true);
  const values = { kind: "planes", isTurned, planes: bestPlanes(bytes, width) } as const;
  return { values, parts: { ...none, bytes } };
}

function tableForm(table: Uint8Array, places: Int32Array, width: number, isFloat: boolean): Form {
  const { values, parts } = planesForm(table, width, isFloat);
  const size = table.length / width;
  const zero = placeOfZero(table, width);
  const { isTurned, planes } = values.kind === "planes" ? values : { isTurned: false, planes: [] };
  return {
    values: { kind: "table", size, zero, isTurned, planes },
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
): { readonly table: Uint8Array; readonly places: Int32Array } | undefined {
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
    places: Int32Array.from({ length: count }, (_, i) => placeOf.get(wordAt(i)) ?? 0),
  };
}

/** Which elements a support would leave out: those that decode to zero bits without it. */
function zerosOf(
  values: ValueForm,
  { numbers, bytes }: Omit<Parts, "mask">,
  { width }: Draft,
): (i: number) => boolean {
  switch (values.kind) {
    case "steps":
      return (i) => numbers[i] === 0;
    case "table": {
      const first = values.zero * width;
      const hasZero = bytes.subarray(first, first + width).every((byte) => byte === 0);
      return (i) => hasZero && numbers[i] === 0;
    }
    case "planes":
      return (i) => {
        for (let k = i * width; k < (i + 1) * width; k++) if (bytes[k] !== 0) return false;
        return true;
      };
    default:
      return values satisfies never;
  }
}

/** Elements by which planes are judged. */
const planeSample = 2 ** 15;

/** The cheapest form of each plane by itself, tried on the first elements. */
function bestPlanes(bytes: Uint8Array, width: number): readonly PlaneForm[] {
  const sample = bytes.slice(0, planeSample * width);
  const raw = new Array<PlaneForm>(width).fill("raw");
  return raw.map((_, plane) => {
    const costs = planeForms.map((form) => {
      const counter = new BitCounter();
      codePlanes(counter, freshPlaneStates(), raw.with(plane, form), sample, undefined);
      return counter.bits;
    });
    return planeForms[costs.indexOf(Math.min(...costs))];
  });
}
