/**
 * @file Two networks on the same inputs: do they compute the same? At two optimisation levels of
 * ONNX Runtime, because its fusions have been wrong before, and before whatever may hide a difference.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "../errors.ts";
import { fileError } from "../files/file-error.ts";
import { saveModel } from "../files/model-file.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../onnx/read.ts";
import { withOutputs } from "../onnx/with-outputs.ts";
import type { ModelBytes } from "../onnx/write.ts";
import { isQuantised } from "../ops/ends.ts";
import { type ModelSource, type Optimization, withSession } from "../runtime/session.ts";
import type { Place, Places } from "../structure/places.ts";
import { isFloat } from "../tensor/dtype.ts";
import { type HostTensor, takeGrid, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomFeeds } from "./feeds.ts";
import { type Finding, findingWhenOptimised, type Judgement, judge } from "./judgement.ts";
import { requireRunnable } from "./run-size.ts";

/** One comparison. */
export interface VerificationCheck {
  /** The optimisation level, and the output or inner tensor compared. */
  readonly name: string;
  /**
   * Largest absolute difference, as a share of the range of the values on that input; 0 where rounding
   * explains it.
   */
  readonly maxError: number;
  /** What rounding alone moves in the reference, as a share of that range. */
  readonly noise: number;
  /**
   * What the comparison shows. "runtime": at this level ONNX Runtime computes the quantised network with
   * whole numbers, and otherwise than at the level where both are equal.
   */
  readonly finding: Finding | "runtime";
  /** Whether nothing speaks against the smaller network here. */
  readonly passed: boolean;
}

/** The result of a verification. */
export interface Verification {
  /** Whether all checks passed, and for every output something shows that both compute the same. */
  readonly passed: boolean;
  /** The largest error of all checks. */
  readonly maxError: number;
  /** Inputs that were run. */
  readonly samples: number;
  readonly tolerance: number;
  readonly checks: readonly VerificationCheck[];
  /**
   * Outputs whose values prove little, because they do not depend on the inputs tried, are empty or are whole
   * numbers; what they are computed from was compared instead.
   */
  readonly provesLittle: readonly { readonly output: string; readonly finding: Finding }[];
  /** Inner tensors that were compared, too. */
  readonly innerTensors: number;
}

/** What speaks against the smaller network, one clause each; none where it passed. */
export function problemsOf({
  passed,
  checks,
}: Pick<Verification, "passed" | "checks">): readonly string[] {
  const failed = checks
    .filter((check) => !check.passed)
    .map(({ name, maxError }) => `${name}: an error of ${maxError.toExponential(1)}`);
  return passed || failed.length > 0
    ? failed
    : ["no value that was compared depends on the inputs tried, so that nothing is proved"];
}

