/** @file The frame of a pack: the constants that both sides must agree on besides the coding. */

/** 0x89, then "ESP": the first byte tells a pack from text, and shows when a transfer stripped bits. */
export const magic = [0x89, 0x45, 0x53, 0x50] as const;

/** The version of the format; there is no other yet. */
export const version = 1;

/** A structure above this is stored as it is: coding it takes about a second per megabyte. */
export const largestCodedStructure = 2 ** 22;

/** Bytes of the smallest tensor that is taken out of the structure. A directory needs less for any tensor. */
export const leastTensor = 32;

/** Bytes of output that each byte of a pack may bring, beyond those that any pack may. */
export const outputPerByte = 4096;

/**
 * How large the output may be that has come out of the first `packed` bytes: no network comes near it, and a pack
 * of a few bytes cannot ask for gigabytes. The packer fills up packs that would.
 */
export function largestOutput(packed: number): number {
  return 2 ** 22 + outputPerByte * packed;
}
