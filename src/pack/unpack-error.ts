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

const hints: Readonly<Record<UnpackErrorCode, string>> = {
  NOT_A_PACK: "Give a packed file.",
  UNKNOWN_VERSION: "Use a newer Espalier.",
  TRUNCATED: "Download it again.",
  DAMAGED: "Download it again.",
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
    this.hint = hints[code];
  }
}

/** The error for contents that no packer writes. */
export function damage(what = "it contradicts itself"): UnpackError {
  return new UnpackError("DAMAGED", `The pack is damaged: ${what}.`);
}
