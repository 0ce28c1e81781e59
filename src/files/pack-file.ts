/** @file Packs on disk, as the pieces that the decoder takes. */
import { createReadStream } from "node:fs";
import { EspalierError } from "../errors.ts";

/** The bytes of a file, piece by piece. Fails with `FILE_UNREADABLE`. */
export async function* readPackFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 18 })) yield piece;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    const why = code === "ENOENT" ? "no such file" : code;
    throw new EspalierError("FILE_UNREADABLE", `Cannot read ${path}: ${why}.`, {
      data: { path, code },
      cause,
    });
  }
}
