/** @file One-shot pruning without training: score, select under targets, compensate, remove. */
import { EspalierError } from "../errors.ts";
import { type Graph, isDefault } from "../ir/graph.ts";
import { bn, knownShare } from "../methods/bn.ts";
import { magnitude } from "../methods/magnitude.ts";
import {
  autoMethod,
  type ChosenMethod,
  chosenOf,
  type Method,
  type Proposal,
} from "../methods/method/method.ts";
import type { GivenOptions } from "../methods/method/options.ts";
import { methodNamed } from "../methods/registry.ts";
import type { Model, ModelBytes } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { maskReads } from "../structure/change/masks.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import {
  type Budget,
  groupsToPrune,
  isScored,
  requireShares,
  unscoredUnits,
} from "../structure/choice/select.ts";
import type { SelectionRules } from "../structure/choice/selection-rules.ts";
import { leastEnough } from "../structure/choice/shortest-prefix.ts";
import { costModel, costOf } from "../structure/cost/cost.ts";
import { editsOf, type Plan, planOf, removalOf, zerosOf } from "../structure/plan.ts";
import type { Removed } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { applyEdits, type Edit } from "../structure/weights/edits.ts";
import { weightTotal } from "../structure/weights/layer-weights.ts";
import { nonZeroModel, noZeros, withZeros, type Zeros } from "../structure/weights/zeros.ts";
import {
  atOnce,
  inTurns,
  type StepOptions,
  type StepProgress,
  type Steps,
  within,
} from "../tensor/steps.ts";
import { counted } from "../words/numbers.ts";
import { cutsInOrder, meeting } from "./cut-order.ts";
import {
  describeMissed,
  type MissedTarget,
  type Pruned,
  type PrunedParts,
  type SelectedInputs,
  withParts,
} from "./pruned.ts";
import { requireCountable, structureCost, unclaimable, unknownsOf } from "./unknown-costs.ts";

/** Shares of the original that may remain, each in (0, 1]. */
export interface Targets {
  readonly macs?: number | undefined;
  readonly params?: number | undefined;
  readonly bytes?: number | undefined;
  /** Weights of linear layers that are not 0. */
  readonly density?: number | undefined;
}

/** What `prune` is asked for. */
export interface PruneOptions {
  /**
   * A registered name, a method with options of its own such as `methods.bn({ mode: "rms" })`, or a method object; by
   * default, or with `auto`, `methodFor` chooses. Not needed with `plan`.
   */
  readonly method?: string | Method | ChosenMethod | undefined;
  readonly targets?: Targets | undefined;
  /** Further limits, such as a measured latency. */
  readonly budgets?: ((structure: Structure) => readonly Budget[]) | undefined;
  readonly rules?: SelectionRules | undefined;
  /** The method's own options by their names on the command line, where `method` does not hold them. */
  readonly methodOptions?: GivenOptions | undefined;
  readonly seed?: number | undefined;
  /** Whether layers may select what they read of inputs and of flattened maps; a plan says so itself. */
  readonly selectsInputs?: boolean | undefined;
  /** Sizes for symbolic dims. */
  readonly dims?: ReadonlyMap<string, number> | undefined;
  /** Called before every step, of which a method may make many. */
  readonly onProgress?: ((progress: StepProgress) => void) | undefined;
  /** Apply this plan instead of choosing. */
  readonly plan?: Plan | undefined;
}

/**
 * Prunes a model once, without training. The result is exact up to the method's own compensation:
 * `referenceFor` of `espalier/graph` gives the network that it must equal.
 *
 * Errors: `METHOD_UNKNOWN`, `METHOD_NEEDS_DATA` for a method that trains, `METHOD_NEEDS_BN`,
 * `TARGET_INVALID`, `PATTERN_UNMATCHED`, `PLAN_INVALID`.
 */
export function prune(model: Model, options: PruneOptions): Pruned {
  return atOnce(pruneSteps(model, options), options.onProgress);
}

/** What `pruneAsync` is asked for. */
export interface PruneAsyncOptions extends PruneOptions, StepOptions {}

/**
 * As {@link prune}, with the same bytes, and a turn of the event loop between its steps: a page or a worker stays
 * alive, hears of progress and can stop it. `bn` makes a step of each layer and of every few removals; other single steps
 * may take seconds in large networks.
 *
 * Errors: as `prune`, and `ABORTED`.
 */
export async function pruneAsync(model: Model, options: PruneAsyncOptions): Promise<Pruned> {
  return inTurns(pruneSteps(model, options), options);
}

const steps = ["analysing", "scoring", "choosing", "removing"] as const;

function stepOf(step: (typeof steps)[number]): StepProgress {
  return { step, done: steps.indexOf(step), total: steps.length };
}

