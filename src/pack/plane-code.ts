/**
 * @file Codes elements bit for bit, as planes of bytes from the most significant down. Floats are turned
 * by one bit first, so that the exponent fills the first byte and the sign is the last bit.
 */
import { type Coder, freshStates } from "./coder.ts";

/**
 * How a plane is coded; the index is its number in the file. `raw`: 8 bits as they are; `plain`: an
 * adaptive tree; `before`: one for each value of the low 4 bits of the same plane of the element
 * before; `above`: one for each value of the low 4 bits of the next more significant byte.
 */
export const planeForms = ["raw", "plain", "before", "above"] as const;
export type PlaneForm = (typeof planeForms)[number];

const trees = 1 + 16;
const perPlane = trees * 256;
const mostPlanes = 8;

/** States for every plane. */
export function freshPlaneStates(): Int32Array<ArrayBuffer> {
  return freshStates(mostPlanes * perPlane);
}

/**
 * Codes elements of `forms.length` bytes each, the least significant byte (and form) first, those that
 * `mask` (if any) does not leave out; a decoder fills them.
 */
export function codePlanes(
  coder: Coder,
  states: Int32Array,
  forms: readonly PlaneForm[],
  bytes: Uint8Array,
  mask: Uint8Array | undefined,
): void {
  const width = forms.length;
  const before = new Uint8Array(width);
  const count = bytes.length / width;
  for (let i = 0; i < count; i++) {
    if (mask !== undefined && mask[i] === 0) continue;
    let above = 0;
    for (let plane = width - 1; plane >= 0; plane--) {
      const at = i * width + plane;
      const form = forms[plane];
      if (form === "raw") above = coder.raw(bytes[at], 8);
      else {
        const context =
          form === "plain" ? 0 : 1 + ((form === "above" ? above : before[plane]) & 15);
        above = codeByte(coder, states, plane * perPlane + context * 256, bytes[at]);
      }
      bytes[at] = above;
      before[plane] = above;
    }
  }
}

function codeByte(coder: Coder, states: Int32Array, first: number, byte: number): number {
  let node = 1;
  for (let shift = 7; shift >= 0; shift--)
    node = 2 * node + coder.bit(states, first + node, (byte >> shift) & 1);
  return node & 255;
}

/** Turns every element of 2, 4 or 8 bytes left by one bit (`left`), or back. */
export function turn(bytes: Uint8Array, width: number, left: boolean): void {
  for (let first = 0; first < bytes.length; first += width) {
    const last = first + width - 1;
    if (left) {
      const sign = bytes[last] >> 7;
      for (let k = last; k > first; k--) bytes[k] = (bytes[k] << 1) | (bytes[k - 1] >> 7);
      bytes[first] = (bytes[first] << 1) | sign;
    } else {
      const sign = bytes[first] & 1;
      for (let k = first; k < last; k++) bytes[k] = (bytes[k] >> 1) | (bytes[k + 1] << 7);
      bytes[last] = (bytes[last] >> 1) | (sign << 7);
    }
  }
}
