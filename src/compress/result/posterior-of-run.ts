/** @file `posterior.onnx`: the result of a run with parameters drawn from what its method learnt of them. */

import { access } from "node:fs/promises";
import { dirname } from "node:path";
import { loadModel, saveModel } from "../../files/model-file.ts";
import type { Graph } from "../../ir/graph.ts";
import { withSeeds } from "../../measure/evaluation/draws.ts";
import { measureOutcomes, type Outcomes } from "../../measure/outcomes/outcomes.ts";
import { saveOutcomes } from "../../measure/outcomes/outcomes-file.ts";
import { type AnyMethod, learnsPosterior } from "../../methods/method/learned-method.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { makeFolder, roundPaths, runPaths } from "../../runs/folder/run-folder.ts";
import { structureOf } from "../../structure/units/units.ts";
import type { CompressContext } from "../context/context.ts";
import { isTimeSpent } from "../context/time-budget.ts";
import type { RoundRecord } from "../record/compress-report.ts";

/**
 * The bytes of `posterior.onnx`: the network of the result, whose means are its weights, with the deviations
 * that were learnt last before it. `undefined` where the method learns no posterior, or nothing was
 * removed. It draws anew at every run, once for all examples of a batch.
 */
export async function posteriorOfRun(
  run: string,
  method: AnyMethod,
  taken: readonly RoundRecord[],
  model: Model,
): Promise<ModelBytes | undefined> {
  if (!learnsPosterior(method)) return undefined;
  const memory = await lastMemory(run, taken);
  if (memory === undefined) return undefined;
  const random = method.posterior(structureOf(model.graph), memory);
  return encodeGraph(random, { metadata: model.metadata });
}

/** What the method remembered last in the rounds that led to the result, cut as the result was. */
export async function lastMemory(
  run: string,
  taken: readonly RoundRecord[],
): Promise<Graph | undefined> {
  for (const { round } of taken.toReversed()) {
    const { memory } = roundPaths(run, round);
    if (await isThere(memory)) return (await loadModel(memory)).graph;
  }
  return undefined;
}

/**
 * Writes `posterior.onnx`, and what the mean of its draws says on `test`, unless the time budget is spent.
 * `undefined` where there is no posterior, or nothing was drawn.
 */
export async function samplePosterior(
  context: CompressContext,
  taken: readonly RoundRecord[],
  model: Model,
  labelled: Outcomes | undefined,
): Promise<{ readonly draws: number; readonly outcomes: Outcomes } | undefined> {
  const { run, settings, dataset, session, hooks, method } = context;
  const { posteriorSamples: draws } = settings;
  const bytes = await posteriorOfRun(run, method, taken, model);
  if (bytes === undefined) return undefined;
  const paths = runPaths(run);
  await saveModel(paths.posterior, bytes);
  const isOfClasses = labelled?.kind === "classes" || labelled?.kind === "maps";
  if (!isOfClasses || draws === 0) return undefined;
  if (await isTimeSpent(context, "time before the posterior")) return undefined;
  hooks.onPhase?.("drawing from the posterior");
  const { graph } = await loadModel(paths.posterior);
  const { chunks } = encodeGraph(withSeeds(graph, settings.tuning.seed));
  const { outputName: output } = settings.tuning;
  const outcomes = await measureOutcomes(chunks, dataset, {
    ...session,
    split: "test",
    draws,
    ...(output !== undefined && { output }),
  });
  await makeFolder(dirname(paths.predictions.posterior));
  await saveOutcomes(paths.predictions.posterior, outcomes);
  return { draws, outcomes };
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
