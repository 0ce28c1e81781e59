/** @file What a file holds, in a few characters. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { EspalierError } from "../errors.ts";

/** The SHA-256 of a file, in hexadecimal. Fails with `FILE_UNREADABLE`. */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch (cause) {
    throw new EspalierError("FILE_UNREADABLE", `Cannot read ${path}.`, { data: { path }, cause });
  }
  return hash.digest("hex");
}
