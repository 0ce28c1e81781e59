/**
 * @file Seeded random numbers, the same on every platform.
 *
 * The generator is Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers:
 * As Easy as 1, 2, 3", SC 2011): block i of a stream is a bijection of the counter i under a 64-bit
 * key, so streams with other keys are independent. A seed and the keys of `split` are hashed to
 * that key with Philox itself as the compression function.
 */
import { assert } from "../errors.ts";
import { normalQuantile } from "./normal-quantile.ts";

/** What names a stream: a seed, a layer's name, an epoch. */
export type RandomKey = string | number;

/** A stream of random numbers. Each draw moves it on; `split` starts others and does not. */
export interface Random {
  /** A whole number in [0, 2^32). */
  uint32(): number;
  /** A number in [0, 1), a multiple of 2^-53. */
  uniform(): number;
  /** A standard normal number. */
  normal(): number;
  /** A whole number in [0, bound), without bias; bound is in [1, 2^32]. */
  integer(bound: number): number;
  /** Shuffles in place (Fisher and Yates) and returns its argument. */
  shuffle<T extends { readonly length: number; [index: number]: unknown }>(items: T): T;
  /** The numbers 0 .. length - 1 in random order. */
  permutation(length: number): Int32Array;
  /** [length] draws of `normal`. */
  normals(length: number): Float32Array<ArrayBuffer>;
  /** [length] draws of `uniform`, rounded to float32 (so 1 may occur). */
  uniforms(length: number): Float32Array<ArrayBuffer>;
  /** The stream of this name below this one. It depends on the names alone, not on what was drawn. */
  split(...keys: readonly RandomKey[]): Random;
}

type Word4 = readonly [number, number, number, number];
type Word2 = readonly [number, number];

/** The stream of a seed; keys split it at once. `-0` and `0` are one seed. */
export function randomOf(seed: RandomKey, ...keys: readonly RandomKey[]): Random {
  return streamOf([seed, ...keys].reduce<Word2>(childKey, [0, 0]));
}

function streamOf(key: Word2): Random {
  const block = new Uint32Array(4);
  let used = 4;
  let low = 0;
  let high = 0;

  const uint32 = (): number => {
    if (used === 4) {
      philoxInto(block, low, high, 0, 0, key);
      used = 0;
      low = (low + 1) >>> 0;
      if (low === 0) high = (high + 1) >>> 0;
    }
    return block[used++];
  };
  /** 53 random bits. */
  const bits53 = (): number => (uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6);
  const uniform = (): number => bits53() * 2 ** -53;
  // 52 bits and a half: never 0 or 1, where the quantile is infinite.
  const normal = (): number => normalQuantile((Math.floor(bits53() / 2) + 0.5) * 2 ** -52);
  const integer = (bound: number): number => {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, `a bound, got ${bound}`);
    // The last, incomplete run of `bound` numbers would favour small remainders.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let draw = uint32();
    while (draw >= limit) draw = uint32();
    return draw % bound;
  };
  const shuffle: Random["shuffle"] = (items) => {
    for (let i = items.length - 1; i > 0; i--) {
      const j = integer(i + 1);
      const item = items[i];
      items[i] = items[j];
      items[j] = item;
    }
    return items;
  };
  return {
    uint32,
    uniform,
    normal,
    integer,
    shuffle,
    permutation: (length) => shuffle(Int32Array.from({ length }, (_, i) => i)),
    normals: (length) => fill(length, normal),
    uniforms: (length) => fill(length, uniform),
    split: (...keys) => streamOf(keys.reduce<Word2>(childKey, key)),
  };
}

function fill(length: number, draw: () => number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = draw();
  return out;
}

const utf8 = new TextEncoder();

/** The key of the child `name`: its type, length and bytes, absorbed block by block. */
function childKey(key: Word2, name: RandomKey): Word2 {
  const isText = typeof name === "string";
  const bytes = isText ? utf8.encode(name) : numberBytes(name);
  const padded = new DataView(new ArrayBuffer(Math.ceil(bytes.length / 12) * 12));
  for (const [i, byte] of bytes.entries()) padded.setUint8(i, byte);
  // Counters of a stream end in a zero word and these blocks do not, so no stream meets a hash. The
  // first block tells text from number, and one length from another.
  let state = compress(key, [isText ? 1 : 2, bytes.length, 0, 1]);
  for (let at = 0; at < padded.byteLength; at += 12) {
    const words = [0, 4, 8].map((offset) => padded.getUint32(at + offset, true));
    state = compress(state, [words[0], words[1], words[2], 2]);
  }
  return state;
}

function numberBytes(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value, true);
  return new Uint8Array(view.buffer);
}

function compress(key: Word2, block: Word4): Word2 {
  const [a, b] = philox(block, key);
  return [a, b];
}

/** Philox 4x32-10 of a 128-bit counter under a 64-bit key, least significant words first. */
export function philox(counter: Word4, key: Word2): Word4 {
  const block = new Uint32Array(4);
  philoxInto(block, ...counter, key);
  return [block[0], block[1], block[2], block[3]];
}

/** {@link philox} into memory that is there: images and noise take millions of blocks. */
function philoxInto(
  block: Uint32Array,
  first: number,
  second: number,
  third: number,
  fourth: number,
  key: Word2,
): void {
  let c0 = first;
  let c1 = second;
  let c2 = third;
  let c3 = fourth;
  let k0 = key[0];
  let k1 = key[1];
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
}

/** The upper 32 bits of the 64-bit product of two 32-bit numbers, with the sign that `|` gives them. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  // Each sum of a product of halves and a carry fits into 32 bits; only its sign is lost.
  const middle = Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16);
  const cross = Math.imul(a0, b1) + (middle & 0xffff);
  return (Math.imul(a1, b1) + (middle >>> 16) + (cross >>> 16)) | 0;
}