function* pruneSteps(model: Model, options: PruneOptions): Steps<Pruned> {
  const { selectsInputs = options.plan?.selectsInputs } = options;
  yield stepOf("analysing");
  const structure = structureOf(model.graph, { ...options, selectsInputs });
  const chosen = options.plan
    ? fromPlan(structure, options.plan)
    : yield* choiceSteps(structure, options);
  yield stepOf("removing");
  return finishPruning(model, structure, chosen);
}

/** What was chosen, before it is carried out. */
export interface PruningChoice {
  readonly method: string;
  /** Why this method was taken, where nobody named one. */
  readonly methodReason?: string;
  readonly removed: Removed;
  /** Single weights that become 0, before edits and removal. */
  readonly zeros?: Zeros;
  readonly edits: readonly Edit[];
  readonly isReached: boolean;
  readonly missed: readonly MissedTarget[];
  readonly notes: readonly string[];
}

/** Scores and selects. */
export function chooseUnits(structure: Structure, options: PruneOptions): PruningChoice {
  return atOnce(choiceSteps(structure, options));
}

function* choiceSteps(structure: Structure, options: PruneOptions): Steps<PruningChoice> {
  const { targets = {}, seed = 0 } = options;
  const rules: SelectionRules = { ...options.rules, roundTo: options.rules?.roundTo ?? "auto" };
  const { chosen, reason } = methodFor(structure, rules, options);
  const { method } = chosen;
  const budgets = [...budgetsOf(structure, targets), ...(options.budgets?.(structure) ?? [])];
  if (budgets.length === 0)
    throw new EspalierError("TARGET_INVALID", "no target was given", {
      hint: "Say how much may remain, for example `macs` 0.6.",
    });
  requireShares(budgets);
  requireCountable(structure, targets);
  // A pattern that names nothing fails before anything is scored.
  groupsToPrune(structure, rules);
  yield stepOf("scoring");
  const context = { structure, seed, options: chosen.options, rules };
  const proposal = method.proposeInSteps
    ? yield* within(stepOf("scoring"), method.proposeInSteps(context))
    : method.propose(context);
  yield stepOf("choosing");
  const order = cutsInOrder(structure, proposal, rules);
  const { removed, zeros, edits } = leastEnough(order, meeting(budgets));
  const missed = missedTargets(budgets, removed, zeros);
  const isMissed = missed.some(({ target }) => target === "macs");
  const unclear = isMissed ? [] : unclaimable(structureCost(structure), targets);
  const alternatives = missed.length === 0 ? [] : methodsThatScoreMore(structure, proposal, rules);
  return {
    method: method.name,
    ...(reason !== undefined && { methodReason: reason }),
    removed,
    zeros,
    edits: edits(),
    isReached: missed.length === 0 && unclear.length === 0,
    missed,
    notes: [
      ...(proposal.warnings ?? []),
      ...proposal.notes,
      ...missed.map(describeMissed),
      ...unclear,
      ...alternatives,
      ...unknownsOf(structure),
    ],
  };
}

/** The budgets that a removal does not meet. */
export function missedTargets(
  budgets: readonly Budget[],
  removed: Removed,
  zeros?: Zeros,
): readonly MissedTarget[] {
  return budgets.flatMap(({ name, fraction, remaining }) => {
    const reached = remaining(removed, zeros);
    return reached <= fraction ? [] : [{ target: name, asked: fraction, reached }];
  });
}

/**
 * The method that is asked for; without a name, or with `auto`, `bn` where batch normalization tells of half of what may
 * go (in multiply-accumulates) or more, else `magnitude`. Fails with `METHOD_UNKNOWN`, `METHOD_NEEDS_DATA`, and with
 * `USAGE` for options of a method that nobody named.
 */
function methodFor(
  structure: Structure,
  rules: SelectionRules,
  { method: wanted = autoMethod, methodOptions }: PruneOptions,
): { readonly chosen: ChosenMethod; readonly reason?: string } {
  if (wanted !== autoMethod) {
    const named = typeof wanted === "string" ? methodNamed(wanted) : wanted;
    return { chosen: chosenOf(named, methodOptions) };
  }
  if (methodOptions !== undefined && Object.keys(methodOptions).length > 0)
    throw new EspalierError("USAGE", "options of a method are given, but no method", {
      hint: "Name the method that they belong to.",
      data: { options: Object.keys(methodOptions) },
    });
  const known = knownShare(structure, rules);
  const share = `${Math.round(100 * known)} %`;
  const all = "of the multiply-accumulates that may go";
  if (known >= enough)
    return {
      chosen: { method: bn, options: {} },
      reason: `batch normalization tells of ${share} ${all}`,
    };
  const why = known > 0 ? `tells of no more than ${share} ${all}` : "tells of nothing that may go";
  return { chosen: { method: magnitude, options: {} }, reason: `batch normalization ${why}` };
}

/** The share of which `bn` has to know something. */
const enough = 0.5;

