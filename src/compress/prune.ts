/** @file One-shot pruning without training: score, select under targets, compensate, remove. */
import { EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Method } from "../methods/method.ts";
import { methodNamed } from "../methods/registry.ts";
import type { Model } from "../onnx/read.ts";
import { type ModelBytes, writeModel } from "../onnx/write.ts";
import { costModel, costOf } from "../structure/cost.ts";
import { applyEdits, type Edit } from "../structure/edits.ts";
import { maskReads } from "../structure/masks.ts";
import { editsOf, type Plan, planOf, removalOf } from "../structure/plan.ts";
import type { Removed } from "../structure/removal.ts";
import { type Budget, type SelectionRules, selectUnits } from "../structure/select.ts";
import { removeUnits } from "../structure/surgery.ts";
import { type Structure, structureOf } from "../structure/units.ts";

/** Shares of the original that may remain, each in (0, 1]. */
export interface Targets {
  readonly macs?: number;
  readonly params?: number;
  readonly bytes?: number;
}

/** What `prune` is asked for. */
export interface PruneOptions {
  /** A registered name, or a method object. Not needed with `plan`. */
  readonly method?: string | Method;
  readonly targets?: Targets;
  /** Further limits, such as a measured latency. */
  readonly budgets?: (structure: Structure) => readonly Budget[];
  readonly rules?: SelectionRules;
  /** The method's own options by name. */
  readonly methodOptions?: ReadonlyMap<string, string>;
  readonly seed?: number;
  /** Whether layers may select what they read of inputs and of flattened maps; a plan says so itself. */
  readonly selectsInputs?: boolean;
  /** Sizes for symbolic dims. */
  readonly dims?: ReadonlyMap<string, number>;
  /** Apply this plan instead of choosing. */
  readonly plan?: Plan;
}

/** The cost figures of one side. */
export interface Figures {
  readonly params: number;
  readonly macs: number;
  readonly sizeBytes: number;
}

/** How many features a layer reads, where it selects them. */
export interface SelectedInputs {
  /** Node name. */
  readonly layer: string;
  readonly before: number;
  readonly after: number;
}

/** The result of `prune`. */
export interface Pruned {
  readonly method: string;
  /** The smaller network; patched from the original. */
  readonly graph: Graph;
  readonly bytes: ModelBytes;
  readonly plan: Plan;
  readonly before: Figures;
  readonly after: Figures;
  /** Units per group. */
  readonly groups: readonly {
    readonly id: string;
    readonly before: number;
    readonly after: number;
  }[];
  /** Layers that select what they read: features that they read, which costs no MACs. */
  readonly selected: readonly SelectedInputs[];
  /** False when the targets lie below what may be removed; the most that may was removed then. */
  readonly isReached: boolean;
  readonly notes: readonly string[];
  readonly structure: Structure;
  readonly removed: Removed;
  readonly edits: readonly Edit[];
}

/**
 * Prunes a model once, without training. The result is exact up to the method's own compensation:
 * `referenceFor` gives the network that it must equal.
 *
 * Errors: `METHOD_UNKNOWN`, `METHOD_NEEDS_BN`, `TARGET_INVALID`, `PATTERN_UNMATCHED`, `PLAN_INVALID`.
 */
export function prune(model: Model, options: PruneOptions): Pruned {
  const { selectsInputs = options.plan?.selectsInputs } = options;
  const structure = structureOf(model.graph, { ...options, selectsInputs });
  const chosen = options.plan ? fromPlan(structure, options.plan) : chooseUnits(structure, options);
  return finishPruning(model, structure, chosen);
}

/** What was chosen, before it is carried out. */
export interface Choice {
  readonly method: string;
  readonly removed: Removed;
  readonly edits: readonly Edit[];
  readonly isReached: boolean;
  readonly notes: readonly string[];
}

/** Scores and selects. */
export function chooseUnits(structure: Structure, options: PruneOptions): Choice {
  const { targets = {}, rules = {}, seed = 0, methodOptions = new Map() } = options;
  const method =
    typeof options.method === "object" ? options.method : methodNamed(options.method ?? "bn");
  const budgets = [...budgetsOf(structure, targets), ...(options.budgets?.(structure) ?? [])];
  if (budgets.length === 0)
    throw new EspalierError("TARGET_INVALID", "no target was given", {
      hint: "Say how much may remain, for example --macs 0.6.",
    });
  const proposal = method.propose({ structure, seed, options: methodOptions, rules });
  const { removed, isReached, remaining } = selectUnits(structure, proposal.scores, budgets, rules);
  const missed = budgets
    .filter(({ name, fraction }) => (remaining.get(name) ?? 0) > fraction)
    .map(
      ({ name, fraction }) =>
        `the target --${name} ${fraction} is out of reach: ${(remaining.get(name) ?? 1).toFixed(3)} is the least that the rules allow`,
    );
  return {
    method: method.name,
    removed,
    edits: proposal.edits(removed),
    isReached,
    notes: [...proposal.notes, ...missed],
  };
}

/** Budgets for the given targets, as shares of the structure's own totals. */
export function budgetsOf(structure: Structure, targets: Targets): Budget[] {
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length));
  const budgets: Budget[] = [];
  const add = (name: keyof Targets, key: "macs" | "params" | "parameterBytes") => {
    const fraction = targets[name];
    if (fraction === undefined) return;
    budgets.push({ name, fraction, remaining: (removed) => totals(removed)[key] / before[key] });
  };
  add("macs", "macs");
  add("params", "params");
  add("bytes", "parameterBytes");
  return budgets;
}

function fromPlan(structure: Structure, plan: Plan): Choice {
  return {
    method: plan.method,
    removed: removalOf(structure, plan),
    edits: editsOf(plan),
    isReached: true,
    notes: [],
  };
}

/** Carries out a choice: edits, removal, bytes, figures. */
export function finishPruning(model: Model, structure: Structure, choice: Choice): Pruned {
  const { removed, edits } = choice;
  const { dims } = structure.analysis;
  const edited = editedStructure(structure, edits);
  const graph = removeUnits(edited, removed);
  const bytes = writeModel(model, graph);
  const cost = (of: Graph) => costOf(of, dims);
  const [before, after] = [cost(model.graph), cost(graph)];
  return {
    ...choice,
    graph,
    bytes,
    plan: planOf(structure, removed, choice.method, edits),
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
    structure,
  };
}

/** What layers read before and after a removal, where they may select it, in graph order. */
export function selectedInputs(
  { filterAxes }: Structure,
  removed: Removed,
): readonly SelectedInputs[] {
  return filterAxes
    .filter(({ isSelection }) => isSelection)
    .map(({ node, width, units }) => ({
      ...{ layer: node.name, before: width },
      after: units.filter((unit) => removed[unit] === 0).length,
    }));
}

/**
 * The network that a pruned one must equal: the original with the same edits, and zeros wherever a
 * removed channel was read.
 */
export function referenceFor(
  model: Model,
  { structure, removed, edits }: Pick<Pruned, "structure" | "removed" | "edits">,
): ModelBytes {
  return writeModel(model, maskReads(editedStructure(structure, edits), removed));
}

/** The structure of the edited graph. Edits change values, never ties, so units keep their numbers. */
function editedStructure(structure: Structure, edits: readonly Edit[]): Structure {
  if (edits.length === 0) return structure;
  const { analysis } = structure;
  return structureOf(applyEdits(analysis.graph, edits), analysis);
}
