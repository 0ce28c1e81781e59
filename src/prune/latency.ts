/**
 * @file Pruning to a latency.
 *
 * A cost table says how long layers take at which widths, and so what latency a removal leaves. The removal that is
 * chosen by it is timed against the original, interleaved, where the table is of this machine: what the estimate was
 * off by corrects the next one, until the measured ratio fits. For a table from elsewhere, the estimate is all there is.
 */
import { assert } from "../errors.ts";
import { machineCosts } from "../measure/latency/machine-costs.ts";
import type { CostProgress } from "../measure/latency/measure-costs.ts";
import { nodeSource } from "../measure/latency/node-engine.ts";
import { latenciesOf, type MeasuredPair } from "../measure/latency/pair.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { type Budget, groupsToPrune } from "../structure/choice/select.ts";
import type { CostSource, CostTable } from "../structure/timing/cost-table.ts";
import { type TimeModel, timeModel } from "../structure/timing/time-model.ts";
import type { Removed } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { requireGoOn } from "../tensor/steps.ts";
import { counted } from "../words/numbers.ts";
import {
  budgetsOf,
  chooseUnits,
  finishPruning,
  missedTargets,
  type PruneOptions,
  type PruningChoice,
} from "./prune.ts";
import { describeMissed, type Pruned, partsOf } from "./pruned.ts";
import { structureCost, unclaimable } from "./unknown-costs.ts";

/** What latency to reach, and how to measure it. */
export interface LatencyTarget {
  /** Share of the original's latency that may remain, in (0, 1]. */
  readonly fraction: number;
  /**
   * A cost table that says what layers take. By default that of this machine: what its cache holds, and what it lacks
   * measured. With a table from elsewhere nothing is timed.
   */
  readonly costs?: CostTable | undefined;
  /** Threads inside an operator; default all processors, or those of `costs`. */
  readonly threads?: number | undefined;
  readonly providers?: readonly string[] | undefined;
  /** Seconds for one comparison with the original; default 2. */
  readonly seconds?: number | undefined;
  /** Comparisons at most; default 5. */
  readonly rounds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told before each measurement; round 0 times the layers of the original. */
  readonly onRound?:
    | ((progress: { readonly round: number; readonly rounds: number }) => void)
    | undefined;
  /** Told how far round 0 is. */
  readonly onCosts?: ((progress: CostProgress) => void) | undefined;
}

/** The measured latency of a pruned network, beside its original. */
export interface MeasuredLatency extends MeasuredPair {
  /** The comparison that gave it; the first is 1. */
  readonly round: number;
}

/** The latency of a pruned network by a cost table, beside its original. */
export interface EstimatedLatency {
  readonly medianMs: number;
  readonly originalMs: number;
  /** Pruned / original. */
  readonly ratio: number;
  /** Where the table comes from. */
  readonly source: CostSource;
}

/** A pruned network with its latency. `isReached` speaks of all targets, this one by measurement where there is one. */
export interface PrunedToLatency extends Pruned {
  /** Absent where the table is from elsewhere. */
  readonly latency: MeasuredLatency | undefined;
  readonly estimate: EstimatedLatency;
}

/** A result this far below the target is taken; one further below is worth a milder try. */
const slack = 0.04;
const budgetName = "latency";

/** Whether a table was measured on this machine, with this engine. */
function isOfThisMachine({ machine, engine }: CostSource): boolean {
  const here = nodeSource();
  return machine === here.machine && engine === here.engine;
}

/** Networks are timed as the layers of the table were, unless the caller says otherwise. */
function timedAs({ threads, providers }: LatencyTarget, { source }: CostTable) {
  return { threads: threads ?? source.threads, providers: providers ?? [source.provider] };
}

/**
 * Prunes until the latency is at most `target.fraction` of the original's, and as near to it as the rounds allow. When
 * no round gets there, the fastest is returned, `isReached` false.
 */
export async function pruneToLatency(
  model: Model,
  options: PruneOptions,
  target: LatencyTarget,
): Promise<PrunedToLatency> {
  const { signal, rounds = 5 } = target;
  const structure = structureOf(model.graph, options);
  groupsToPrune(structure, options.rules ?? {});
  if (target.costs === undefined) target.onRound?.({ round: 0, rounds });
  const costs =
    target.costs ??
    (await machineCosts(
      { name: "network", model, structure },
      { ...target, signal, onProgress: target.onCosts },
    ));
  const aimed: AimedPruning = {
    model,
    structure,
    options: { ...options, rules: { ...options.rules, costs: options.rules?.costs ?? costs } },
    times: timeModel(structure, costs),
    source: costs.source,
  };
  if (!isOfThisMachine(costs.source)) return estimated(aimed, target.fraction);
  return confirmed(aimed, { ...target, ...timedAs(target, costs) });
}

/** The budget for a latency by a cost table: the share of the original's time that may remain. */
export function latencyBudget(
  { msAfter, evenMsAfter, originalMs }: TimeModel,
  fraction: number,
): Budget {
  return {
    name: budgetName,
    fraction,
    remaining: (removed) => msAfter(removed) / originalMs,
    evenly: (removed) => evenMsAfter(removed) / originalMs,
  };
}

/** What pruning to a latency works with. */
interface AimedPruning {
  readonly model: Model;
  readonly structure: Structure;
  readonly options: PruneOptions;
  readonly times: TimeModel;
  readonly source: CostSource;
}

