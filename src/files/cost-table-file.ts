/** @file Cost tables on disk: files that users name, and a cache of this machine's own tables. */
import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "../errors.ts";
import type { CostSource, CostTable } from "../structure/timing/cost-table.ts";
import { costsToCsv, costsToJson, parseCosts } from "../structure/timing/cost-table-text.ts";
import { fileError } from "./file-error.ts";
import { writeAtomically } from "./model-file.ts";
import { requireRegular } from "./plain-file.ts";

const largestTable = 2 ** 26;

/** Reads a table, JSON or CSV. Throws `FILE_UNREADABLE` and `COSTS_INVALID`. */
export async function loadCosts(path: string): Promise<CostTable> {
  const text = await readText(path);
  try {
    return parseCosts(text);
  } catch (error) {
    if (!(error instanceof EspalierError) || error.code !== "COSTS_INVALID") throw error;
    const { message, hint, data } = error;
    throw new EspalierError("COSTS_INVALID", `${path} is ${message}`, {
      hint,
      data: { ...data, path },
      cause: error,
    });
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    await requireRegular(path);
    if (size > largestTable)
      throw new EspalierError("COSTS_INVALID", `${path} has ${size} bytes; that is no cost table`, {
        data: { path },
      });
    return await readFile(path, "utf8");
  } catch (cause) {
    throw fileError(`read the cost table ${path}`, path, cause);
  }
}

/** Writes a table: as CSV where the name ends in `.csv`, else as JSON. The file appears whole or not at all. */
export async function saveCosts(path: string, table: CostTable): Promise<void> {
  const text = path.toLowerCase().endsWith(".csv") ? costsToCsv(table) : costsToJson(table);
  await writeAtomically(path, [new TextEncoder().encode(text)]);
}

/** The folder of cached tables: below `XDG_CACHE_HOME`, by default `~/.cache`. */
function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const { XDG_CACHE_HOME: own } = environment;
  const base = own === undefined || own === "" ? join(homedir(), ".cache") : own;
  return join(base, "espalier", "costs");
}

/** Where the table of a machine, engine, provider and number of threads is cached. */
export function cachedCostsPath(
  source: CostSource,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const { machine, engine, provider, threads } = source;
  const digest = createHash("sha256")
    .update(JSON.stringify([1, machine, engine, provider, threads]))
    .digest("hex")
    .slice(0, 24);
  return join(cacheFolder(environment), `${digest}.json`);
}

/** The cached table of a source; `undefined` where there is none, or none that can be used. */
export async function cachedCosts(source: CostSource): Promise<CostTable | undefined> {
  const path = cachedCostsPath(source);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  try {
    return await loadCosts(path);
  } catch (error) {
    // A cache may be of another version, or damaged: it is measured anew, and written over.
    if (error instanceof EspalierError && error.code === "COSTS_INVALID") return undefined;
    throw error;
  }
}

/** Caches a table under its source. */
export async function cacheCosts(table: CostTable): Promise<void> {
  const path = cachedCostsPath(table.source);
  try {
    await mkdir(join(path, ".."), { recursive: true });
  } catch (cause) {
    throw fileError(`make the folder of ${path}`, path, cause);
  }
  await saveCosts(path, table);
}
