/** @file A network that is about to lose units: what a round begins with. */
import { join } from "node:path";
import { isLearned } from "../methods/learned-method.ts";
import type { Proposal } from "../methods/method.ts";
import type { Model } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { removeNothing } from "../structure/removal.ts";
import { type RemovalOrder, removalsInOrder, type SelectionRules } from "../structure/select.ts";
import { type Structure, structureOf } from "../structure/units.ts";
import type { EpochRecord } from "../train/checkpoint.ts";
import { rulesOf } from "./compress-settings.ts";
import { type CompressContext, reread } from "./context.ts";
import { finishPruning, type Pruned } from "./prune.ts";

/** A network that is about to lose units, and the order in which they may go. */
export interface Candidate {
  readonly network: Model;
  readonly structure: Structure;
  readonly proposal: Proposal;
  readonly order: RemovalOrder;
  /** Epochs of the method's own training. */
  readonly learning: readonly EpochRecord[];
}

/** Has the method score a network, which it may train for that. Fails as the method does. */
export async function propose(
  context: CompressContext,
  round: number,
  model: Model,
): Promise<Candidate> {
  const { run, settings, method, dataset, tuning, hooks } = context;
  const { seed } = settings.tuning;
  const rules = rulesOf(settings);
  const common = { seed, options: new Map(Object.entries(settings.methodOptions)), rules };
  const structure = structureOf(model.graph);
  const ranked = (
    network: Model,
    of: Structure,
    proposal: Proposal,
    learning: readonly EpochRecord[],
  ): Candidate => ({
    ...{ network, structure: of, proposal, learning },
    order: removalsInOrder(of, proposal.scores, rules),
  });
  if (!isLearned(method)) {
    hooks.onPhase?.(`round ${round}: scoring`);
    return ranked(model, structure, method.propose({ structure, ...common }), []);
  }
  hooks.onPhase?.(`round ${round}: learning`);
  const proposal = await method.learn({
    ...{ structure, ...common, model, dataset },
    training: {
      ...tuning,
      checkpoint: {
        path: join(run, "checkpoint", `learn-${round}.safetensors`),
        everySteps: settings.tuning.checkpointEvery,
        resumes: true,
      },
      onProgress: hooks.onProgress,
      onEpoch: hooks.onEpoch,
    },
  });
  const network = reread(writeModel(model, proposal.graph));
  return ranked(network, structureOf(network.graph), proposal, proposal.history);
}

/** A network of which nothing is to go. */
export function unscored(network: Model): Candidate {
  const structure = structureOf(network.graph);
  const nothing = removeNothing(structure);
  return {
    ...{ network, structure, learning: [] },
    proposal: { scores: new Float64Array(nothing.length), edits: () => [], notes: [] },
    order: { count: 0, choose: () => nothing },
  };
}

/** Whether anything may go at all: some methods fail where nothing does. */
export function canShrink({ graph }: Model, rules: SelectionRules): boolean {
  const structure = structureOf(graph);
  const order = removalsInOrder(structure, new Float64Array(structure.units.length), rules);
  return order.choose(order.count).some((gone) => gone === 1);
}

/** Whether anything goes with the `count` units that matter least: least widths and rounding may keep them. */
export function removesAny({ order }: Candidate, count: number): boolean {
  return order.choose(count).some((gone) => gone === 1);
}

/** Removes the `count` units that matter least. */
export function removeFirst(
  { network, structure, order, proposal }: Candidate,
  count: number,
): Pruned {
  const removed = order.choose(count);
  return finishPruning(network, structure, {
    ...{ method: "", removed, isReached: true, notes: [] },
    edits: proposal.edits(removed),
  });
}
