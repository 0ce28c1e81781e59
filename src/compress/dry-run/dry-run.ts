/** @file A compression that is only planned: its rounds, its data and its cost. */

import type { Dataset } from "../../data/dataset.ts";
import { preprocessingKey } from "../../data/stored-preprocessing.ts";
import { anyMethodNamed } from "../../methods/learned-registry.ts";
import { isLearned } from "../../methods/method/learned-method.ts";
import type { Proposal } from "../../methods/method/method.ts";
import type { Model } from "../../onnx/model.ts";
import { structureCost, unclaimable, unknownsOf } from "../../prune/unknown-costs.ts";
import { requireFree } from "../../runs/folder/run-folder.ts";
import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import {
  acceptedDropOf,
  type CompressSettings,
  compressSettingsOf,
  hasTargets,
  roundDropOf,
  rulesOf,
} from "../../runs/settings/compress-settings.ts";
import { candidateUnits, removalsInOrder, unscoredUnits } from "../../structure/choice/select.ts";
import { costModel } from "../../structure/cost/cost.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { type CompressRunRequest, readRequest } from "../compress-run.ts";
import {
  judgedBy,
  methodContextOf,
  tuningOf,
  withoutChoice,
  withTuningChosen,
} from "../context/context.ts";
import { requireFeasible } from "../feasible.ts";
import { canShrink } from "../rounds/candidate.ts";
import type { CompressionPlan, PlannedNetwork, PlannedRound } from "./compression-plan.ts";
import { costOfRun, timeOf } from "./dry-run-cost.ts";
import { guardOutlook } from "./dry-run-guard.ts";
import { warningsFor } from "./dry-run-warnings.ts";

/** What would be compressed; the folder is only looked at, where it is named. */
export type PlanRequest = Omit<CompressRunRequest, "run"> & { readonly run?: string };

/**
 * Plans a compression, tries a few batches and training steps, and writes nothing. It fails wherever the run would fail
 * at its beginning: see `compressRun`.
 */
export async function planCompression(
  request: PlanRequest,
  hooks: RunHooks = {},
): Promise<CompressionPlan> {
  const asked = compressSettingsOf(request.settings);
  const method = anyMethodNamed(asked.method);
  if (request.run !== undefined) await requireFree(request.run);
  hooks.onPhase?.("reading");
  const { model, dataset, options } = await readRequest(request);
  const structure = structureOf(model.graph, asked);
  const hasLabels = dataset.labelKind !== "none";
  const labelled = await judgedBy(model, dataset, asked, {}, hooks.signal);
  requireFeasible(structure, labelled, withoutChoice(asked), {}, hasLabels);
  const settings = await withTuningChosen(asked, model, labelled, hasLabels, hooks);
  const proposal = isLearned(method)
    ? undefined
    : method.propose(methodContextOf(structure, settings));
  const network = networkOf(request.network, model, structure, settings, proposal);

  hooks.onPhase?.("trying");
  const tuning = tuningOf(settings, labelled, model.graph, hasLabels);
  const { prunableUnits, prunableGroups: groups } = network;
  const cost = costOfRun(settings, method, labelled, tuning, { structure, prunableUnits, groups });
  const time = await timeOf(model, labelled, tuning, cost, hooks);
  const { maxDrop, confidence } = settings;
  const data = plannedData(dataset, options.heldOut ?? false);
  const { name, summary, source, needs } = method;
  const plan = {
    network,
    data,
    method: { name, summary, source, needs, trains: isLearned(method) },
    rounds: roundsOf(settings),
    cost,
    time,
    settings,
    guard:
      maxDrop === undefined
        ? null
        : guardOutlook(
            { maxDrop, confidence },
            data.samples.certify,
            labelled.labelKind === "classes",
          ),
  };
  const facts = {
    isOurs: model.metadata.has(preprocessingKey),
    canShrink: canShrink(model, settings),
    unknowns: [
      ...unknownsOf(structure),
      ...unclaimable(structureCost(structure), settings.targets),
    ],
    judgedBy: labelled.labelKind,
  };
  return { ...plan, warnings: warningsFor(plan, facts) };
}

function plannedData(dataset: Dataset, isHeldOut: boolean): CompressionPlan["data"] {
  const samples = {
    fit: dataset.size("fit"),
    select: dataset.size("select"),
    certify: dataset.size("certify"),
    test: dataset.size("test"),
  };
  const { path, format, labelKind, classes, sampleShape } = dataset;
  return { path, format, labelKind, classes, sampleShape, samples, isHeldOut };
}

/** Why units stay of which the method knows nothing. */
const unknown = "the method knows nothing about it";

function networkOf(
  path: string,
  model: Model,
  structure: Structure,
  settings: CompressSettings,
  proposal: Proposal | undefined,
): PlannedNetwork {
  const { units, groups } = structure;
  const rules = rulesOf(settings);
  const scores = proposal?.scores ?? new Float64Array(units.length);
  const unscored = new Set(unscoredUnits(structure, scores, rules));
  const candidates = candidateUnits(structure, rules).filter((unit) => !unscored.has(unit));
  const { count, choose } = removalsInOrder(structure, scores, rules);
  const figuresOf = costModel(structure);
  const [before, after] = [figuresOf(choose(0)), figuresOf(choose(count))];
  const reasons = new Map<string, { units: number; groups: Set<string> }>();
  for (const { index, reason = unscored.has(index) ? unknown : undefined, group } of units) {
    if (reason === undefined) continue;
    const held = reasons.get(reason) ?? { units: 0, groups: new Set() };
    held.units++;
    held.groups.add(groups[group].id);
    reasons.set(reason, held);
  }
  return {
    path,
    params: before.params,
    macs: before.macs,
    sizeBytes: model.sizeBytes,
    units: units.length,
    prunableUnits: candidates.length,
    groups: groups.length,
    prunableGroups: new Set(candidates.map((unit) => units[unit].group)).size,
    fixed: [...reasons]
      .map(([reason, held]) => ({ reason, units: held.units, groups: [...held.groups] }))
      .toSorted((a, b) => b.units - a.units),
    least: {
      macs: after.macs / before.macs,
      params: after.params / before.params,
      bytes: after.parameterBytes / before.parameterBytes,
    },
  };
}

function roundsOf(settings: CompressSettings): readonly PlannedRound[] {
  const isAimed = hasTargets(settings);
  return Array.from({ length: settings.rounds }, (_, i) => {
    const round = i + 1;
    const acceptedDrop = acceptedDropOf(settings, round);
    // Each round that is left takes the same share of what is still to go: see `roundBudgets`.
    const targets = Object.entries(settings.targets).flatMap(([name, target]) =>
      target === undefined ? [] : [[name, target ** (round / settings.rounds)]],
    );
    return {
      round,
      targets: Object.fromEntries(targets),
      removalDrop: isAimed ? null : roundDropOf(settings),
      acceptedDrop: Number.isFinite(acceptedDrop) ? acceptedDrop : null,
    };
  });
}
