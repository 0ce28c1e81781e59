/** @file The context of all steps of a compression, made from the run's folder and its data. */
import type { Dataset } from "../../data/dataset.ts";
import { loadModel } from "../../files/model-file.ts";
import { measureOutcomes, metricOf } from "../../measure/outcomes/outcomes.ts";
import { anyMethodNamed } from "../../methods/learned-registry.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { Journal } from "../../runs/folder/journal.ts";
import { type CompressConfig, runPaths } from "../../runs/folder/run-folder.ts";
import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import { sessionOptionsOf } from "../../runtime/session.ts";
import { costOf } from "../../structure/cost/cost.ts";
import { structureOf } from "../../structure/units/units.ts";
import { weightTotal } from "../../structure/weights/layer-weights.ts";
import type { Evaluator } from "../../train/loop/options.ts";
import { kindOf } from "../record/sample-figures.ts";
import { type CompressContext, judgedBy, type Original, tuningOf } from "./context.ts";
import { type CustomMetric, type CustomParts, measureBy } from "./custom.ts";

/** Reads the original and the journal, and measures the baseline on `select`. Fails as `compressRun`. */
export async function contextOf(
  run: string,
  { settings, hasLabels, externalData }: CompressConfig,
  data: Dataset,
  hooks: RunHooks,
  { metric, objective }: CustomParts,
): Promise<CompressContext> {
  const { provider, threads } = settings.tuning;
  const paths = runPaths(run);
  const journal = await Journal.open(paths.journal, { origin: [paths.config, paths.original] });
  const session = sessionOptionsOf({ providers: [provider], threads, signal: hooks.signal });
  const model = await loadModel(paths.original, { externalData });
  const { chunks } = writeModel(model);
  hooks.onPhase?.("measuring the baseline");
  const { outputName: output } = settings.tuning;
  const dataset = await judgedBy(model, data, settings, { metric }, hooks.signal);
  const structure = structureOf(model.graph, settings);
  const measureOutcomesOn: CompressContext["measureOutcomes"] = (network, split) =>
    metric === undefined
      ? measureOutcomes(network, dataset, {
          ...session,
          split,
          ...(output !== undefined && { output }),
        })
      : measureBy(metric, network, dataset, split);
  const original: Original = {
    model,
    structure,
    cost: costOf(model.graph, structure.analysis.dims),
    weights: weightTotal(model.graph),
    select: await measureOutcomesOn(chunks, "select"),
  };
  const { metric: name } = kindOf(original.select, hasLabels);
  return {
    run,
    settings,
    dataset,
    original,
    session,
    measureOutcomes: measureOutcomesOn,
    metric: name,
    hooks: hasLabels || metric !== undefined ? hooks : tellingAs(name, hooks),
    method: anyMethodNamed(settings.method),
    tuning: {
      ...tuningOf(settings, dataset, model.graph, hasLabels),
      ...session,
      ...(objective && { objective }),
      ...(metric && { evaluator: evaluatorBy(metric, dataset) }),
    },
    journal,
  };
}

/** Epochs are told with the metric's name in reports: what the original says is right is no accuracy. */
function tellingAs(metric: string, hooks: RunHooks): RunHooks {
  return {
    ...hooks,
    onEpoch: ({ select, ...record }, isBest) =>
      hooks.onEpoch?.({ ...record, ...(select && { select: { ...select, metric } }) }, isBest),
  };
}

/** Scores networks between epochs by the caller's metric, whose negative stands in for a loss. */
function evaluatorBy(metric: CustomMetric, dataset: Dataset): Evaluator {
  return async ({ bytes }, role) => {
    const { value } = metricOf(await measureBy(metric, bytes.chunks, dataset, role));
    return { metric: metric.name, value, loss: -value };
  };
}
