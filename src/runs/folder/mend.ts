/** @file Cleans the folder of a run: removes leftovers of a sudden end, and a run that never began. */
import type { Dirent } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError, systemCode } from "../../files/file-error.ts";
import { dropHalfLine } from "../../files/plain-file.ts";
import { runFolders } from "./own-files.ts";
import { runPaths } from "./run-folder.ts";

/** Removes a run that never reached a checkpoint. */
export async function discardRun(run: string): Promise<void> {
  const { config, original, teacher, checkpoint, events } = runPaths(run);
  // What ended the run is the error to tell, not what could not be removed.
  for (const path of [config, original, teacher, events, dirname(checkpoint)])
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  await rmdir(run).catch(() => undefined); // what others put there stays
}

/**
 * Removes what a sudden end left half-written: temporary files, and the end of an event.
 * Fails with `FILE_UNREADABLE`.
 */
export async function mendRun(run: string): Promise<void> {
  try {
    const places = [run, ...runFolders.map((name) => join(run, name))];
    for (const [i, place] of places.entries())
      for (const entry of await entriesOf(place, i > 0))
        if (entry.isFile() && /^\..*\.tmp$/.test(entry.name))
          await rm(join(entry.parentPath, entry.name), { force: true });
  } catch (cause) {
    throw fileError(`tidy up ${run}`, run, cause);
  }
  await dropHalfLine(runPaths(run).events);
}

/** What lies in a folder, and under it; nothing where there is no folder. */
async function entriesOf(folder: string, recursive: boolean): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { recursive, withFileTypes: true });
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return [];
    throw cause;
  }
}
