/** @file The only error that the decoder throws for what is wrong with a pack. */

/** Why a pack could not be unpacked. */
export type UnpackErrorCode =
  /** The bytes do not begin as a pack does. */
  | "NOT_A_PACK"
  /** The pack is of a version that this decoder does not know. */
  | "UNKNOWN_VERSION"
  /** The bytes end too early. */
  | "TRUNCATED"
  /** A checksum is wrong, or the contents contradict each other. */
  | "DAMAGED"
  /** What would come out is larger than is allowed, or than such a pack can hold. */
  | "TOO_LARGE";

/** The others: it went wrong on its way. */
const hints: Readonly<Partial<Record<UnpackErrorCode, string>>> = {
  NOT_A_PACK: "Give a packed file.",
  UNKNOWN_VERSION: "Use a newer Espalier.",
  TOO_LARGE: "Raise maxBytes if you trust it.",
};

/** A pack that cannot be unpacked. */
export class UnpackError extends Error {
  override readonly name = "UnpackError";
  readonly code: UnpackErrorCode;
  /** What can be done about it, as one sentence. */
  readonly hint: string;

  constructor(code: UnpackErrorCode, message: string) {
    super(message);
    this.code = code;
    this.hint = hints[code] ?? "Download it again.";
  }
}

/** What `make` takes memory for, within the bounds: `TOO_LARGE` where this machine has less. */
export function allocated<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof RangeError ? new UnpackError("TOO_LARGE", error.message) : error;
  }
}

/** The error for contents that no packer writes. */
export function damage(what = "it contradicts itself"): UnpackError {
  return new UnpackError("DAMAGED", `The pack is damaged: ${what}.`);
}