/** The choice whose estimated latency is at most `aim` of the original's. */
function chooseFor({ structure, options, times }: AimedPruning, aim: number): PruningChoice {
  const budget = latencyBudget(times, aim);
  return chooseUnits(structure, {
    ...options,
    budgets: (pruned) => [...(options.budgets?.(pruned) ?? []), budget],
  });
}

/** The latency that the table gives. */
function estimateOf({ times, source }: AimedPruning, removed: Removed): EstimatedLatency {
  const { originalMs } = times;
  const medianMs = times.msAfter(removed);
  return { medianMs, originalMs, ratio: medianMs / originalMs, source };
}

/** Pruned by the table alone, with a note that nothing was timed. */
function estimated(aimed: AimedPruning, fraction: number): PrunedToLatency {
  const choice = chooseFor(aimed, fraction);
  const pruned = finishPruning(aimed.model, aimed.structure, choice);
  const { machine, engine } = aimed.source;
  const notes = [
    ...pruned.notes,
    `the latency is an estimate by a cost table of ${machine}, ${engine}: time the result there`,
    ...unmeasuredNotes(aimed.times),
  ];
  const estimate = estimateOf(aimed, choice.removed);
  return { ...pruned, notes, latency: undefined, estimate };
}

/** The note on layers whose kinds the table lacks; none where it has all. */
function unmeasuredNotes({ layers, unmeasured }: TimeModel): readonly string[] {
  if (unmeasured.length === 0) return [];
  return [
    `the cost table lacks the kinds of ${unmeasured.length} of ${counted(layers.length, "layer")}, which are ` +
      "estimated from the kinds most alike",
  ];
}

/** Pruned by the table, timed, and corrected by what the estimate was off by. */
async function confirmed(aimed: AimedPruning, target: LatencyTarget): Promise<PrunedToLatency> {
  const { model, structure, options } = aimed;
  const { fraction, threads, providers, signal, rounds = 5, seconds = 2 } = target;
  const original = writeModel(model).chunks;
  const how = { threads, providers, signal, dims: structure.analysis.dims, seconds };
  const goal = fraction - Math.min(slack, fraction) / 2;
  let best: PrunedToLatency | undefined;
  let passing = 0;
  let failing = Number.POSITIVE_INFINITY;
  let aim = goal;
  let last: Removed | undefined;
  for (let round = 1; round <= rounds; round++) {
    const choice = chooseFor(aimed, aim);
    // Other targets, or the rules, leave no further choice.
    if (best !== undefined && choice.removed.join() === last?.join()) break;
    last = choice.removed;
    const pruned = finishPruning(model, structure, choice);
    target.onRound?.({ round, rounds });
    const latency = { ...(await latenciesOf(original, pruned.bytes.chunks, how)), round };
    const { ratio } = latency;
    const isMet = ratio <= fraction;
    const estimate = estimateOf(aimed, choice.removed);
    best = better(best, withLatency(pruned, { options, latency, estimate }, fraction), fraction);
    if (isMet && ratio >= fraction - slack) break;
    if (isMet) passing = Math.max(passing, aim);
    else if (choice.isReached) failing = Math.min(failing, aim);
    else break; // nothing more may be removed
    const next = Math.min(1, (goal * estimate.ratio) / ratio);
    const isBetween = next > passing && next < failing;
    aim = isBetween ? next : (passing + Math.min(failing, 1)) / 2;
    requireGoOn(signal);
  }
  assert(best !== undefined, "at least one round was made");
  return { ...best, notes: [...best.notes, ...unmeasuredNotes(aimed.times)] };
}

interface Figures {
  readonly options: PruneOptions;
  readonly latency: MeasuredLatency;
  readonly estimate: EstimatedLatency;
}

/** The result with its measurement in place of what the estimate said. */
function withLatency(
  pruned: Pruned,
  { options, latency, estimate }: Figures,
  asked: number,
): PrunedToLatency {
  const { structure, removed } = partsOf(pruned);
  const isMet = latency.ratio <= asked;
  const others = [
    ...budgetsOf(structure, options.targets ?? {}),
    ...(options.budgets?.(structure) ?? []),
  ];
  const isClear = unclaimable(structureCost(structure), options.targets ?? {}).length === 0;
  const missed = missedTargets(others, removed);
  const isReached = isMet && isClear && missed.length === 0;
  // What the estimate said of the latency is no longer true: it was measured.
  const estimated = pruned.missed.filter(({ target }) => target === budgetName).map(describeMissed);
  const notes = pruned.notes.filter((note) => !estimated.includes(note));
  const slow = isMet ? [] : [{ target: budgetName, asked, reached: latency.ratio }];
  return { ...pruned, notes, isReached, missed: [...missed, ...slow], latency, estimate };
}

/** The mildest that meets the target, else the fastest. */
function better(
  a: PrunedToLatency | undefined,
  b: PrunedToLatency,
  fraction: number,
): PrunedToLatency {
  if (a === undefined) return b;
  const [ra, rb] = [a, b].map(({ latency, estimate }) => (latency ?? estimate).ratio);
  if (ra <= fraction && rb <= fraction) return rb > ra ? b : a;
  if (ra <= fraction || rb <= fraction) return ra <= fraction ? a : b;
  return rb < ra ? b : a;
}
