/** @file A folder for the tests of one file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A new folder, which is gone when the tests of the file are over. */
export function scratchFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `espalier-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}
