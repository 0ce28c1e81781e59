/**
 * @file The journal of a run: its decisions and measurements so far. Work is done once: a resumed run reads its result
 * instead, so the pipeline is written as straight code, and every place in it can be come back to.
 *
 * It holds digests of itself, of the run's inputs, and of the files that each piece of work left: a run goes on from
 * unchanged files, or not at all.
 */
import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { writeAtomically } from "../../files/model-file.ts";
import { readPlainFile } from "../../files/plain-file.ts";
import { clearLeftovers } from "../../files/tensor-file.ts";

/** SHA-256 of files, by their paths in the run's folder. */
const digests = z.record(z.string(), z.string());
const common = {
  /** Seconds of work behind these entries, over all sessions of the run. */
  seconds: z.number(),
  entries: z.record(z.string(), z.unknown()),
};
const stored = z.discriminatedUnion("version", [
  // Version 0.1.0 wrote this form.
  z.strictObject({ version: z.literal(1), ...common }),
  z.strictObject({
    version: z.literal(2),
    ...common,
    /** Digests of the run's inputs. */
    origin: digests,
    /** Digests of the files that each piece of work left, by its name. */
    files: z.record(z.string(), digests),
    /** Digest of the whole record. */
    sha256: z.string(),
  }),
]);
type Digests = z.output<typeof digests>;

/** No journal is larger. */
const largestJournal = 2 ** 28;

/** How a journal is opened. */
export interface JournalOptions {
  /** The files that the run began with: they must be what they were when it began. */
  readonly origin?: readonly string[] | undefined;
  readonly clock?: (() => number) | undefined;
}

/** Results by the name of the work that gave them. */
export class Journal {
  readonly #path: string;
  readonly #entries: Map<string, unknown>;
  readonly #files: Map<string, Digests>;
  readonly #origin: Digests;
  readonly #clock: () => number;
  #seconds: number;
  #since: number;

  private constructor(
    path: string,
    { entries, files, origin, seconds }: Contents,
    clock: () => number,
  ) {
    this.#path = path;
    this.#entries = new Map(Object.entries(entries));
    this.#files = new Map(Object.entries(files));
    this.#origin = origin;
    this.#clock = clock;
    this.#seconds = seconds;
    this.#since = clock();
  }

  /**
   * Reads the journal; an empty one where there is no file. Fails with `RUN_INVALID`, and with
   * `CHECKPOINT_INVALID` where it, or what the run began with, is not as it was.
   */
  static async open(
    path: string,
    { origin: files = [], clock = () => performance.now() }: JournalOptions = {},
  ): Promise<Journal> {
    await clearLeftovers(path);
    const origin = await digestsOf(path, files);
    const bytes = await readPlainFile(path, largestJournal);
    if (bytes === undefined)
      return new Journal(path, { seconds: 0, entries: {}, origin, files: {} }, clock);
    const contents = parse(path, bytes.toString());
    for (const [name, digest] of files.length === 0 ? [] : Object.entries(contents.origin))
      if (origin[name] !== digest)
        throw changed(
          path,
          name,
          "Put it back as it was when the run began, or begin a new run: what was done so far was done with the other.",
        );
    return new Journal(path, { ...contents, origin }, clock);
  }

  /** Seconds of work so far, those of earlier sessions included as far as they were recorded. */
  get seconds(): number {
    return this.#seconds + (this.#clock() - this.#since) / 1000;
  }

