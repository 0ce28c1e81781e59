/** @file `unpack` as the library and the command line have it: its errors are `EspalierError`s. */
import { EspalierError } from "../errors.ts";
import { UnpackError } from "./coding/unpack-error.ts";
import type { PackSource } from "./file/source.ts";
import { type UnpackOptions, unpack } from "./unpack.ts";

/**
 * The ONNX file of a pack. Errors: `PACK_INVALID`, `PACK_TOO_LARGE`; `data.reason` has the decoder's own
 * code. Errors of the source pass through.
 */
export async function unpackChecked(
  source: PackSource,
  options: UnpackOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await unpack(source, options);
  } catch (cause) {
    if (!(cause instanceof UnpackError)) throw cause;
    const { code, message } = cause;
    const isLarge = code === "TOO_LARGE";
    const hint = isLarge ? "Raise `maxBytes` (--max-bytes) if you trust it." : cause.hint;
    const own = isLarge ? "PACK_TOO_LARGE" : "PACK_INVALID";
    throw new EspalierError(own, message, { hint, data: { reason: code }, cause });
  }
}