/** How to verify. */
export interface VerifyOptions {
  /** Random inputs (normal, of several spreads), default 3. */
  readonly samples?: number;
  readonly seed?: number;
  /** Further inputs: real data. */
  readonly feeds?: readonly ReadonlyMap<string, HostTensor>[];
  /** Largest error allowed; default 1e-4, for float16 and quantised networks 2e-2. */
  readonly tolerance?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

/**
 * Spreads of the random inputs. Networks take anything from normalised pixels to raw 0..255, and a
 * detector whose inputs are far too small says nothing but zeros, of which float noise is a large share.
 */
const scales = [1, 16, 255];

/** Elements of inner tensors that are compared at most on one input, and their number. */
const innerLimits = { elements: 2 ** 25, tensors: 64 };

type Feeds = ReadonlyMap<string, HostTensor>;

/**
 * Runs two networks with the original's inputs and outputs and compares what comes out. Where `places` are
 * given, what comes before saturating ends is compared as well, and what layers compute where outputs prove
 * little.
 * Errors: `RUNTIME_FAILED` when onnxruntime refuses one of them, `MODEL_TOO_LARGE`.
 */
export async function compareModels(
  original: Model,
  reference: ModelBytes,
  small: ModelBytes,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions = {},
  places: Places = { ends: new Map(), layers: [] },
): Promise<Verification> {
  const { graph } = original;
  requireRunnable(graph, dims);
  const { tolerance = defaultTolerance(graph) } = options;
  const feeds = feedsFor(graph, dims, options);
  const comparison = new Comparison({ reference, small, feeds, tolerance, options });
  const outputs = graph.outputs.map((name) => ({ name, kept: [] }));
  const ends = [...new Set([...places.ends.values()].flat())];

  const strict = await comparison.at("disabled", outputs, ends);
  const fused = await comparison.at("all", outputs, []);
  const judged = await comparison.judge(strict, fused);
  const isWhole = graph.nodes.some(isQuantised);
  const ofOutputs = judged.outputs.flatMap(({ name, levels: [exact, other] }) => [
    check(`optimization disabled, output "${name}"`, exact),
    check(`optimization all, output "${name}"`, {
      ...other,
      finding: findingWhenOptimised(exact.finding, other.finding, isWhole),
    }),
  ]);
  const nameInner = (name: string) => `optimization disabled, inner tensor "${name}"`;
  const ofEnds = judged.inner.map(({ name, judgement }) => check(nameInner(name), judgement));

  const isEqual = new Map(judged.inner.map(({ name, judgement }) => [name, judgement.finding]));
  const little = judged.outputs
    .map(({ name, levels: [{ finding }] }) => ({ output: name, finding }))
    .filter(({ finding }) => finding !== "equal" && finding !== "different");
  const isBacked = ({ output }: { readonly output: string }) =>
    (places.ends.get(output) ?? []).some(({ name }) => isEqual.get(name) === "equal");
  const needsLayers = !little.every(isBacked);
  const compared = new Set(ends);
  const others = places.layers.filter((place) => !compared.has(place));
  const layers = needsLayers ? withinLimits(others) : [];
  const ofLayers = (await comparison.inner(layers)).map(({ name, judgement }) =>
    check(nameInner(name), judgement),
  );
  const checks = [...ofOutputs, ...ofEnds, ...ofLayers];
  const inner = [...ofEnds, ...ofLayers];
  // Where no layer at all depends on the inputs, the network is constant, and so is the smaller one.
  const isWholeNetwork = layers.length > 0 && layers.length === others.length;
  const isShown =
    !needsLayers || isWholeNetwork || inner.some(({ finding }) => finding === "equal");
  return {
    passed: isShown && checks.every(({ passed }) => passed),
    maxError: checks
      .filter(({ finding }) => finding !== "runtime")
      .reduce((worst, { maxError }) => Math.max(worst, maxError), 0),
    samples: feeds.length,
    tolerance,
    checks,
    provesLittle: little,
    innerTensors: inner.length,
  };
}

function check(
  name: string,
  { maxError, noise, finding }: Omit<Judgement, "finding"> & Pick<VerificationCheck, "finding">,
): VerificationCheck {
  return { name, maxError, noise, finding, passed: finding !== "different" };
}

/** The last layers' places, as many as memory is for. */
function withinLimits(layers: readonly Place[]): readonly Place[] {
  let elements = 0;
  return layers
    .toReversed()
    .filter(({ size }, i) => {
      elements += size;
      return i < innerLimits.tensors && elements <= innerLimits.elements;
    })
    .toReversed();
}

/** Values by name on every input. */
type Results = readonly Feeds[];

/** A value to compare, and what the smaller network has of it. */
type Compared = Pick<Place, "name" | "kept">;

/** What both networks computed at one level. */
interface Level {
  readonly outputs: readonly Compared[];
  readonly ends: readonly Place[];
  readonly expected: Results;
  readonly actual: Results;
}

interface Subjects {
  readonly reference: ModelBytes;
  readonly small: ModelBytes;
  readonly feeds: readonly Feeds[];
  readonly tolerance: number;
  readonly options: VerifyOptions;
}

/** Both networks, run as often as the judgement needs. */
class Comparison {
  readonly #subjects: Subjects;

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
  }

  /** Both networks at one level. */
  async at(
    level: Optimization,
    outputs: readonly Compared[],
    ends: readonly Place[],
  ): Promise<Level> {
    const { reference, small, feeds, options } = this.#subjects;
    const expected = await outputsOf(withOutputs(reference, ends), feeds, level, options);
    const actual = await outputsOf(withOutputs(small, ends), feeds, level, options);
    return { outputs, ends, expected, actual };
  }

