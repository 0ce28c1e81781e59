/** @file A compression that is only planned: what it would do with what it is given, and what that costs. */
import type { Dataset } from "../../data/dataset.ts";
import { preprocessingKey } from "../../data/stored-preprocessing.ts";
import { type AnyMethod, isLearned } from "../../methods/learned-method.ts";
import { anyMethodNamed } from "../../methods/learned-registry.ts";
import type { Proposal } from "../../methods/method.ts";
import type { Model } from "../../onnx/read.ts";
import { costModel } from "../../structure/cost.ts";
import { candidateUnits, removalsInOrder, unscoredUnits } from "../../structure/select.ts";
import { type Structure, structureOf } from "../../structure/units.ts";
import { type CompressRunRequest, readRequest } from "../compress-run.ts";
import {
  acceptedDropOf,
  type CompressSettings,
  compressSettingsOf,
  hasTargets,
  roundDropOf,
  rulesOf,
} from "../compress-settings.ts";
import { judgedBy, tuningOf } from "../context.ts";
import { requireFeasible } from "../feasible.ts";
import { canShrink } from "../rounds/candidate.ts";
import { requireFree } from "../runs/run-folder.ts";
import type { RunHooks } from "../runs/run-hooks.ts";
import { structureCost, unclaimable, unknownsOf } from "../unknown-costs.ts";
import { costOfRun, type RunCost, type RunTime, timeOf } from "./dry-run-cost.ts";
import { type GuardOutlook, guardOutlook } from "./dry-run-guard.ts";
import { warningsFor } from "./dry-run-warnings.ts";

/** What would be compressed; the folder is only looked at, where it is named. */
export type PlanRequest = Omit<CompressRunRequest, "run"> & { readonly run?: string };

/** The network as it is, and how much of it may go. */
export interface PlannedNetwork {
  readonly path: string;
  readonly params: number;
  readonly macs: number;
  readonly sizeBytes: number;
  readonly units: number;
  /** Units that the network, the rules and a method without training let go, and the groups that hold any. */
  readonly prunableUnits: number;
  readonly prunableGroups: number;
  readonly groups: number;
  /** Why the other units must stay, the commonest reason first. */
  readonly fixed: readonly {
    readonly reason: string;
    readonly units: number;
    readonly groups: readonly string[];
  }[];
  /** Shares of the original that remain when all has gone that may go. */
  readonly least: { readonly macs: number; readonly params: number; readonly bytes: number };
}

/** What one round aims at. */
export interface PlannedRound {
  /** From 1. */
  readonly round: number;
  /** Shares of the original that may remain after it; empty without targets. */
  readonly targets: CompressSettings["targets"];
  /** The drop on `select` that the removal may cause before fine-tuning; null with targets. */
  readonly removalDrop: number | null;
  /** The drop on `select` up to which it is accepted; null without a tolerance. */
  readonly acceptedDrop: number | null;
}

/** What a compression would do. */
export interface CompressionPlan {
  readonly network: PlannedNetwork;
  readonly data: Pick<Dataset, "path" | "format" | "labelKind" | "classes" | "sampleShape"> & {
    /** Images by role. */
    readonly samples: Readonly<Record<"fit" | "select" | "certify" | "test", number>>;
    readonly isHeldOut: boolean;
  };
  readonly method: Pick<AnyMethod, "name" | "summary" | "source" | "needs"> & {
    readonly trains: boolean;
  };
  readonly rounds: readonly PlannedRound[];
  readonly cost: RunCost;
  readonly time: RunTime;
  /** Null without a tolerance. */
  readonly guard: GuardOutlook | null;
  /** Complete, as `config.json` would hold them. */
  readonly settings: CompressSettings;
  /** What speaks against it, one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Plans a compression, tries a few batches and training steps, and writes nothing. What would make the
 * run fail at its beginning makes this fail as well: see `compressRun`.
 */
export async function planCompression(
  request: PlanRequest,
  hooks: RunHooks = {},
): Promise<CompressionPlan> {
  const settings = compressSettingsOf(request.settings);
  const method = anyMethodNamed(settings.method);
  if (request.run !== undefined) await requireFree(request.run);
  hooks.onPhase?.("reading");
  const { model, dataset, options } = await readRequest(request);
  const structure = structureOf(model.graph, settings);
  const hasLabels = dataset.labelKind !== "none";
  const labelled = await judgedBy(model, dataset, settings, {}, hooks.signal);
  const proposal = requireFeasible(structure, labelled, settings, {}, hasLabels);
  const network = networkOf(request.network, model, structure, settings, proposal);

  hooks.onPhase?.("trying");
  const tuning = tuningOf(settings, labelled, model.graph, hasLabels);
  const { prunableUnits, prunableGroups: groups } = network;
  const cost = costOfRun(settings, method, labelled, tuning, { structure, prunableUnits, groups });
  const time = await timeOf(model, labelled, tuning, cost, hooks);
  const { maxDrop, confidence } = settings;
  const samples = {
    ...{ fit: dataset.size("fit"), select: dataset.size("select") },
    ...{ certify: dataset.size("certify"), test: dataset.size("test") },
  };
  const { path, format, labelKind, classes, sampleShape } = dataset;
  const { name, summary, source, needs } = method;
  const plan = {
    network,
    data: {
      ...{ path, format, labelKind, classes, sampleShape, samples },
      isHeldOut: options.heldOut ?? false,
    },
    method: { name, summary, source, needs, trains: isLearned(method) },
    rounds: roundsOf(settings),
    ...{ cost, time, settings },
    guard:
      maxDrop === undefined
        ? null
        : guardOutlook({ maxDrop, confidence }, samples.certify, labelled.labelKind === "classes"),
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
    ...{ path, params: before.params, macs: before.macs, sizeBytes: model.sizeBytes },
    ...{ units: units.length, prunableUnits: candidates.length, groups: groups.length },
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
    // Of what is still to go, each round that is left takes the same share: see `roundBudgets`.
    const targets = Object.entries(settings.targets).flatMap(([name, target]) =>
      target === undefined ? [] : [[name, target ** (round / settings.rounds)]],
    );
    return {
      ...{ round, targets: Object.fromEntries(targets) },
      removalDrop: isAimed ? null : roundDropOf(settings),
      acceptedDrop: Number.isFinite(acceptedDrop) ? acceptedDrop : null,
    };
  });
}
