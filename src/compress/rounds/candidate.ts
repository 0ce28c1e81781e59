/** @file The network with which a round begins, and the order in which its units are removed. */
import { join } from "node:path";
import type { Graph } from "../../ir/graph.ts";
import { anyMethodNamed } from "../../methods/learned-registry.ts";
import { isLearned, type LearnedProposal } from "../../methods/method/learned-method.ts";
import type { Proposal } from "../../methods/method/method.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { anyWeightMayGo, type CutOrder, cutsInOrder } from "../../prune/cut-order.ts";
import { budgetsOf, finishPruning } from "../../prune/prune.ts";
import type { Pruned } from "../../prune/pruned.ts";
import {
  type CompressSettings,
  hasTargets,
  rulesOf,
} from "../../runs/settings/compress-settings.ts";
import { perSaving } from "../../structure/choice/per-saving.ts";
import { type Budget, removalsInOrder } from "../../structure/choice/select.ts";
import type { SelectionRules } from "../../structure/choice/selection-rules.ts";
import { removeNothing } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { noZeros, type Zeros, zerosIn } from "../../structure/weights/zeros.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import { type CompressContext, methodContextOf, reread } from "../context/context.ts";
import { secondsLeft } from "../context/time-budget.ts";
import { logEpoch } from "./learning-events.ts";
import { roundBudgets } from "./targets.ts";

/** A network that is about to lose units or weights, and the order in which they may go. */
export interface Candidate {
  readonly network: Model;
  readonly structure: Structure;
  readonly proposal: Proposal & Pick<LearnedProposal, "posteriorFacts">;
  /** The memory of the method for the next round, in the form of the network. */
  readonly memory: Model | undefined;
  readonly order: CutOrder;
  /** Epochs of the method's own training. */
  readonly learning: readonly EpochRecord[];
}

/**
 * Has the method score a network, which it may train for that. Fails as the method does.
 *
 * @param memory What the method remembers of the round that the network comes from.
 */
export async function propose(
  context: CompressContext,
  round: number,
  model: Model,
  memory: Graph | undefined,
): Promise<Candidate> {
  const { run, settings, method, dataset, tuning, hooks } = context;
  const { selectsInputs } = settings;
  const structure = structureOf(model.graph, { selectsInputs });
  const scored = methodContextOf(structure, settings);
  const budgets = hasTargets(settings)
    ? await roundBudgets(context, round, { network: model, structure })
    : [];
  const rankedBy = (found: Omit<Candidate, "order">) =>
    ranked(found, budgets, scored.rules, zerosIn(model.graph));
  if (!isLearned(method)) {
    hooks.onPhase?.(`round ${round}: scoring`);
    const proposal = method.propose(scored);
    return rankedBy({ network: model, structure, proposal, learning: [], memory: undefined });
  }
  hooks.onPhase?.(`round ${round}: learning`);
  const proposal = await method.learn({
    ...scored,
    model,
    dataset,
    memory,
    budgets,
    training: {
      ...tuning,
      timeBudgetSeconds: await secondsLeft(context, `round ${round}/learning`),
      checkpoint: {
        path: join(run, "checkpoint", `learn-${round}.safetensors`),
        everySteps: settings.tuning.checkpointEvery,
        resumes: true,
      },
      onProgress: hooks.onProgress,
      onEpoch(record, isBest) {
        logEpoch(run, round, record);
        hooks.onEpoch?.(record, isBest);
      },
    },
  });
  const network = reread(writeModel(model, proposal.graph));
  const remembered = proposal.memory && reread(writeModel(model, proposal.memory));
  const learnt = structureOf(network.graph, { selectsInputs });
  return rankedBy({
    network,
    structure: learnt,
    proposal,
    learning: proposal.history,
    memory: remembered,
  });
}

/** A candidate with its order: by losses for what each unit saves, where the method estimates losses. */
function ranked(
  found: Omit<Candidate, "order">,
  budgets: readonly Budget[],
  rules: SelectionRules,
  gone: Zeros,
): Candidate {
  const { structure, proposal } = found;
  const { losses } = proposal;
  // A tolerance alone is there to save multiply-accumulates.
  const saved = () => (budgets.length > 0 ? budgets : budgetsOf(structure, { macs: 1 }));
  const scores = losses ? perSaving(structure, losses, saved()) : proposal.scores;
  // Weights that were 0 before the method learnt are set to 0 again.
  return { ...found, order: cutsInOrder(structure, proposal, rules, { scores, gone }) };
}

/** A network from which nothing is removed. */
export function unscored(network: Model, settings: CompressSettings): Candidate {
  const structure = structureOf(network.graph, settings);
  const nothing = removeNothing(structure);
  return {
    network,
    structure,
    learning: [],
    memory: undefined,
    proposal: { scores: new Float64Array(nothing.length), edits: () => [], notes: [] },
    order: {
      what: "units",
      least: 0,
      count: 0,
      precision: 0,
      steps: [],
      choose: () => ({ removed: nothing, zeros: noZeros, edits: () => [] }),
      giveBack: (cut) => cut,
    },
  };
}

/** Whether single weights are set to 0, and then superfluous units removed; otherwise whole units are removed. */
export function takesWeights({ method, methodOptions }: CompressSettings): boolean {
  return anyMethodNamed(method).judgesWeights?.(methodOptions) ?? false;
}

/** Whether anything may go at all: some methods fail where nothing does. */
export function canShrink({ graph }: Model, settings: CompressSettings): boolean {
  const structure = structureOf(graph, settings);
  const rules = rulesOf(settings);
  if (takesWeights(settings)) return anyWeightMayGo(structure, rules);
  const order = removalsInOrder(structure, new Float64Array(structure.units.length), rules);
  return order.choose(order.count).some((gone) => gone === 1);
}

/** Whether anything goes with the `count` that matter least: least widths and rounding may keep units. */
export function removesAny({ order }: Candidate, count: number): boolean {
  if (order.what === "weights") return count > order.least;
  return order.choose(count).removed.some((gone) => gone === 1);
}

/** Removes the `count` units or weights that matter least. */
export function removeFirst({ network, structure, order }: Candidate, count: number): Pruned {
  const { removed, zeros, edits } = order.choose(count);
  return finishPruning(network, structure, {
    method: "",
    removed,
    zeros,
    edits: edits(),
    isReached: true,
    missed: [],
    notes: [],
  });
}
