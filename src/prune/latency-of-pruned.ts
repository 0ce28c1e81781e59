/** @file The latency of a pruned network, measured against the network that it was made from. */
import {
  type NotTimed,
  type PairLatency,
  type PairOptions,
  timePair,
} from "../measure/latency/pair.ts";
import type { Model } from "../onnx/model.ts";
import { type Pruned, partsOf } from "./pruned.ts";

/** How a pruned network is timed. */
export interface LatencyOfPrunedOptions
  extends Pick<PairOptions, "threads" | "providers" | "signal" | "onProgress" | "measured"> {
  /** Seconds in which both networks take turns; default 2. */
  readonly seconds?: number | undefined;
}

/**
 * Times a pruned network against the original that it was made from, with random inputs: the ratio of their latencies,
 * and where it is slower, the operators that take longer. Errors: `PROVIDER_MISSING`, `ABORTED`.
 *
 * @example
 * const pruned = prune(model, { targets: { macs: 0.5 } });
 * const latency = await latencyOfPruned(model, pruned);
 * if (!("skipped" in latency) && latency.verdict === "slower") console.log(latency.slowerOperators);
 */
export async function latencyOfPruned(
  original: Model,
  pruned: Pruned,
  options: LatencyOfPrunedOptions = {},
): Promise<PairLatency | NotTimed> {
  const { dims } = partsOf(pruned).structure.analysis;
  return timePair(
    { graph: original.graph, source: original },
    { graph: pruned.graph, source: pruned.bytes.chunks },
    { ...options, dims },
  );
}
