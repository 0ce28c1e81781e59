/** @file A digest of the samples: equal only for the same samples and labels in the same order. */
import { createHash } from "node:crypto";
import type { SampleTable } from "./table.ts";

/** SHA-256 over splits, labels and samples as they are stored. Names and places of files do not count. */
export async function digestOfSamples(tables: readonly SampleTable[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { split, images, labels, labelMaps } of tables) {
    const { isWhole, isVector, count } = images;
    hash.update(JSON.stringify({ split, isWhole, isVector, count, maps: labelMaps?.count }));
    if (labels !== undefined)
      hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength));
    for (const store of labelMaps === undefined ? [images] : [images, labelMaps])
      for (let i = 0; i < store.count; i++) hash.update(await store.bytesOf(i));
  }
  return hash.digest("hex");
}
