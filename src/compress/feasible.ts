/** @file Checks, before a compression begins, that it can succeed. */
import type { Dataset } from "../data/dataset.ts";
import { anyMethodNamed } from "../methods/learned-registry.ts";
import { isLearned } from "../methods/method/learned-method.ts";
import { requireCountable } from "../prune/unknown-costs.ts";
import type { CompressSettings } from "../runs/settings/compress-settings.ts";
import { requireObjectiveFits } from "../runs/settings/train-settings.ts";
import { groupsToPrune } from "../structure/choice/select.ts";
import type { Structure } from "../structure/units/units.ts";
import { requireTrainable } from "../train/loop/train.ts";
import { methodContextOf, tuningOf } from "./context/context.ts";
import type { CustomParts } from "./context/custom.ts";

/**
 * Makes sure that the method can score the network with its options, that the settings name layers that there are,
 * and that the network can be trained as they say, where it is trained at all. Fails as `compressRun`.
 *
 * @param hasLabels Whether the user has labelled the data; the labels of `dataset` may be the original's answers.
 */
export function requireFeasible(
  structure: Structure,
  dataset: Dataset,
  settings: CompressSettings,
  { objective }: CustomParts = {},
  hasLabels = dataset.labelKind !== "none",
): void {
  const { graph } = structure.analysis;
  requireCountable(structure, settings.targets);
  const context = methodContextOf(structure, settings);
  groupsToPrune(structure, context.rules);
  const method = anyMethodNamed(settings.method);
  if (isLearned(method)) method.learningEpochs(context);
  else if (method.requireScorable) method.requireScorable(context);
  else method.propose(context);
  requireObjectiveFits(settings.tuning, settings.distills || !hasLabels);
  if (!isLearned(method) && settings.epochs + settings.finalEpochs === 0) return;
  const tuning = tuningOf(settings, dataset, graph, hasLabels);
  requireTrainable(graph, dataset, { ...tuning, ...(objective && { objective }) });
}
