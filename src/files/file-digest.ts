/** @file The digest of a file's contents. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { fileError } from "./file-error.ts";
import { requireRegular } from "./plain-file.ts";

/** The SHA-256 of a file, in hexadecimal. Fails with `FILE_UNREADABLE`. */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await requireRegular(path);
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch (cause) {
    throw fileError(`read ${path}`, path, cause);
  }
  return hash.digest("hex");
}