  /** Every output at both levels, and what was compared before ends. */
  async judge(strict: Level, fused: Level) {
    const { tolerance } = this.#subjects;
    const judgeAll = (moved: readonly Results[]) => ({
      outputs: strict.outputs.map(({ name }) => {
        const of = (results: Results) => results.map((values) => values.get(name));
        const [exact, other] = [of(strict.expected), of(fused.expected)];
        const shifts = moved.map(of);
        return {
          name,
          levels: [
            judge(
              { expected: exact, actual: of(strict.actual), again: [other, ...shifts] },
              tolerance,
            ),
            // Steps of the inputs move the exact level, so they are compared there.
            judge(
              { expected: other, actual: of(fused.actual), again: [exact, ...shifts] },
              tolerance,
            ),
          ] as const,
        };
      }),
      inner: this.#inner(strict.ends, strict, moved),
    });
    const first = judgeAll([]);
    const isSettled =
      first.outputs.every(({ levels }) => levels.every(isCalm)) &&
      first.inner.every(({ judgement }) => isCalm(judgement));
    return isSettled ? first : judgeAll([await this.#moved(strict.ends)]);
  }

  /** Inner tensors at the exact level. */
  async inner(places: readonly Place[]) {
    if (places.length === 0) return [];
    const level = await this.at("disabled", [], places);
    const first = this.#inner(places, level, []);
    if (first.every(({ judgement }) => isCalm(judgement))) return first;
    return this.#inner(places, level, [await this.#moved(places)]);
  }

  #inner(places: readonly Place[], { expected, actual }: Level, moved: readonly Results[]) {
    return places.map(({ name, kept }) => {
      const of = (results: Results) => results.map((values) => cut(values.get(name), kept));
      const series = {
        expected: of(expected),
        actual: actual.map((values) => values.get(name)),
        again: moved.map(of),
      };
      return { name, judgement: judge(series, this.#subjects.tolerance) };
    });
  }

  /** The reference on inputs that are one step of their number format away. */
  #moved(places: readonly Place[]): Promise<Results> {
    const { reference, feeds, options } = this.#subjects;
    return outputsOf(withOutputs(reference, places), feeds.map(stepped), "disabled", options);
  }
}

/** Whether a judgement needs no look at rounding. */
function isCalm({ finding }: Judgement): boolean {
  return finding !== "different" && finding !== "rounding";
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

/** The random inputs, and those that were given. */
function feedsFor(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  { samples = 3, seed = 0, feeds = [] }: VerifyOptions,
): readonly Feeds[] {
  const inputs = graph.inputs.map((name) => {
    const type = graph.types.get(name);
    if (type === undefined)
      throw new EspalierError("MODEL_UNSUPPORTED", `input "${name}" declares no type`);
    return { name, ...type };
  });
  const random = Array.from({ length: samples }, (_, i) =>
    scaled(randomFeeds(inputs, { dims, seed: seed + i }), scales[i % scales.length]),
  );
  return [...random, ...feeds];
}

function scaled(feeds: Feeds, scale: number): Feeds {
  return new Map(
    [...feeds].map(([name, tensor]) => {
      if (!isFloat(tensor.dtype)) return [name, tensor];
      const values = toNumbers(tensor).map((value) => value * scale);
      return [name, tensorOf(tensor.dtype, tensor.shape, values)];
    }),
  );
}

async function outputsOf(
  model: ModelBytes,
  feeds: readonly ReadonlyMap<string, HostTensor>[],
  optimization: Optimization,
  { threads, signal }: VerifyOptions,
): Promise<ReadonlyMap<string, HostTensor>[]> {
  return withSource(model, (source) =>
    withSession(source, { optimization, threads, signal }, async (session) => {
      const results: ReadonlyMap<string, HostTensor>[] = [];
      for (const feed of feeds) {
        signal?.throwIfAborted();
        results.push(await session.run(feed));
      }
      return results;
    }),
  );
}

/** A model in two files must be on disk for onnxruntime to load it. */
async function withSource<T>(
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

/** How far two series of tensors are apart. */
export interface Difference {
  /** Largest absolute difference; infinite where shapes differ or one side alone is NaN. */
  readonly largest: number;
  /** Range of the finite expected values; their magnitude where they are all the same. */
  readonly range: number;
}

/** Compares tensors pairwise. */
export function differenceOf(
  expected: readonly (HostTensor | undefined)[],
  actual: readonly (HostTensor | undefined)[],
): Difference {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let largest = 0;
  for (const [i, a] of expected.entries()) {
    const b = actual[i];
    if (!a || !b || a.shape.join() !== b.shape.join())
      return { largest: Number.POSITIVE_INFINITY, range: 1 };
    const [x, y] = [toNumbers(a), toNumbers(b)];
    for (let k = 0; k < x.length; k++) {
      if (Number.isFinite(x[k])) {
        low = Math.min(low, x[k]);
        high = Math.max(high, x[k]);
      }
      if (Object.is(x[k], y[k]) || x[k] === y[k]) continue;
      const distance = Math.abs(x[k] - y[k]);
      largest = Math.max(largest, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
    }
  }
  const range = high - low || Math.max(Math.abs(low), Math.abs(high));
  return { largest, range: Number.isFinite(range) && range > 0 ? range : 1 };
}

/** Rounding differs with the order of summation; coarse number formats make that visible. */
function defaultTolerance(graph: Graph): number {
  const isCoarse = [...graph.constants.values()].some(
    ({ dtype, shape }) =>
      shape.length > 0 && (isFloat(dtype) ? dtype.includes("16") : dtype.endsWith("int8")),
  );
  return isCoarse ? 2e-2 : 1e-4;
}
