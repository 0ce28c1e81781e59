/**
 * @file Sensitivity: the drop when one group of channels is thinned and all others stay unchanged. It shows where a
 * network is wider than necessary; a removal from all groups at once causes a larger drop than the sum.
 */

import type { Dataset } from "../data/dataset.ts";
import type { Role } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";
import type { OutcomeOptions } from "../measure/evaluation/options.ts";
import {
  measureOutcomes,
  metricOf,
  type Outcomes,
  pairedDropAsync,
  samplesOf,
} from "../measure/outcomes/outcomes.ts";
import type { Interval } from "../measure/statistics/statistics.ts";
import { withLabelsOrAnswers } from "../measure/unlabelled/pseudo-outputs.ts";
import { anyMethodNamed } from "../methods/learned-registry.ts";
import { isLearned } from "../methods/method/learned-method.ts";
import {
  type ChosenMethod,
  chosenOf,
  type Method,
  type Proposal,
} from "../methods/method/method.ts";
import type { GivenOptions } from "../methods/method/options.ts";
import { untrainedMethods } from "../methods/registry.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { sessionOptionsOf } from "../runtime/session.ts";
import { candidateUnits, isScored, removalsInOrder } from "../structure/choice/select.ts";
import type { SelectionRules } from "../structure/choice/selection-rules.ts";
import type { PrefixOrder } from "../structure/choice/shortest-prefix.ts";
import { countRemoved, type Removed } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { finishPruning } from "./prune.ts";
import { readOnce } from "./sensitivity-samples.ts";
import { unknownsOf } from "./unknown-costs.ts";

/** The options of a sensitivity measurement. */
export interface SensitivityOptions extends Omit<OutcomeOptions, "onProgress"> {
  /** The samples to take. Default `select`. */
  readonly split?: Role | undefined;
  /** Only the first so many samples of the split. Default 1000. */
  readonly limit?: number | undefined;
  /**
   * Says which units of a group go first: a name, a method with options of its own such as `methods.bn({ mode: "rms" })`,
   * or a method object, without training. Default `magnitude`.
   */
  readonly method?: string | Method | ChosenMethod | undefined;
  /** The method's own options by their names on the command line, where `method` does not hold them. */
  readonly methodOptions?: GivenOptions | undefined;
  /** Seeds whatever is random. Default 0. */
  readonly seed?: number | undefined;
  /** Shares per group; default 5. */
  readonly points?: number | undefined;
  /** Which groups, and how narrow they may get. */
  readonly rules?: SelectionRules | undefined;
  /** Whether layers may select what they read of inputs and of flattened maps. */
  readonly selectsInputs?: boolean | undefined;
  /** Sizes for symbolic dims. */
  readonly dims?: ReadonlyMap<string, number> | undefined;
  /** Called before anything is measured, and after each point. */
  readonly onProgress?: ((progress: SensitivityProgress) => void) | undefined;
}

/** The progress of a measurement. */
export interface SensitivityProgress {
  /** Points measured. */
  readonly done: number;
  readonly total: number;
  /** The group at hand. */
  readonly group: string;
}

/** One group, thinned to one width. */
export interface SensitivityPoint {
  /** The share of the group's prunable units that was to go, in (0, 1). */
  readonly share: number;
  /** The units that went: whole ones, and one at least stays on every axis. */
  readonly units: number;
  /** The original's metric minus this one's: positive is worse. */
  readonly drop: number;
  /** The interval of the drop, paired over samples. */
  readonly ci95: Interval;
  /** The share of the original's multiply-accumulates that remains. */
  readonly macs: number;
}

/** The drops when one group is thinned. */
export interface GroupSensitivity {
  readonly id: string;
  readonly units: number;
  /** The units that may be removed by the rules and the network, and that the method can score. */
  readonly prunableUnits: number;
  /** By rising share. */
  readonly points: readonly SensitivityPoint[];
}