  /** Whether nothing was recorded. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /**
   * The result of `work`, which is done only if the journal does not hold it. Files that the work
   * writes must be whole before it returns, and the same if it is done again. What it recorded under
   * `name/...` on its way is dropped when it is done.
   *
   * Fails with `CHECKPOINT_INVALID` where a file that the result speaks of is no longer what it was.
   *
   * @param filesOf The files that the result speaks of, as long as nothing later replaces them. Those that are
   * not there don't count.
   */
  async once<T>(
    name: string,
    schema: z.ZodType<T>,
    work: () => Promise<T> | T,
    filesOf: (result: T) => readonly string[] = () => [],
  ): Promise<T> {
    if (this.#entries.has(name)) {
      const parsed = schema.safeParse(this.#entries.get(name));
      if (!parsed.success) throw damaged(this.#path, parsed.error);
      await this.#requireUnchanged(name, filesOf(parsed.data));
      return parsed.data;
    }
    // Through text, so that a first and a later reading cannot differ.
    const result = schema.parse(JSON.parse(JSON.stringify(await work())));
    for (const names of [this.#entries, this.#files])
      for (const other of [...names.keys()]) if (other.startsWith(`${name}/`)) names.delete(other);
    this.#entries.set(name, result);
    const files = await digestsOf(this.#path, filesOf(result));
    if (Object.keys(files).length > 0) this.#files.set(name, files);
    await this.#write();
    return result;
  }

  async #requireUnchanged(name: string, paths: readonly string[]): Promise<void> {
    const known = this.#files.get(name);
    if (known === undefined || paths.length === 0) return;
    const now = await digestsOf(this.#path, paths);
    for (const [file, digest] of Object.entries(known))
      if (now[file] !== digest)
        throw changed(
          this.#path,
          file,
          `Put the file back as it was, or begin a new run. What was on record before "${name}" is whole, and can be used.`,
        );
  }

  /** Puts the seconds of work so far on record: a run that is stopped has spent them all the same. */
  async keepTime(): Promise<void> {
    if (!this.isEmpty) await this.#write();
  }

  async #write(): Promise<void> {
    this.#seconds = this.seconds;
    this.#since = this.#clock();
    const contents: Contents = {
      seconds: this.#seconds,
      entries: Object.fromEntries(this.#entries),
      origin: this.#origin,
      files: Object.fromEntries(this.#files),
    };
    await writeAtomically(this.#path, [new TextEncoder().encode(journalText(contents))]);
  }
}

/** The text of a journal with its digest. */
export function journalText(contents: Contents): string {
  const value = { version: 2, ...contents, sha256: digestOf(contents) };
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** The contents of a journal of any version. */
export interface Contents {
  readonly seconds: number;
  readonly entries: Readonly<Record<string, unknown>>;
  readonly origin: Digests;
  readonly files: Readonly<Record<string, Digests>>;
}

function parse(path: string, text: string): Contents {
  let found: z.output<typeof stored>;
  try {
    found = stored.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(path, cause);
  }
  const { seconds, entries } = found;
  if (found.version === 1) return { seconds, entries, origin: {}, files: {} };
  const contents = { seconds, entries, origin: found.origin, files: found.files };
  if (digestOf(contents) === found.sha256) return contents;
  throw new EspalierError("CHECKPOINT_INVALID", `${path} is not as it was written`, {
    hint: "Put it back as it was, or begin a new run. The networks in rounds/ are what the rounds left: each can be used, or pruned further.",
    data: { path },
  });
}

function digestOf({ seconds, entries, origin, files }: Contents): string {
  const text = JSON.stringify({ seconds, entries, origin, files });
  return createHash("sha256").update(text).digest("hex");
}

/** Digests of those files that are there, by their paths in the run's folder. */
async function digestsOf(journal: string, paths: readonly string[]): Promise<Digests> {
  const run = dirname(dirname(resolve(journal)));
  const found: Record<string, string> = {};
  for (const path of paths) {
    if (await isThere(path))
      found[relative(run, resolve(path)).replaceAll("\\", "/")] = await fileDigest(path);
  }
  return found;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function changed(journal: string, file: string, hint: string): EspalierError {
  const path = join(dirname(dirname(journal)), file);
  return new EspalierError(
    "CHECKPOINT_INVALID",
    `${path} is not what it was when the run put it on record`,
    { hint, data: { path } },
  );
}

function damaged(path: string, cause: unknown): EspalierError {
  return new EspalierError("RUN_INVALID", `${path} is damaged`, {
    hint: "It was changed, or written by another version: begin a new run.",
    data: { path },
    cause,
  });
}
