/** @file New running statistics for batch normalization, measured without training. */
import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { freshNames } from "../../ir/names.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { runningStatistics, trainingForm } from "../../ops/passes/training.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { embedNodes } from "../network/embed.ts";
import { feedNetwork } from "../network/fed-network.ts";
import {
  graphOf,
  type TrainedNetwork,
  type TrainSource,
  trainedNetwork,
} from "../network/network.ts";
import { ownStatistics, type Statistics, statisticsOf } from "../network/parameters.ts";
import { emitFor } from "../network/provider-form.ts";
import { feedingOf } from "../step/feeding.ts";

/** What to measure on. */
export interface RecalibrateOptions extends SessionOptions {
  /** Default `fit`. */
  readonly role?: Role | undefined;
  /** Samples at most; default 2,000. */
  readonly limit?: number | undefined;
  /** Default 100. A last batch that is not full is left out. */
  readonly batchSize?: number | undefined;
}

/** Mean and variance of one node, as outputs of a graph that runs a batch. */
interface Measured {
  readonly statistics: Statistics;
  readonly mean: Value;
  readonly variance: Value;
  /** The factor from biased to unbiased variance. */
  readonly correction: number;
}

/**
 * The network with running statistics that are the means, over batches in the order of the data, of each
 * batch's mean and unbiased variance (as PyTorch's `update_bn`). Weights stay as they are; a network
 * without batch normalization stays the same.
 *
 * Fails with `DATA_MISMATCH`, `DATA_NOT_FOUND` (also for fewer samples than one batch),
 * `MODEL_UNSUPPORTED`, `RUNTIME_FAILED`, `ABORTED`.
 */
export async function recalibrate(
  source: TrainSource,
  dataset: Dataset,
  options: RecalibrateOptions = {},
): Promise<TrainedNetwork> {
  const { role = "fit", limit = 2000, signal } = options;
  const samples = Math.min(dataset.size(role), limit);
  const batchSize = Math.max(1, Math.min(options.batchSize ?? 100, samples));
  const original = graphOf(source);
  const feeding = feedingOf(original, dataset, batchSize);
  const inference = inferTypes(original);
  const network = ownStatistics(original, (name) => inference.values.get(name));
  const { graph, measured } = emitMeasuring(network, feeding.inputShapes);
  if (measured.length === 0) return trainedNetwork(source, network, new Map(), undefined);
  const sums = measured.map(({ mean }) => ({
    mean: new Float64Array(sizeOf(mean.shape)),
    variance: new Float64Array(sizeOf(mean.shape)),
  }));
  let batches = 0;
  await withSession(emitFor(graph, options), options, async (session) => {
    const wanted = { batchSize, limit: samples, dropsLast: true, signal };
    for await (const batch of dataset.batches(role, wanted)) {
      const feeds = feeding.feeds(batch, undefined);
      const results = await session.run(feeds, undefined, { handOver: true });
      for (const [i, { mean, variance }] of measured.entries()) {
        addTo(sums[i].mean, results.get(mean.name));
        addTo(sums[i].variance, results.get(variance.name));
      }
      batches++;
    }
  });
  if (batches === 0)
    throw new EspalierError("DATA_NOT_FOUND", "no samples to measure statistics on");
  const weights = new Map<string, HostTensor>();
  for (const [i, { statistics, correction }] of measured.entries()) {
    const scaled = (sum: Float64Array, factor: number) => sum.map((v) => (v * factor) / batches);
    const { mean, variance } = statistics;
    weights.set(mean.name, tensorOf(mean.dtype, mean.shape, scaled(sums[i].mean, 1)));
    weights.set(
      variance.name,
      tensorOf(variance.dtype, variance.shape, scaled(sums[i].variance, correction)),
    );
  }
  return trainedNetwork(source, network, weights, dataset.preprocessing);
}

function addTo(sum: Float64Array, tensor: HostTensor | undefined): void {
  if (tensor !== undefined) for (const [i, value] of toNumbers(tensor).entries()) sum[i] += value;
}

/** The network as it runs in training, with the statistics of the batch as outputs. */
function emitMeasuring(
  network: Graph,
  inputShapes: ReadonlyMap<string, readonly number[]>,
): { readonly graph: Graph; readonly measured: readonly Measured[] } {
  const { emit, values, ...fed } = feedNetwork("statistics", network, inputShapes);
  const all = statisticsOf(network, fed.nodes);
  // Nodes behind the last statistics are left out, so they need not be understood.
  const nodes = nodesBehind(
    fed.nodes,
    all.map(({ node }) => node.outputs[0]),
  );
  const wanted = new Set<Node>(all.map(({ node }) => node));
  const fresh = freshNames(network);
  const forms = new Map(
    nodes.map((node) => {
      if (!wanted.has(node)) return [node, node] as const;
      const form = trainingForm(node, {
        fresh,
        usesBatchStatistics: true,
        constant: () => "",
        seed: () => 0,
      });
      return [node, form] as const;
    }),
  );
  embedNodes(emit, network, [...forms.values()], values);
  const measured = all.flatMap((statistics): Measured[] => {
    const form = forms.get(statistics.node) ?? statistics.node;
    const role = runningStatistics(form);
    const x = values.get(form.inputs[0]);
    const mean = role && values.get(form.outputs[role.meanOutput]);
    const variance = role && values.get(form.outputs[role.varianceOutput]);
    if (!x || !mean || !variance) return [];
    const count = sizeOf(x.shape) / x.shape[1];
    return [{ statistics, mean, variance, correction: count > 1 ? count / (count - 1) : 1 }];
  });
  const outputs = measured.flatMap(({ mean, variance }) => [mean.name, variance.name]);
  return { graph: withoutDead(emit.build(outputs)), measured };
}
