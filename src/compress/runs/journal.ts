/**
 * @file What a run has decided and measured so far. Work is done once: a resumed run reads its result
 * instead, so the pipeline is written as straight code, and every place in it can be come back to.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { writeAtomically } from "../../files/model-file.ts";
import { clearLeftovers } from "../../files/tensor-file.ts";

const stored = z.strictObject({
  version: z.literal(1),
  /** Seconds of work behind these entries, over all sessions of the run. */
  seconds: z.number(),
  entries: z.record(z.string(), z.unknown()),
});

/** Results by the name of the work that gave them. */
export class Journal {
  readonly #path: string;
  readonly #entries: Map<string, unknown>;
  readonly #clock: () => number;
  #seconds: number;
  #since: number;

  private constructor(
    path: string,
    entries: Map<string, unknown>,
    clock: () => number,
    seconds: number,
  ) {
    this.#path = path;
    this.#entries = entries;
    this.#clock = clock;
    this.#seconds = seconds;
    this.#since = clock();
  }

  /** Reads the journal; an empty one where there is no file. Fails with `RUN_INVALID`. */
  static async open(path: string, clock: () => number = () => performance.now()): Promise<Journal> {
    await clearLeftovers(path);
    const text = await readFile(path, "utf8").catch((cause: unknown) => {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
      throw damaged(path, cause);
    });
    if (text === undefined) return new Journal(path, new Map(), clock, 0);
    const { entries, seconds } = parse(path, text);
    return new Journal(path, new Map(Object.entries(entries)), clock, seconds);
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
   */
  async once<T>(name: string, schema: z.ZodType<T>, work: () => Promise<T> | T): Promise<T> {
    if (this.#entries.has(name)) {
      const parsed = schema.safeParse(this.#entries.get(name));
      if (parsed.success) return parsed.data;
      throw damaged(this.#path, parsed.error);
    }
    // Through text, so that a first and a later reading cannot differ.
    const result = schema.parse(JSON.parse(JSON.stringify(await work())));
    for (const other of [...this.#entries.keys()])
      if (other.startsWith(`${name}/`)) this.#entries.delete(other);
    this.#entries.set(name, result);
    await this.#write();
    return result;
  }

  /** Puts the seconds of work so far on record: a run that is stopped has spent them all the same. */
  async keepTime(): Promise<void> {
    if (!this.isEmpty) await this.#write();
  }

  async #write(): Promise<void> {
    this.#seconds = this.seconds;
    this.#since = this.#clock();
    const value: z.output<typeof stored> = {
      ...{ version: 1, seconds: this.#seconds },
      entries: Object.fromEntries(this.#entries),
    };
    await writeAtomically(this.#path, [
      new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`),
    ]);
  }
}

function parse(path: string, text: string): z.output<typeof stored> {
  try {
    return stored.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function damaged(path: string, cause: unknown): EspalierError {
  return new EspalierError("RUN_INVALID", `${path} is damaged`, {
    hint: "It was changed, or written by another version: begin a new run.",
    data: { path },
    cause,
  });
}
