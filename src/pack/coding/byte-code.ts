/**
 * @file Codes bytes that are mostly names and protobuf: the structure of a model. Each bit is predicted
 * from the last 1, 2, 3, 4 and 6 bytes, and from what followed when the same bytes occurred before; a
 * mixer weighs these. A short specimen of such bytes comes first, and is learnt on both sides.
 */
import { type Coder, eager } from "./coder.ts";
import { Mixer } from "./mixer.ts";
import { specimen } from "./specimen.ts";

/** Orders of the contexts, in bytes. */
const orders = [1, 2, 3, 4, 6];
/** Where the predictions from the match lie behind them. */
const byExpected = orders.length;
const byMatch = byExpected + 1;
/** Bytes that must agree before what followed is believed. */
const matchLength = 6;
const mostConfident = 15;

/** Codes all of `own`; a decoder fills them. */
export function codeBytes(coder: Coder, own: Uint8Array): void {
  const known = specimen.length;
  const bytes = new Uint8Array(known + own.length);
  bytes.set(specimen);
  bytes.set(own, known);
  const tableBits = Math.max(12, Math.min(18, 32 - Math.clz32(16 * bytes.length)));
  const mixer = new Mixer(byMatch + 1, byMatch * 2 ** tableBits + 1024, 272, 40, eager);
  const bases = new Int32Array(byMatch);
  const lastSeen = new Int32Array(2 ** 16).fill(-1);
  /** The place that is believed to repeat, how many bytes it has been right, and its last errors. */
  let match = -1;
  let matched = 0;
  let misses = 0;
  for (let i = 0; i < bytes.length; i++) {
    const source = i < known ? teacher : coder;
    for (let k = 0; k < byExpected; k++) bases[k] = hashOf(bytes, i, orders[k]);
    const expected = match < 0 ? -1 : bytes[match];
    const confidence = Math.min(matched, mostConfident);
    bases[byExpected] = Math.imul(
      ((expected + 1) << 10) + ((confidence >> 2) << 8) + (i > 0 ? bytes[i - 1] : 0),
      0x3d4d51cb,
    );
    let node = 1;
    for (let shift = 7; shift >= 0; shift--) {
      for (let k = 0; k < byMatch; k++)
        mixer.at[k] =
          (k << tableBits) + (Math.imul(bases[k] + node, 0x9e3779b1) >>> (32 - tableBits));
      const isLikely = expected >= 0 && (expected | 256) >> (shift + 1) === node;
      mixer.at[byMatch] =
        (byMatch << tableBits) +
        (isLikely ? 512 + confidence * 16 + (misses & 7) * 2 + ((expected >> shift) & 1) : node);
      const set = isLikely ? 256 + confidence : node;
      node = 2 * node + mixer.code(source, set, (bytes[i] >> shift) & 1);
    }
    bytes[i] = node;
    if (match >= 0) {
      const isHit = bytes[match++] === bytes[i];
      matched = isHit ? matched + 1 : 0;
      misses = (misses << 1) | (isHit ? 0 : 1);
      // After a byte that differs what follows often agrees again; after eight it does not.
      if ((misses & 255) === 255) match = -1;
    }
    const place = hashOf(bytes, i + 1, matchLength) >>> 16;
    if (match < 0 || matched === 0) {
      const found = lastSeen[place];
      const length = found < 0 ? 0 : agreeing(bytes, found, i + 1);
      if (length >= matchLength) {
        match = found;
        matched = length;
        misses = 0;
      }
    }
    lastSeen[place] = i + 1;
  }
  own.set(bytes.subarray(known));
}

/** A coder for what both sides know: every bit is as it is, and costs nothing. */
const teacher: Pick<Coder, "chance"> = { chance: (_p, bit) => bit };

/** How many bytes before `a` equal those before `b`, up to 32. */
function agreeing(bytes: Uint8Array, a: number, b: number): number {
  let length = 0;
  while (length < 32 && length < a && bytes[a - 1 - length] === bytes[b - 1 - length]) length++;
  return length;
}

/** A hash of the `order` bytes before `end`; before the first byte there are zeros. */
function hashOf(bytes: Uint8Array, end: number, order: number): number {
  let hash = Math.imul(order + 1, 0x2f0b4c47);
  for (let k = 1; k <= order; k++)
    hash = Math.imul(hash + (end >= k ? bytes[end - k] : 0) + 1, 0x2c1b3c6d) ^ (hash >>> 15);
  return hash;
}
