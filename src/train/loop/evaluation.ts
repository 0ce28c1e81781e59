/** @file How good a network is between epochs: by its labels, else by what it is trained for. */

import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { headOf } from "../../grad/head.ts";
import type { Graph } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { measureOutcomes, metricOf } from "../../measure/outcomes/outcomes.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import { embedNodes } from "../network/embed.ts";
import { feedNetwork } from "../network/fed-network.ts";
import type { TrainedNetwork } from "../network/network.ts";
import { parametersOf } from "../network/parameters.ts";
import { emitFor, modelFor } from "../network/provider-form.ts";
import { type Feeding, feedingOf } from "../step/feeding.ts";
import type { Objective } from "../step/objectives.ts";
import { outputOf, predictionFor, requireScalar, teacherScores } from "../step/step-parts.ts";
import type { Score } from "./checkpoint.ts";
import { type Evaluator, outputsRead } from "./options.ts";

/** What the built-in evaluator needs to know. */
export interface EvaluationOptions extends SessionOptions {
  readonly objective: Objective;
  readonly batchSize: number;
  readonly output?: string | undefined;
  readonly teacher?: Graph | undefined;
}

/**
 * The evaluator for a data set. With one class per sample it is accuracy (`top1`), with label maps the
 * mean IoU (`miou`), with the outputs of another network the similarity; without labels the objective alone, whose negative is the value.
 */
export function evaluatorOf(dataset: Dataset, options: EvaluationOptions): Evaluator {
  const { objective, batchSize, output, teacher, ...session } = options;
  if (dataset.labelKind === "none")
    return (network, role, limit) => scoreObjective(network, dataset, role, limit, options);
  return async (network, split, limit) => {
    const outcomes = await measureOutcomes(modelFor(network, session), dataset, {
      ...session,
      output,
      limit,
      split,
      batchSize,
    });
    const { metric, value, loss = Number.NaN } = metricOf(outcomes);
    return { metric, value, loss };
  };
}

/** The mean objective of samples without labels. */
async function scoreObjective(
  { graph }: TrainedNetwork,
  dataset: Dataset,
  role: Role,
  limit: number | undefined,
  options: EvaluationOptions,
): Promise<Score> {
  const total = Math.min(dataset.size(role), limit ?? Number.POSITIVE_INFINITY);
  let sum = 0;
  /** Scores `count` samples from `skip` on; a graph has one size of batch. */
  const score = async (skip: number, count: number, batchSize: number): Promise<void> => {
    if (count === 0) return;
    const feeding = feedingOf(graph, dataset, batchSize);
    const [output] = outputsRead(graph, dataset, options.output);
    const step = emitEvaluation(graph, feeding, { ...options, output });
    await withSession(emitFor(step, options), options, async (session) => {
      const batches = { batchSize, skip, limit: skip + count, signal: options.signal };
      for await (const batch of dataset.batches(role, batches)) {
        const feeds = feeding.feeds(batch, undefined);
        const results = await session.run(feeds, step.outputs, { handOver: true });
        sum += Number(results.get(step.outputs[0])?.data[0]) * batchSize;
      }
    });
  };
  const rest = total % options.batchSize;
  await score(0, total - rest, options.batchSize);
  await score(total - rest, rest, rest);
  const loss = sum / total;
  return { metric: "objective", value: -loss, loss };
}

/** The output that is read. */
interface OutputName {
  readonly output: string;
}

/** The network at inference with its loss, for one size of batch. */
function emitEvaluation(
  graph: Graph,
  { inputShapes }: Feeding,
  { objective, output: outputName, teacher: teacherGraph }: EvaluationOptions & OutputName,
): Graph {
  const { emit, inputs, values, ...fed } = feedNetwork("evaluation", graph, inputShapes);
  const nodes = nodesBehind(fed.nodes, [outputName]);
  embedNodes(emit, graph, nodes, values);
  const output = outputOf(graph, outputName, values, inputs);
  const { prediction, form } = headOf(emit, output);
  const parameters = new Map(
    parametersOf(graph, nodes).flatMap(({ constant: { name } }) => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  const teacher = teacherScores(emit, teacherGraph, inputs, outputName);
  const target = undefined;
  const scalars = new Map<string, Value>();
  const forTarget = (aim: Value) => predictionFor(emit, { name: outputName, output }, aim);
  const parts = { emit, prediction, form, target, teacher, parameters, values, scalars };
  const loss = objective({ ...parts, predictionFor: forTarget });
  requireScalar(loss);
  return withoutDead(emit.build([loss.name]));
}