/** The drops when each group is thinned by itself. */
export interface Sensitivity {
  /** The method that says which units go first. */
  readonly method: string;
  /**
   * `top1` or `miou`; where the samples have no labels, `agreement` with the original, or `similarity` of all
   * outputs to its own.
   */
  readonly metric: string;
  readonly split: Role;
  readonly samples: number;
  /** The original's metric. */
  readonly value: number;
  /** Groups with units that may go, in graph order. */
  readonly groups: readonly GroupSensitivity[];
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

/** Samples that are measured on, unless another number is asked for. */
export const defaultLimit = 1000;
/** Shares per group, unless another number is asked for. */
export const defaultPoints = 5;

/**
 * Removes, for each group alone, the lowest-scored share of its prunable units (with the method's
 * compensation, without training), and measures what that costs. The shares are the middles of
 * `points` equal parts of [0, 1]: 0.1, 0.3, 0.5, 0.7 and 0.9 of five.
 *
 * Fails with `USAGE` for a method that trains, `METHOD_UNKNOWN`, `METHOD_NEEDS_BN`, `DATA_NOT_FOUND` for a
 * split without samples, `PATTERN_UNMATCHED`, and as `measureOutcomes`.
 */
export async function sensitivity(
  model: Model,
  dataset: Dataset,
  options: SensitivityOptions = {},
): Promise<Sensitivity> {
  const { split = "select", points = defaultPoints, signal, onProgress } = options;
  const { seed = 0, rules = {} } = options;
  if (!(Number.isInteger(points) && points >= 1))
    throw new EspalierError("USAGE", `points is ${points}; expected a whole number of at least 1`);
  const wanted = typeof options.method === "object" ? options.method : named(options.method);
  const chosen = chosenOf(wanted, options.methodOptions);
  const { method } = chosen;
  const structure = structureOf(model.graph, options);
  const proposal = method.propose({ structure, seed, options: chosen.options, rules });
  const measureOutcomesOn = await measurerOf(model, dataset, split, options);

  const candidates = candidateUnits(structure, rules).filter((unit) =>
    isScored(proposal.scores[unit]),
  );
  const groups = groupsOf(structure, candidates);
  const total = groups.length * points;
  const original = await measureOutcomesOn(writeModel(model).chunks);
  /** One point of a curve: what the removal of these units costs. */
  const pointAt = async (share: number, removed: Removed): Promise<SensitivityPoint> => {
    const pruned = finishPruning(model, structure, {
      method: method.name,
      removed,
      isReached: true,
      missed: [],
      notes: [],
      edits: proposal.edits(removed),
    });
    const outcomes = await measureOutcomesOn(pruned.bytes.chunks);
    const { drop, ci95 } = await pairedDropAsync(original, outcomes, { level: 0.025, signal });
    const macs = pruned.after.macs / pruned.before.macs;
    return { share, units: countRemoved(removed), drop, ci95, macs };
  };
  let done = 0;
  const measured: GroupSensitivity[] = [];
  for (const { id, units, own } of groups) {
    onProgress?.({ done, total, group: id });
    const order = orderWithin(structure, own, proposal, rules);
    const curve: SensitivityPoint[] = [];
    for (let i = 0; i < points; i++) {
      const share = (2 * i + 1) / (2 * points);
      const removed = order.choose(Math.round(share * own.length));
      const before = curve.at(-1) ?? { units: 0, drop: 0, ci95: [0, 0], macs: 1 };
      const isSame = countRemoved(removed) === before.units;
      curve.push(isSame ? { ...before, share } : await pointAt(share, removed));
      done++;
      onProgress?.({ done, total, group: id });
    }
    measured.push({ id, units, prunableUnits: own.length, points: curve });
  }
  const { metric, value } = metricOf(original);
  return {
    method: method.name,
    metric: dataset.labelKind === "none" && metric !== "similarity" ? "agreement" : metric,
    split,
    samples: samplesOf(original),
    value,
    groups: measured,
    notes: [...(proposal.warnings ?? []), ...proposal.notes, ...unknownsOf(structure)],
  };
}

/** The groups that hold candidates, and these. */
function groupsOf(structure: Structure, candidates: readonly number[]) {
  return structure.groups
    .map(({ id, units }, index) => ({
      id,
      units: units.length,
      own: candidates.filter((unit) => structure.units[unit].group === index),
    }))
    .filter(({ own }) => own.length > 0);
}

function named(name = "magnitude"): Method {
  const method = anyMethodNamed(name);
  if (!isLearned(method)) return method;
  throw new EspalierError("USAGE", `the method ${name} trains before it scores`, {
    hint: `Sensitivity is measured with one of ${untrainedMethods.map((one) => one.name).join(", ")}.`,
    data: { method: name },
  });
}

/** Runs networks on the same samples, which are read and, without labels, labelled by the original once. */
async function measurerOf(
  model: Model,
  dataset: Dataset,
  split: Role,
  options: SensitivityOptions,
): Promise<(network: readonly Uint8Array[]) => Promise<Outcomes>> {
  const { limit = defaultLimit, batchSize, output } = options;
  if (dataset.size(split) === 0)
    throw new EspalierError("DATA_NOT_FOUND", `${dataset.path}: no images serve as \`${split}\``, {
      hint: "Name another split, or cut roles from the test file with `heldOut`.",
    });
  const session = {
    ...sessionOptionsOf(options),
    ...(output !== undefined && { output }),
  };
  const labelled = await withLabelsOrAnswers(dataset, writeModel(model).chunks, session);
  const samples = readOnce(labelled);
  return (network) =>
    measureOutcomes(network, samples, {
      ...session,
      split,
      limit,
      ...(batchSize !== undefined && { batchSize }),
    });
}

/** Removals of a group's own units alone, the lowest scores first. */
function orderWithin(
  structure: Structure,
  own: readonly number[],
  { scores }: Proposal,
  rules: SelectionRules,
): PrefixOrder<Removed> {
  // Patterns of ids would not do: an id may hold a `*`, or be the name of a layer elsewhere.
  const ranks = new Float64Array(structure.units.length).fill(Number.POSITIVE_INFINITY);
  const ranked = own.toSorted((a, b) => scores[a] - scores[b] || a - b);
  for (const [rank, unit] of ranked.entries()) ranks[unit] = rank;
  return removalsInOrder(structure, ranks, rules);
}