/** The note that another method without training can score the unscored units of a proposal, where one can. */
function methodsThatScoreMore(
  structure: Structure,
  { scores, weightScores }: Proposal,
  rules: SelectionRules,
): readonly string[] {
  const unscored = unscoredUnits(structure, scores, rules);
  if (weightScores !== undefined || unscored.length === 0) return [];
  const other = magnitude.propose({ structure, seed: 0, options: {}, rules }).scores;
  const more = unscored.filter((unit) => isScored(other[unit])).length;
  if (more === 0) return [];
  return [`the method ${magnitude.name} can score ${more} of the units that stay`];
}

/** Budgets for the given targets, as shares of the structure's own totals. */
export function budgetsOf(structure: Structure, targets: Targets): Budget[] {
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length));
  const budgets: Budget[] = [];
  const add = (name: "macs" | "params" | "bytes", key: "macs" | "params" | "parameterBytes") => {
    const fraction = targets[name];
    if (fraction === undefined) return;
    budgets.push({
      name,
      fraction,
      remaining: (removed) => shareOf(totals(removed)[key], before[key]),
    });
  };
  add("macs", "macs");
  add("params", "params");
  add("bytes", "parameterBytes");
  const { density } = targets;
  if (density === undefined) return budgets;
  const nonZeros = nonZeroModel(structure);
  const all = weightTotal(structure.analysis.graph);
  const remaining: Budget["remaining"] = (removed, zeros) => nonZeros(removed, zeros) / all;
  return [...budgets, { name: "density", fraction: density, remaining }];
}

/** A part of a whole; all of it where that is nothing. */
function shareOf(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole;
}

function fromPlan(structure: Structure, plan: Plan): PruningChoice {
  return {
    method: plan.method,
    removed: removalOf(structure, plan),
    zeros: zerosOf(structure.analysis.graph, plan),
    edits: editsOf(plan),
    isReached: true,
    missed: [],
    notes: unknownsOf(structure),
  };
}

/** Carries out a choice: edits, removal, bytes, figures. */
export function finishPruning(model: Model, structure: Structure, choice: PruningChoice): Pruned {
  const { removed, edits, zeros = noZeros, ...told } = choice;
  const { dims } = structure.analysis;
  const edited = editedStructure(structure, { zeros, edits });
  const graph = removeUnits(edited, removed);
  const bytes = writeModel(model, graph);
  const [before, after] = [model.graph, graph].map((each) => costOf(each, dims));
  const changed = changedDefaults(model.graph, graph);
  const pruned: Pruned = {
    ...told,
    graph,
    bytes,
    notes: [...choice.notes.filter((note) => !changed.includes(note)), ...changed],
    plan: planOf(structure, removed, choice.method, edits, zeros),
    before: { params: before.params, macs: before.macs, sizeBytes: model.sizeBytes },
    after: {
      params: after.params,
      macs: after.macs,
      sizeBytes: bytes.byteLength + (bytes.external?.byteLength ?? 0),
    },
    groups: structure.groups.map(({ id, units }) => ({
      id,
      before: units.length,
      after: units.filter((unit) => removed[unit] === 0).length,
    })),
    selected: selectedInputs(structure, removed),
  };
  return withParts(pruned, { structure, removed, zeros, edits });
}

/** The warning that weights which a caller may feed have another shape now; none where no such weights changed. */
function changedDefaults(before: Graph, after: Graph): readonly string[] {
  const names = [...before.constants.values()].flatMap((constant) => {
    const { name, shape } = constant;
    const now = after.constants.get(name);
    return isDefault(constant) && now?.shape.join() !== shape.join() ? [name] : [];
  });
  if (names.length === 0) return [];
  const shown = names.slice(0, 3).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  return [
    `${counted(names.length, "weight is", "weights are")} listed as inputs, too, and narrower now ` +
      `(${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}): feed no values of the old shapes for them.`,
  ];
}

/** What layers read before and after a removal, where they may select it, in graph order. */
export function selectedInputs(
  { filterAxes }: Structure,
  removed: Removed,
): readonly SelectedInputs[] {
  return filterAxes
    .filter(({ isSelection }) => isSelection)
    .map(({ node, width, units }) => ({
      layer: node.name,
      before: width,
      after: units.filter((unit) => removed[unit] === 0).length,
    }));
}

/**
 * The network that a pruned one must equal, from its parts (`partsOf`): the original with the same zeros and edits, and
 * zeros wherever a removed channel was read.
 */
export function referenceFor(
  model: Model,
  { structure, removed, ...changes }: PrunedParts,
): ModelBytes {
  return writeModel(model, maskReads(editedStructure(structure, changes), removed));
}

/** The structure of the edited graph. Edits change values, never ties, so units keep their numbers. */
function editedStructure(
  structure: Structure,
  { zeros, edits }: Pick<PrunedParts, "zeros" | "edits">,
): Structure {
  if (edits.length === 0 && zeros.size === 0) return structure;
  const { analysis } = structure;
  return structureOf(applyEdits(withZeros(analysis.graph, zeros), edits), analysis);
}
