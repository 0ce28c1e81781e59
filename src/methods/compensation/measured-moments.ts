/** @file Mean and mean square of the inputs of layers, channel by channel, measured on samples. */
import type { Dataset } from "../../data/dataset.ts";
import type { Graph } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { sessionOptionsOf, withSession } from "../../runtime/session.ts";
import { sizeOf, toNumbers } from "../../tensor/host-tensor.ts";
import { embedNodes } from "../../train/network/embed.ts";
import { feedNetwork } from "../../train/network/fed-network.ts";
import { feedingOf } from "../../train/step/feeding.ts";
import { fixedSampleOf, type SampleOptions } from "../method/fixed-sample.ts";
import type { LearningOptions } from "../method/learned-method.ts";

/** A value of a network, and the axis of its channels (from the end if < 0). */
export interface Channelled {
  readonly value: string;
  readonly axis: number;
}

/** The measured moments of the channels of a value. */
export interface MeasuredMoments {
  /** The means E[x]. [C] */
  readonly mean: Float64Array;
  /** The mean squares E[x²]. [C] */
  readonly power: Float64Array;
}

/** The number of samples and their batches. */
export interface MeasureOptions extends SampleOptions {
  readonly dataset: Dataset;
  readonly training: SampleOptions["training"] & Pick<LearningOptions, "providers" | "threads">;
}

/**
 * Means over samples and positions for each channel of these values, by value. Values that the network does not compute
 * are absent.
 *
 * Errors: `DATA_MISMATCH`, `DATA_NOT_FOUND`, `MODEL_UNSUPPORTED`, `RUNTIME_FAILED`, `ABORTED`.
 */
export async function measureMoments(
  graph: Graph,
  values: readonly Channelled[],
  options: MeasureOptions,
): Promise<ReadonlyMap<string, MeasuredMoments>> {
  const { dataset, training } = options;
  const { batchSize, count, batches } = fixedSampleOf(dataset, options);
  const feeding = feedingOf(graph, dataset, batchSize);
  const { emitted, outputs } = emitMeans(graph, values, feeding.inputShapes);
  const sums = new Map<string, Float64Array>();
  await withSession(encodeGraph(emitted).chunks, sessionOptionsOf(training), async ({ run }) => {
    for await (const batch of batches()) {
      const results = await run(feeding.feeds(batch, undefined), undefined, { handOver: true });
      for (const [name, tensor] of results) {
        const own = toNumbers(tensor).map((value) => value / count);
        const sum = sums.get(name);
        sums.set(name, sum === undefined ? own : sum.map((value, c) => value + own[c]));
      }
    }
  });
  return new Map(
    [...outputs].flatMap(([value, names]) => {
      const [mean, power] = [sums.get(names.mean), sums.get(names.power)];
      return mean && power ? [[value, { mean, power }] as const] : [];
    }),
  );
}

/** The network at inference with means as outputs, by the values whose means they are. */
function emitMeans(
  graph: Graph,
  wanted: readonly Channelled[],
  inputShapes: ReadonlyMap<string, readonly number[]>,
) {
  const { emit, values, nodes } = feedNetwork("moments", graph, inputShapes);
  const names = wanted.map(({ value }) => value);
  embedNodes(emit, graph, nodesBehind(nodes, names), values);
  const outputs = new Map(
    wanted.flatMap(({ value, axis }) => {
      const x = values.get(value);
      if (x === undefined) return [];
      const own = axis < 0 ? axis + x.shape.length : axis;
      const others = [...x.shape.keys()].filter((other) => other !== own);
      const count = emit.scalar(sizeOf(x.shape) / x.shape[own], x.dtype);
      const [mean, power] = [x, emit.mul(x, x)].map((y) => emit.div(emit.sum(y, others), count));
      return [[value, { mean: mean.name, power: power.name }] as const];
    }),
  );
  const all = [...outputs.values()].flatMap(({ mean, power }) => [mean, power]);
  return { emitted: withoutDead(emit.build([...new Set(all)])), outputs };
}
