/** @file The batch that a network can be trained with: the one that is wanted, or the one that its file fixes. */
import type { Dataset } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { nodesBehind } from "../../ir/live.ts";
import { embedNodes } from "../network/embed.ts";
import { feedNetwork } from "../network/fed-network.ts";
import { feedingOf } from "../step/feeding.ts";
import { sharesOf } from "../step/replica-step.ts";
import { outputOf } from "../step/step-parts.ts";
import { outputsRead, type TrainOptions, type TrainPlan, trainPlanOf } from "./options.ts";

/** A plan that the network allows, and what had to give way. */
export interface FittedPlan {
  readonly plan: TrainPlan;
  readonly note: string | undefined;
}

/**
 * The plan for a network. Where its shapes fix the batch, and cannot be rewritten for another one exactly, it is
 * trained at the batch of its file; batch normalization then keeps its statistics, as so few samples say little of
 * them. Fails with `USAGE`, `DATA_MISMATCH`.
 */
export function fittedPlan(graph: Graph, dataset: Dataset, options: TrainOptions): FittedPlan {
  const plan = trainPlanOf(dataset, options);
  const { batchSize: wanted, replicas } = plan;
  const batchSize = batchFor(graph, dataset, wanted, options.output);
  if (replicas > 1)
    for (const share of new Set(sharesOf(wanted, replicas)))
      requireBatch(graph, dataset, share, options.output);
  if (batchSize === wanted) return { plan, note: undefined };
  return {
    plan: trainPlanOf(dataset, { ...options, batchSize, statistics: "frozen" }),
    note:
      `The network's file fixes its batch at ${batchSize}: it is trained so, not with batches of ` +
      `${wanted}, and batch normalization keeps its statistics. An export with an open batch size ` +
      "trains better.",
  };
}

/** Fails with `USAGE` where a network does not run with the share that a replica has of a batch. */
function requireBatch(
  graph: Graph,
  dataset: Dataset,
  share: number,
  output: string | undefined,
): void {
  const batch = batchFor(graph, dataset, share, output);
  if (batch === share) return;
  throw new EspalierError(
    "USAGE",
    `the network's file fixes its batch at ${batch}, which replicas cannot divide`,
    { hint: "Train with one replica, or export the network with an open batch size." },
  );
}

/** The batch that is wanted where the network runs with it, else the one that its file declares. */
export function batchFor(
  graph: Graph,
  dataset: Dataset,
  wanted: number,
  output: string | undefined,
): number {
  const declared = graph.types.get(graph.inputs[0])?.shape?.[0];
  if (typeof declared !== "number" || declared === wanted) return wanted;
  return runsWith(graph, dataset, wanted, output) ? wanted : declared;
}

function runsWith(
  graph: Graph,
  dataset: Dataset,
  batchSize: number,
  output: string | undefined,
): boolean {
  try {
    const { inputShapes } = feedingOf(graph, dataset, batchSize);
    const { emit, inputs, values, nodes } = feedNetwork("batch", graph, inputShapes);
    const outputs = outputsRead(graph, dataset, output);
    embedNodes(emit, graph, nodesBehind(nodes, outputs), values);
    for (const name of outputs) outputOf(graph, name, values, inputs);
    return true;
  } catch (error) {
    if (
      error instanceof EspalierError &&
      error.code === "MODEL_UNSUPPORTED" &&
      error.data.fixesBatch === true
    )
      return false;
    throw error;
  }
}
