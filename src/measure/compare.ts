/**
 * @file Two networks on the same inputs: do they compute the same? At two optimisation levels of
 * ONNX Runtime, because its fusions have been wrong before.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "../errors.ts";
import { saveModel } from "../files/model-file.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../onnx/read.ts";
import type { ModelBytes } from "../onnx/write.ts";
import { type ModelSource, type Optimization, withSession } from "../runtime/session.ts";
import { isFloat } from "../tensor/dtype.ts";
import { type HostTensor, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomFeeds } from "./feeds.ts";

/** One comparison. */
export interface VerificationCheck {
  /** The optimisation level and the output compared. */
  readonly name: string;
  /** Largest absolute difference, as a share of the output's range over all samples. */
  readonly maxError: number;
  /**
   * What the optimisation level alone changes in the reference (at most 1e-6), as a share of the
   * range. A difference above the tolerance that is less than twice this is no error but rounding:
   * `maxError` is 0 then.
   */
  readonly noise: number;
  readonly passed: boolean;
}

/** The result of a verification. */
export interface Verification {
  readonly passed: boolean;
  /** The largest error of all checks. */
  readonly maxError: number;
  /** Inputs that were run. */
  readonly samples: number;
  readonly tolerance: number;
  readonly checks: readonly VerificationCheck[];
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

/** A few float32 steps at 1, where sigmoids and softmaxes live; a larger difference is no rounding. */
const largestNoise = 1e-6;

const levels: readonly Optimization[] = ["disabled", "all"];

/**
 * Runs two networks with the original's inputs and outputs and compares what comes out.
 * Errors: `RUNTIME_FAILED` when onnxruntime refuses one of them.
 */
export async function compareModels(
  original: Model,
  reference: ModelBytes,
  small: ModelBytes,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { graph } = original;
  const { samples = 3, seed = 0, tolerance = defaultTolerance(graph) } = options;
  const inputs = graph.inputs.map((name) => {
    const type = graph.types.get(name);
    if (type === undefined)
      throw new EspalierError("MODEL_UNSUPPORTED", `input "${name}" declares no type`);
    return { name, ...type };
  });
  const feeds = [
    ...Array.from({ length: samples }, (_, i) =>
      scaled(randomFeeds(inputs, { dims, seed: seed + i }), scales[i % scales.length]),
    ),
    ...(options.feeds ?? []),
  ];
  const references = await eachLevel((level) => outputsOf(reference, feeds, level, options));
  const results = await eachLevel((level) => outputsOf(small, feeds, level, options));
  const checks = graph.outputs.flatMap((name): VerificationCheck[] => {
    const [strict, fused] = references.map((samples) => samples.map((of) => of.get(name)));
    const noise = Math.min(differenceOf(strict, fused).largest, largestNoise);
    return levels.map((level, i) => {
      const expected = i === 0 ? strict : fused;
      const { largest, range } = differenceOf(
        expected,
        results[i].map((of) => of.get(name)),
      );
      const isNoise = largest > tolerance * range && largest <= tolerance * range + 2 * noise;
      const maxError = largest === 0 || isNoise ? 0 : largest / range;
      const passed = maxError <= tolerance;
      return {
        name: `optimization ${level}, output "${name}"`,
        maxError,
        noise: noise / range,
        passed,
      };
    });
  });
  return {
    passed: checks.every((check) => check.passed),
    maxError: checks.reduce((worst, check) => Math.max(worst, check.maxError), 0),
    samples: feeds.length,
    tolerance,
    checks,
  };
}

function scaled(
  feeds: ReadonlyMap<string, HostTensor>,
  scale: number,
): ReadonlyMap<string, HostTensor> {
  return new Map(
    [...feeds].map(([name, tensor]) => {
      if (!isFloat(tensor.dtype)) return [name, tensor];
      const values = toNumbers(tensor).map((value) => value * scale);
      return [name, tensorOf(tensor.dtype, tensor.shape, values)];
    }),
  );
}

async function eachLevel<T>(run: (level: Optimization) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const level of levels) results.push(await run(level));
  return results;
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
  const folder = await mkdtemp(join(tmpdir(), "espalier-"));
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
