/**
 * @file A run may have come from somebody else. What it holds must be its own: plain files, in folders of its
 * own. A link could lead anywhere, for reading and for writing.
 */
import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { EspalierError } from "../../errors.ts";
import { fileError, systemCode } from "../../files/file-error.ts";
import { externalLocationFor } from "../../files/model-file.ts";

/** More entries than this are in no run. */
const mostEntries = 100_000;

/** No ONNX file is larger; its weights may be, in a file beside it. */
const largestOriginal = 2 ** 31 - 1;

/**
 * No other file is larger than this many bytes and so many times the original: training keeps a few copies of the
 * weights, and predictions some numbers for each sample. A file with a hole takes no room, but ages to read.
 */
const [anySize, timesOriginal] = [2 ** 29, 64];

/** The parts of a run that are folders. */
export const runFolders = ["checkpoint", "rounds", "predictions"] as const;

/**
 * Fails with `RUN_INVALID` where a part of a run is a symbolic link, has a second name elsewhere, or is of another
 * kind than it must be. What else lies in the folder is nobody's business.
 *
 * @param original The network that the run began with.
 * @param files Paths of the other files of a run; they need not be there.
 */
export async function requireOwnFiles(
  run: string,
  original: string,
  files: readonly string[],
): Promise<void> {
  const begun = await requireKind(run, original, "file", largestOriginal);
  const weights = await lookAt(join(run, externalLocationFor(original)));
  const largest = anySize + timesOriginal * ((begun?.size ?? 0) + (weights?.size ?? 0));
  for (const path of files) await requireKind(run, path, "file", largest);
  let entries = 0;
  /** What lies in a folder of the run, each of which must be of one kind. */
  const partsOf = async (folder: string, kind: Part): Promise<readonly string[]> => {
    if ((await requireKind(run, folder, "folder")) === undefined) return [];
    const names = await namesIn(folder);
    entries += names.length;
    if (entries > mostEntries)
      throw new EspalierError("RUN_INVALID", `${run} holds more than ${mostEntries} files`, {
        hint: "No run does: this is not what `train` or `compress` made.",
        data: { run },
      });
    // Hidden ones are leftovers, and what systems put everywhere; no run reads them.
    const parts = names.filter((name) => !name.startsWith(".")).map((name) => join(folder, name));
    for (const part of parts) await requireKind(run, part, kind, largest);
    return parts;
  };
  for (const name of runFolders) {
    const inner = await partsOf(join(run, name), name === "rounds" ? "folder" : "file");
    if (name === "rounds") for (const round of inner) await partsOf(round, "file");
  }
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(cause) ?? "")) return undefined;
    throw fileError(`read ${path}`, path, cause);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    throw fileError(`read the folder ${folder}`, folder, cause);
  }
}

type Part = "file" | "folder";

/** What is there, if anything; fails where it is not of the kind that it must be, or a file that is too large. */
async function requireKind(
  run: string,
  path: string,
  expected: Part,
  largest = Number.POSITIVE_INFINITY,
): Promise<Stats | undefined> {
  const found = await lookAt(path);
  if (found === undefined) return undefined;
  const kind = kindOf(found);
  if (kind === "file" && found.size > largest)
    throw new EspalierError(
      "RUN_INVALID",
      `${relative(dirname(run), path)} has ${found.size} bytes; no such file of a run has more than ${largest}`,
      {
        hint: "It is not what the run wrote: put the file back as it was.",
        data: { run, path, size: found.size },
      },
    );
  if (kind === expected) return found;
  throw new EspalierError(
    "RUN_INVALID",
    `${relative(dirname(run), path)} is ${words[kind]}, not a ${expected} of the run's own`,
    {
      hint: "It may lead out of the folder, so nothing is read or written. If you trust where it leads, copy the run with what it leads to (cp -rL RUN COPY).",
      data: { run, path, kind },
    },
  );
}

type Kind = Part | "symbolic link" | "hard link" | "other";

const words: Readonly<Record<Kind, string>> = {
  file: "a file",
  folder: "a folder",
  "symbolic link": "a symbolic link",
  "hard link": "a file with a second name elsewhere (a hard link)",
  other: "a pipe, socket or device",
};

function kindOf(found: Stats): Kind {
  if (found.isSymbolicLink()) return "symbolic link";
  if (found.isDirectory()) return "folder";
  if (!found.isFile()) return "other";
  return found.nlink > 1 ? "hard link" : "file";
}
