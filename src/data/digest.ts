/** @file A digest of the samples: equal only for the same files and labels in the same order. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { EspalierError } from "../errors.ts";
import { reasonOf } from "./files.ts";
import type { RasterStore, SampleTable } from "./table.ts";

/** SHA-256 over splits, labels and the bytes of all files. Names and places of files do not count. */
export async function digestOfSamples(tables: readonly SampleTable[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { split, images, labels, labelMaps } of tables) {
    hash.update(JSON.stringify([split, images.count, labels?.length, labelMaps?.count]));
    if (labels !== undefined)
      hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength));
    for (const store of [images, labelMaps])
      for (const file of filesOf(store)) {
        try {
          for await (const chunk of createReadStream(file)) hash.update(chunk);
        } catch (cause) {
          const message = `${file}: ${reasonOf(cause)}`;
          throw new EspalierError("FILE_UNREADABLE", message, { data: { file }, cause });
        }
      }
  }
  return hash.digest("hex");
}

/** The files that hold the samples, each once, in the order of the samples. */
function filesOf(store: RasterStore | undefined): ReadonlySet<string> {
  const files = new Set<string>();
  for (let i = 0; i < (store?.count ?? 0); i++) files.add(store?.fileOf(i) ?? "");
  return files;
}
