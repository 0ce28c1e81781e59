/**
 * @file Two networks on the same inputs: do they compute the same? At two optimisation levels of
 * ONNX Runtime, because its fusions have been wrong before.
 */
import { EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../onnx/read.ts";
import type { ModelBytes } from "../onnx/write.ts";
import { type Optimization, withSession } from "../runtime/session.ts";
import { isFloat } from "../tensor/dtype.ts";
import { type HostTensor, toNumbers } from "../tensor/host-tensor.ts";
import { randomFeeds } from "./feeds.ts";

/** One comparison. */
export interface VerificationCheck {
  /** The optimisation level and the output compared. */
  readonly name: string;
  /** Largest absolute difference, as a share of the output's range over all samples. */
  readonly maxError: number;
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
  /** Random inputs (standard normal), default 4. */
  readonly samples?: number;
  readonly seed?: number;
  /** Further inputs: real data. */
  readonly feeds?: readonly ReadonlyMap<string, HostTensor>[];
  /** Largest error allowed; default 1e-4, for float16 and quantised networks 2e-2. */
  readonly tolerance?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

const levels: readonly Optimization[] = ["disabled", "all"];

/**
 * Runs two networks with the original's inputs and outputs and compares what comes out.
 * Errors: `RUNTIME_FAILED` when onnxruntime refuses one of them.
 */
export async function compareModels(
  original: Model,
  reference: ModelBytes,
  small: ModelBytes | Uint8Array,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { graph } = original;
  const { samples = 4, seed = 0, tolerance = defaultTolerance(graph) } = options;
  const inputs = graph.inputs.map((name) => {
    const type = graph.types.get(name);
    if (type === undefined)
      throw new EspalierError("MODEL_UNSUPPORTED", `input "${name}" declares no type`);
    return { name, ...type };
  });
  const feeds = [
    ...Array.from({ length: samples }, (_, i) => randomFeeds(inputs, { dims, seed: seed + i })),
    ...(options.feeds ?? []),
  ];
  const checks: VerificationCheck[] = [];
  for (const optimization of levels) {
    const expected = await outputsOf(reference, feeds, optimization, options);
    const actual = await outputsOf(small, feeds, optimization, options);
    for (const name of graph.outputs) {
      const maxError = largestError(
        expected.map((outputs) => outputs.get(name)),
        actual.map((outputs) => outputs.get(name)),
      );
      const passed = maxError <= tolerance;
      checks.push({ name: `optimization ${optimization}, output "${name}"`, maxError, passed });
    }
  }
  return {
    passed: checks.every((check) => check.passed),
    maxError: checks.reduce((worst, check) => Math.max(worst, check.maxError), 0),
    samples: feeds.length,
    tolerance,
    checks,
  };
}

async function outputsOf(
  model: ModelBytes | Uint8Array,
  feeds: readonly ReadonlyMap<string, HostTensor>[],
  optimization: Optimization,
  { threads, signal }: VerifyOptions,
): Promise<ReadonlyMap<string, HostTensor>[]> {
  const source = "chunks" in model ? model.chunks : model;
  return withSession(source, { optimization, threads, signal }, async (session) => {
    const results: ReadonlyMap<string, HostTensor>[] = [];
    for (const feed of feeds) {
      signal?.throwIfAborted();
      results.push(await session.run(feed));
    }
    return results;
  });
}

/**
 * Largest difference over all samples, relative to the range of the expected values. Infinity where
 * shapes differ or one side is NaN alone.
 */
export function largestError(
  expected: readonly (HostTensor | undefined)[],
  actual: readonly (HostTensor | undefined)[],
): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let worst = 0;
  for (const [i, a] of expected.entries()) {
    const b = actual[i];
    if (!a || !b || a.shape.join() !== b.shape.join()) return Number.POSITIVE_INFINITY;
    const [x, y] = [toNumbers(a), toNumbers(b)];
    for (let k = 0; k < x.length; k++) {
      if (Number.isNaN(x[k]) !== Number.isNaN(y[k])) return Number.POSITIVE_INFINITY;
      if (x[k] === y[k] || Number.isNaN(x[k])) {
        if (Number.isFinite(x[k])) {
          low = Math.min(low, x[k]);
          high = Math.max(high, x[k]);
        }
        continue;
      }
      low = Math.min(low, x[k]);
      high = Math.max(high, x[k]);
      worst = Math.max(worst, Math.abs(x[k] - y[k]));
    }
  }
  if (worst === 0) return 0;
  const range = high - low || Math.max(Math.abs(low), Math.abs(high));
  return worst / range;
}

/** Rounding differs with the order of summation; coarse number formats make that visible. */
function defaultTolerance(graph: Graph): number {
  const isCoarse = [...graph.constants.values()].some(
    ({ dtype, shape }) =>
      shape.length > 0 && (isFloat(dtype) ? dtype.includes("16") : dtype.endsWith("int8")),
  );
  return isCoarse ? 2e-2 : 1e-4;
}
