/** @file Where the runs lie that mutated ones are made from: made once, for every process of a fuzz. */
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder of a fuzz, by the number of the process that watches it, which removes it in the end. */
export function baseFolder(watcher: number): string {
  return join(tmpdir(), `espalier-fuzz-runs-${watcher}`);
}
