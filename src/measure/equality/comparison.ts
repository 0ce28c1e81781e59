/** @file A smaller network and its reference, run on the same inputs as often as a judgement needs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "../../errors.ts";
import { fileError } from "../../files/file-error.ts";
import { saveModel } from "../../files/model-file.ts";
import type { ModelBytes } from "../../onnx/model.ts";
import { withOutputs } from "../../onnx/writing/with-outputs.ts";
import type { Optimization } from "../../runtime/protocol.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import type { ModelSource } from "../../runtime/values.ts";
import type { Place } from "../../structure/change/places.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, takeGrid, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { requireGoOn } from "../../tensor/steps.ts";
import { type Judgement, judge } from "./judgement.ts";

/** Tensors by name, for one run of a network. */
export type Feeds = ReadonlyMap<string, HostTensor>;

/** Values by name on every input. */
type Results = readonly Feeds[];

/** What is compared, and how. */
export interface Subjects {
  readonly reference: ModelBytes;
  readonly small: ModelBytes;
  readonly feeds: readonly Feeds[];
  /** What is fed instead where the reference cannot run `feeds`, which have other sizes. */
  readonly usualFeeds: readonly Feeds[];
  readonly tolerance: number;
  readonly options: Pick<SessionOptions, "threads" | "signal">;
}

/** A value, and how it was judged. */
export interface Judged {
  readonly name: string;
  readonly judgement: Judgement;
}

/**
 * Both networks. The reference counts as it is computed node by node; at what rounding does to it is looked only
 * where something differs.
 */
export class Comparison {
  readonly #subjects: Subjects;
  #feeds: readonly Feeds[];

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
    this.#feeds = subjects.feeds;
  }

  /** Outputs and inner tensors node by node, and outputs as the smaller network is shipped. */
  async judge(outputs: readonly string[], places: readonly Place[]) {
    const { reference, small } = this.#subjects;
    const expected = await this.#firstRun(places);
    const actual = await this.#firstRunOfSmall(places);
    const fused = await this.#run(small, "all");
    const judgeAll = (again: readonly Results[]) => ({
      exact: outputs.map((name) => this.#judged({ name, kept: [] }, expected, actual, again)),
      fused: outputs.map((name) => this.#judged({ name, kept: [] }, expected, fused, again)),
      inner: places.map((place) => this.#judged(place, expected, actual, again)),
    });
    const first = judgeAll([]);
    if ([...first.exact, ...first.fused, ...first.inner].every(isCalm)) return first;
    return judgeAll([await this.#run(reference, "all"), await this.#moved(places)]);
  }

  /** Inner tensors node by node. */
  async judgeInner(places: readonly Place[]): Promise<readonly Judged[]> {
    const { reference, small } = this.#subjects;
    const expected = await this.#run(reference, "disabled", places);
    const actual = await this.#run(small, "disabled", places);
    const judgeAll = (again: readonly Results[]) =>
      places.map((place) => this.#judged(place, expected, actual, again));
    const first = judgeAll([]);
    return first.every(isCalm) ? first : judgeAll([await this.#moved(places)]);
  }

  /** One value; runs of the reference that do not give it out say nothing of its rounding. */
  #judged(
    { name, kept }: Pick<Place, "name" | "kept">,
    expected: Results,
    actual: Results,
    again: readonly Results[],
  ): Judged {
    const ofReference = (results: Results) => results.map((values) => cut(values.get(name), kept));
    const series = {
      expected: ofReference(expected),
      actual: actual.map((values) => values.get(name)),
      again: again
        .filter((results) => results.every((values) => values.has(name)))
        .map(ofReference),
    };
    return { name, judgement: judge(series, this.#subjects.tolerance) };
  }

  /** The reference on inputs that are one step of their number format away. */
  #moved(places: readonly Place[]): Promise<Results> {
    return this.#run(this.#subjects.reference, "disabled", places, this.#feeds.map(stepped));
  }

  /** The reference on the feeds, or on those of the usual sizes where it knows no others. */
  async #firstRun(places: readonly Place[]): Promise<Results> {
    const { reference, feeds, usualFeeds } = this.#subjects;
    try {
      return await this.#run(reference, "disabled", places);
    } catch (error) {
      if (!isRefusal(error) || feeds === usualFeeds) throw error;
      this.#feeds = usualFeeds;
      return this.#run(reference, "disabled", places);
    }
  }

  /** The smaller network on the same feeds; what the reference can run, it must run, too. */
  async #firstRunOfSmall(places: readonly Place[]): Promise<Results> {
    const { small, usualFeeds } = this.#subjects;
    try {
      return await this.#run(small, "disabled", places);
    } catch (error) {
      if (!isRefusal(error) || this.#feeds === usualFeeds) throw error;
      await this.#run(small, "disabled", places, usualFeeds);
      throw new EspalierError(
        "VERIFY_FAILED",
        "the smaller network runs with one batch size only, the original with others, too",
        { data: { problem: error.message } },
      );
    }
  }

  #run(
    model: ModelBytes,
    optimization: Optimization,
    places: readonly Place[] = [],
    feeds = this.#feeds,
  ): Promise<Results> {
    const { threads, signal } = this.#subjects.options;
    return withSource(withOutputs(model, places), (source) =>
      withSession(source, { optimization, threads, signal }, async (session) => {
        const results: Feeds[] = [];
        for (const feed of feeds) {
          requireGoOn(signal);
          results.push(await session.run(feed));
        }
        return results;
      }),
    );
  }
}

function isRefusal(error: unknown): error is EspalierError {
  return error instanceof EspalierError && error.code === "RUNTIME_FAILED";
}

/** Whether a judgement needs no look at rounding. */
function isCalm({ judgement: { finding } }: Judged): boolean {
  return finding !== "different";
}

function cut(tensor: HostTensor | undefined, kept: Place["kept"]): HostTensor | undefined {
  const isCut = tensor?.shape.length === kept.length && kept.some((list) => list !== undefined);
  return isCut ? takeGrid(tensor, kept) : tensor;
}

/** Inputs whose numbers are one step of their format larger or smaller in magnitude, by turns. */
function stepped(feeds: Feeds): Feeds {
  return new Map(
    [...feeds].map(([name, tensor]) => {
      if (!isFloat(tensor.dtype)) return [name, tensor];
      const step = tensor.dtype.includes("16") ? 2 ** -10 : 2 ** -23;
      const values = toNumbers(tensor).map(
        (value, i) => value * (1 + (Math.imul(i, 0x9e3779b1) < 0 ? step : -step)),
      );
      return [name, tensorOf(tensor.dtype, tensor.shape, values)];
    }),
  );
}

/** A model in two files must be on disk for onnxruntime to load it. */
export async function withSource<T>(
  model: ModelBytes,
  use: (source: ModelSource) => Promise<T>,
): Promise<T> {
  if (model.external === undefined) return use(model.chunks);
  const folder = await mkdtemp(join(tmpdir(), "espalier-")).catch((cause: unknown) => {
    throw fileError(`make a folder in ${tmpdir()}`, tmpdir(), cause);
  });
  try {
    const path = join(folder, "model.onnx");
    await saveModel(path, model);
    return await use({ path });
  } finally {
    await rm(folder, { recursive: true });
  }
}
