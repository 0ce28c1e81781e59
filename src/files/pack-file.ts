/** @file Packs on disk, as the pieces that the decoder takes. */
import { createReadStream } from "node:fs";
import { fileError } from "./file-error.ts";
import { requireRegular } from "./plain-file.ts";

/** The bytes of a file, piece by piece. Fails with `FILE_UNREADABLE`. */
export async function* readPackFile(path: string): AsyncGenerator<Uint8Array> {
  await requireRegular(path);
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 18 })) yield piece;
  } catch (cause) {
    throw fileError(`read ${path}`, path, cause);
  }
}
