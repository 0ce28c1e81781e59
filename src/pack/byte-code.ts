/**
 * @file Codes bytes that are mostly names and protobuf: the structure of a model. Each bit is predicted
 * from the last 1, 2, 3, 4 and 6 bytes, from the place in a run of equal lengths, and from what
 * followed the last time that the same 5 bytes occurred; a mixer weighs these.
 */
import type { Coder } from "./coder.ts";
import { Mixer } from "./mixer.ts";

/** Orders of the contexts, in bytes. */
const orders = [0, 1, 2, 3, 4, 6];
const tableBits = 16;
/** Bytes that must agree before what followed is believed. */
const matchLength = 5;
const longestMatch = 31;

/** Codes all of `bytes`; a decoder fills them. */
export function codeBytes(coder: Coder, bytes: Uint8Array): void {
  const inputs = orders.length + 1;
  const table = 1 << tableBits;
  const mixer = new Mixer(inputs, table * orders.length + 2048, 512, 14);
  const bases = new Int32Array(orders.length);
  const lastSeen = new Int32Array(table).fill(-1);
  let match = -1;
  let matched = 0;
  for (let i = 0; i < bytes.length; i++) {
    for (let k = 0; k < orders.length; k++) bases[k] = hashOf(bytes, i, orders[k]);
    const expected = match >= 0 ? bytes[match] : -1;
    const value = bytes[i];
    let node = 1;
    for (let shift = 7; shift >= 0; shift--) {
      for (let k = 0; k < orders.length; k++)
        mixer.at[k] =
          (k << tableBits) + (Math.imul(bases[k] + node, 0x9e3779b1) >>> (32 - tableBits));
      const isMatching = expected >= 0 && (expected | 256) >> (shift + 1) === node;
      const next = isMatching ? (expected >> shift) & 1 : 0;
      const length = Math.min(matched, longestMatch);
      mixer.at[orders.length] =
        (orders.length << tableBits) + (isMatching ? 1024 + length * 2 + next : node);
      const set = isMatching ? 256 + Math.min(length, 15) : node;
      node = 2 * node + mixer.code(coder, set, (value >> shift) & 1);
    }
    bytes[i] = node & 255;
    matched = match >= 0 && bytes[match] === bytes[i] ? matched + 1 : 0;
    match = matched > 0 ? match + 1 : -1;
    if (i + 1 < matchLength) continue;
    const place = (hashOf(bytes, i + 1, matchLength) >>> 0) % table;
    if (match < 0) {
      match = lastSeen[place];
      while (
        match >= 0 &&
        matched < longestMatch &&
        match > matched &&
        bytes[match - 1 - matched] === bytes[i - matched]
      )
        matched++;
      if (matched < matchLength) {
        match = -1;
        matched = 0;
      }
    }
    lastSeen[place] = i + 1;
  }
}

/** A hash of the `order` bytes before `end`. */
function hashOf(bytes: Uint8Array, end: number, order: number): number {
  let hash = Math.imul(order + 1, 0x2f0b4c47);
  for (let k = 1; k <= order; k++)
    hash = Math.imul(hash + (end >= k ? bytes[end - k] : 0) + 1, 0x2c1b3c6d) ^ (hash >>> 15);
  return hash;
}
