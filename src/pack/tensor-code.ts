/** @file Codes one tensor: its support, its values and what they need, in the order of the file. */
import type { Coder } from "./coder.ts";
import type { Entry } from "./directory.ts";
import { codeNumbers, freshNumberStates } from "./number-code.ts";
import { codePlanes, freshPlaneStates, turn } from "./plane-code.ts";
import { codeSupport, SupportModel } from "./support-code.ts";
import { UnpackError } from "./unpack-error.ts";

/** What coding learns from tensor to tensor. */
export class Models {
  readonly support = new SupportModel();
  readonly numbers = freshNumberStates();
  readonly planes = freshPlaneStates();

  /** Takes over what others have learnt. */
  copy(other: Models): void {
    this.support.copy(other.support);
    this.numbers.set(other.numbers);
    this.planes.set(other.planes);
  }
}

/** The contents of a tensor as they are coded; which there are, its entry tells. */
export interface Parts {
  /** 1 where an element is not zero; `undefined` where the support is dense. */
  readonly mask: Uint8Array | undefined;
  /** Codes, or places in the table relative to `zero`. Empty for planes. */
  readonly numbers: Int32Array;
  /** Each row's power of two; empty where there are none. */
  readonly shifts: Int32Array;
  /** Elements, or those of the table, turned where the entry says so. Empty for steps. */
  readonly bytes: Uint8Array;
}

/** Room for what an entry announces; `readDirectory` has bounded it. */
export function emptyParts(entry: Entry): Parts {
  const { count, row, width, support, values } = entry;
  const elements = values.kind === "planes" ? count : values.kind === "table" ? values.size : 0;
  return {
    mask: support === "dense" ? undefined : new Uint8Array(count),
    numbers: new Int32Array(values.kind === "planes" ? 0 : count),
    shifts: new Int32Array(values.kind === "steps" && values.hasShifts ? count / row : 0),
    bytes: new Uint8Array(elements * width),
  };
}

/** What a tensor costs by part, in the unit of `measure`. */
export interface TensorCost {
  readonly support: number;
  readonly tables: number;
  readonly codes: number;
}

/** Codes a tensor; a decoder fills `parts`. `measure`, asked between the parts, gives their cost. */
export function codeTensor(
  coder: Coder,
  models: Models,
  entry: Entry,
  parts: Parts,
  measure: () => number = () => 0,
): TensorCost {
  const { values } = entry;
  const { mask, numbers, shifts, bytes } = parts;
  const start = measure();
  if (mask !== undefined) codeSupport(coder, entry.support, models.support, entry, mask);
  const supported = measure();
  if (values.kind === "table") codePlanes(coder, models.planes, values.planes, bytes, undefined);
  if (shifts.length > 0)
    codeNumbers(coder, models.numbers, "shifts", { ...entry, row: 1 }, shifts, undefined);
  const tabled = measure();
  if (values.kind === "planes") codePlanes(coder, models.planes, values.planes, bytes, mask);
  else codeNumbers(coder, models.numbers, mask ? "sparse" : "dense", entry, numbers, mask);
  return { support: supported - start, tables: tabled - supported, codes: measure() - tabled };
}

/** The tensor's elements as the model's file holds them: `count` · `width` bytes. */
export function elementsOf(entry: Entry, parts: Parts): Uint8Array {
  const { values, width } = entry;
  if (values.kind === "steps") return stepped(entry, values.step, parts);
  const bytes = parts.bytes.slice();
  if (values.isTurned) turn(bytes, width, false);
  return values.kind === "planes" ? bytes : looked(entry, values.zero, bytes, parts);
}

/** round32(code · (step · 2^shift)), where the product in brackets is rounded to float32 too. */
function stepped(entry: Entry, step: number, { numbers, shifts }: Parts): Uint8Array {
  const out = new Float32Array(numbers.length);
  if (shifts.length === 0) for (let i = 0; i < out.length; i++) out[i] = numbers[i] * step;
  for (let r = 0, i = 0; r < shifts.length; r++) {
    const own = Math.fround(step * 2 ** shifts[r]);
    for (let end = i + entry.row; i < end; i++) out[i] = numbers[i] * own;
  }
  return new Uint8Array(out.buffer);
}

function looked(
  { width, count }: Entry,
  zero: number,
  table: Uint8Array,
  { numbers, mask }: Parts,
): Uint8Array {
  const size = table.length / width;
  const out = new Uint8Array(count * width);
  for (let i = 0; i < count; i++) {
    if (mask !== undefined && mask[i] === 0) continue;
    const place = numbers[i] + zero;
    if (place < 0 || place >= size)
      throw new UnpackError("DAMAGED", "A code of the pack lies outside its table.");
    for (let k = 0; k < width; k++) out[i * width + k] = table[place * width + k];
  }
  return out;
}
