/** @file Codes one tensor: its support, its tables and its values, in the order of the file. */
import type { Coder } from "../coding/coder.ts";
import { codeNumbers, freshNumberStates } from "../coding/number-code.ts";
import { damage } from "../coding/pack-faults.ts";
import { codePlanes, freshPlaneStates, turnBack } from "../coding/plane-code.ts";
import { codeSupport, freshRunStates, freshSupportMixer } from "../coding/support-code.ts";
import type { Entry } from "./directory.ts";

/** What coding learns from tensor to tensor. */
export class Models {
  readonly support = freshSupportMixer();
  readonly runs = freshRunStates();
  readonly numbers = freshNumberStates();
  readonly planes = freshPlaneStates();
}

/** The contents of a tensor as they are coded; which there are, its entry tells. */
export interface Parts {
  /** 1 where an element is not zero; `undefined` where the support is dense. */
  readonly mask: Uint8Array | undefined;
  /** Each row's power of two; empty where there are none. */
  readonly shifts: Int16Array;
  /** Codes, or places in the table relative to `zero`. Empty for planes. */
  readonly numbers: Int16Array;
  /** Elements, or those of the table, turned where the entry says so. Empty for steps. */
  readonly bytes: Uint8Array;
}

/** Room for what an entry announces; `readDirectory` has bounded it. */
export function emptyParts({ count, row, width, support, values, hasShifts, size }: Entry): Parts {
  const isPlanes = values === "planes";
  return {
    mask: support === "dense" ? undefined : new Uint8Array(count),
    shifts: new Int16Array(hasShifts ? count / row : 0),
    numbers: new Int16Array(isPlanes ? 0 : count),
    bytes: new Uint8Array(values === "steps" ? 0 : width * (isPlanes ? count : size)),
  };
}

/** Codes a tensor; a decoder fills `parts`. */
export function codeTensor(coder: Coder, models: Models, entry: Entry, parts: Parts): void {
  for (const codePart of partCodes) codePart(coder, models, entry, parts);
}

type PartCode = (coder: Coder, models: Models, entry: Entry, parts: Parts) => void;

/** Support, tables, values: what a tensor consists of, in the order of the file. */
export const partCodes: readonly PartCode[] = [
  (coder, models, entry, { mask }) => {
    if (mask !== undefined) codeSupport(coder, entry.support, models, entry, mask);
  },
  (coder, { planes, numbers }, entry, { bytes, shifts }) => {
    if (entry.values === "table") codePlanes(coder, planes, entry, bytes, undefined);
    codeNumbers(coder, numbers, "shifts", 1, shifts, undefined);
  },
  (coder, models, entry, { bytes, numbers, mask }) => {
    if (entry.values === "planes") codePlanes(coder, models.planes, entry, bytes, mask);
    codeNumbers(coder, models.numbers, mask ? "sparse" : "dense", entry.row, numbers, mask);
  },
];

/** The tensor's elements as the model's file holds them: `count` · `width` bytes. Uses up `parts`. */
export function elementsOf(entry: Entry, { mask, shifts, numbers, bytes }: Parts): Uint8Array {
  const { values, width, count, row, step, zero } = entry;
  if (values === "steps") {
    const out = new Float32Array(count);
    for (let i = 0, own = step; i < count; i++) {
      // Exact, but where a hostile step leaves the range of float32.
      if (i % row === 0 && shifts.length > 0) own = Math.fround(step * 2 ** shifts[i / row]);
      out[i] = numbers[i] * own;
    }
    return new Uint8Array(out.buffer);
  }
  if (entry.isTurned) turnBack(bytes, width);
  if (values === "planes") return bytes;
  const out = new Uint8Array(count * width);
  for (let i = 0; i < count; i++) {
    if (mask?.[i] === 0) continue;
    const from = (numbers[i] + zero) * width;
    if (from < 0 || from >= bytes.length) throw damage();
    for (let k = 0; k < width; k++) out[i * width + k] = bytes[from + k];
  }
  return out;
}
