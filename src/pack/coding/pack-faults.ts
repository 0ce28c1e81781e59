/** @file The errors of the decoder: everything that can be wrong with a pack. */
import { EspalierError } from "../../errors.ts";

/** Why bytes are no pack that can be unpacked: `data.reason` of `PACK_INVALID`. */
export type PackFault =
  /** The bytes do not begin as a pack does. */
  | "NOT_A_PACK"
  /** The pack is of a version that this decoder does not know. */
  | "UNKNOWN_VERSION"
  /** The bytes end too early. */
  | "TRUNCATED"
  /** A checksum is wrong, or the contents contradict each other. */
  | "DAMAGED";

/** `PACK_INVALID`, for one of the reasons. A pack that needs no other hint went wrong on its way. */
export function packFault(
  reason: PackFault,
  message: string,
  hint = "Download it again.",
): EspalierError {
  return new EspalierError("PACK_INVALID", message, { hint, data: { reason } });
}

/** `PACK_INVALID` for contents that no packer writes. */
export function damage(what = "it contradicts itself"): EspalierError {
  return packFault("DAMAGED", `The pack is damaged: ${what}.`);
}

/** `PACK_TOO_LARGE`: what would come out is larger than is allowed, or than such a pack can hold. */
export function tooLarge(message: string): EspalierError {
  return new EspalierError("PACK_TOO_LARGE", message, {
    hint: "Raise `maxBytes` if you trust it.",
  });
}

/** What `make` takes memory for, within the bounds: `PACK_TOO_LARGE` where this machine has less. */
export function allocated<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? tooLarge(error.message) : error;
  }
}
