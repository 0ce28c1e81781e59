/** @file A network timed against the one that it was made from: the ratio, and where it is slower, why. */
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { ModelSource } from "../../runtime/values.ts";
import { type SpeedVerdict, speedOf } from "../../words/speed.ts";
import type { Interval } from "../statistics/statistics.ts";
import { type BenchOptions, bench } from "./bench.ts";
import { type OperatorTimes, operatorTimes, slowerOperators } from "./operators.ts";

/** A network to time, and its graph, by which operators are matched. */
export interface TimedNetwork {
  readonly graph: Graph;
  readonly source: ModelSource;
}

/** The latency of a network beside its original's. */
export interface PairLatency {
  readonly medianMs: number;
  readonly originalMs: number;
  /** This network / the original: below 1 is faster. */
  readonly ratio: number;
  readonly ci95: Interval;
  readonly verdict: SpeedVerdict;
  readonly threads: number;
  readonly provider: string;
  /** Where the network is slower: the operators that take longer, the greatest difference first. */
  readonly slowerOperators: readonly OperatorTimes[];
}

/** Why no latency could be measured. */
export interface NotTimed {
  readonly skipped: string;
}

/** Reasons that lie in the networks and the machine: inputs cannot be made up, or ONNX Runtime fails to run them. */
const reasonsToSkip: ReadonlySet<string> = new Set([
  "DATA_MISMATCH",
  "MODEL_TOO_LARGE",
  "RUNTIME_FAILED",
]);

/** Seconds in which both networks take turns. */
const defaultSeconds = 2;

/** Options of the comparison. */
export interface PairOptions extends BenchOptions {
  /** What was measured of the two networks before; it is not measured again then. */
  readonly measured?: MeasuredPair | undefined;
}

/** The latencies of a pair, as they are measured. */
export type MeasuredPair = Omit<PairLatency, "verdict" | "slowerOperators">;

/**
 * Lets two networks take turns, and profiles both where the second is slower. `skipped` is the reason where they cannot
 * be run with random inputs. Errors: `PROVIDER_MISSING`, `ABORTED`.
 */
export async function timePair(
  original: TimedNetwork,
  result: TimedNetwork,
  options: PairOptions = {},
): Promise<PairLatency | NotTimed> {
  try {
    const measured =
      options.measured ?? (await latenciesOf(original.source, result.source, options));
    const { verdict } = speedOf(measured);
    const slower = verdict === "slower" ? await slowerIn(original, result, measured, options) : [];
    return { ...measured, verdict, slowerOperators: slower };
  } catch (error) {
    if (!(error instanceof EspalierError) || !reasonsToSkip.has(error.code)) throw error;
    return { skipped: error.message };
  }
}

/** Lets two networks take turns. Fails as `bench`. */
export async function latenciesOf(
  original: ModelSource,
  result: ModelSource,
  options: BenchOptions,
): Promise<MeasuredPair> {
  const { models, ratios, threads, provider } = await bench(
    [
      { name: "original", model: original },
      { name: "result", model: result },
    ],
    { ...options, seconds: options.seconds ?? defaultSeconds },
  );
  const [originalMs, medianMs] = models.map((model) => model.medianMs);
  const [{ ratio, ci95 }] = ratios;
  return { medianMs, originalMs, ratio, ci95, threads, provider };
}

async function slowerIn(
  original: TimedNetwork,
  result: TimedNetwork,
  { originalMs, medianMs, threads }: MeasuredPair,
  { providers, batch, dims, seed, signal }: PairOptions,
): Promise<readonly OperatorTimes[]> {
  const times = await operatorTimes(
    { ...original, medianMs: originalMs },
    { ...result, medianMs },
    { providers, threads, batch, dims, seed, signal },
  );
  return slowerOperators(times);
}
