/**
 * @file Codes elements bit for bit, as planes of bytes from the most significant down. Floats are turned
 * by one bit first, so that the exponent fills the first byte and the sign is the last bit.
 */
import { type Coder, freshStates } from "./coder.ts";

/** How a plane is coded: 8 bits as they are. */
const raw = 0;
/** An adaptive tree. */
const plain = 1;
/** A tree for each value of the low 4 bits of the same plane of the element before. */
const before = 2;
/** A tree for each value of the low 4 bits of the next more significant byte. */
const above = 3;

/** All forms. Those of all planes make one number: two bits each, the least significant plane lowest. */
export const planeForms = [raw, plain, before, above] as const;

const trees = 1 + 16;
const perPlane = trees * 256;
const mostPlanes = 8;

/** States for every plane. */
export function freshPlaneStates(): Int32Array<ArrayBuffer> {
  return freshStates(mostPlanes * perPlane);
}

/**
 * Codes elements of `width` bytes each, least significant first, in the forms `planes`, those that `mask`
 * (if any) does not leave out; a decoder fills them.
 */
export function codePlanes(
  coder: Coder,
  states: Int32Array,
  { width, planes }: { readonly width: number; readonly planes: number },
  bytes: Uint8Array,
  mask: Uint8Array | undefined,
): void {
  const last = new Uint8Array(width);
  for (let i = 0; i * width < bytes.length; i++) {
    if (mask?.[i] === 0) continue;
    let higher = 0;
    for (let plane = width - 1; plane >= 0; plane--) {
      const at = i * width + plane;
      const form = (planes >> (2 * plane)) & 3;
      if (form === raw) higher = coder.raw(bytes[at], 8);
      else {
        const tree = form === plain ? 0 : 1 + ((form === above ? higher : last[plane]) & 15);
        higher = codeByte(coder, states, plane * perPlane + tree * 256, bytes[at]);
      }
      bytes[at] = higher;
      last[plane] = higher;
    }
  }
}

function codeByte(coder: Coder, states: Int32Array, first: number, byte: number): number {
  let node = 1;
  for (let shift = 7; shift >= 0; shift--)
    node = 2 * node + coder.bit(states, first + node, (byte >> shift) & 1);
  return node & 255;
}

/** Turns every element right by one bit: what stands at the bottom becomes the sign again. */
export function turnBack(bytes: Uint8Array, width: number): void {
  for (let first = 0; first < bytes.length; first += width) {
    const last = first + width - 1;
    const sign = bytes[first] << 7;
    for (let k = first; k < last; k++) bytes[k] = (bytes[k] >> 1) | (bytes[k + 1] << 7);
    bytes[last] = (bytes[last] >> 1) | sign;
  }
}
