/**
 * @file Pruning to a latency that is measured on this machine.
 *
 * Every layer of the original is timed once. The latency after a removal is estimated from these times: a layer's time
 * scales with its multiply-accumulates, or with its elements where it has none. Real kernels have steps and fixed
 * costs, so the estimate only proposes: the result is timed against the original, interleaved, and the estimate's
 * target is moved until the measured ratio fits.
 */
import { assert } from "../errors.ts";
import { type BenchOptions, bench, profile } from "../measure/latency/bench.ts";
import type { Interval } from "../measure/statistics/statistics.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { operatorOf } from "../ops/index.ts";
import type { ModelSource } from "../runtime/values.ts";
import { type Budget, groupsToPrune } from "../structure/choice/select.ts";
import { type Removed, removeNothing, shapeAfter } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import { requireGoOn } from "../tensor/steps.ts";
import {
  budgetsOf,
  chooseUnits,
  finishPruning,
  missedTargets,
  type PruneOptions,
} from "./prune.ts";
import { describeMissed, type Pruned, partsOf } from "./pruned.ts";
import { structureCost, unclaimable } from "./unknown-costs.ts";

/** What latency to reach, and how to measure it. */
export interface LatencyTarget {
  /** Share of the original's latency that may remain, in (0, 1]. */
  readonly fraction: number;
  /** Threads inside an operator; default all processors. */
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
}

/** The measured latency of a pruned network, beside its original. */
export interface MeasuredLatency {
  readonly medianMs: number;
  readonly originalMs: number;
  /** Pruned / original. */
  readonly ratio: number;
  readonly ci95: Interval;
  readonly threads: number;
  readonly provider: string;
  /** The comparison that gave it; the first is 1. */
  readonly round: number;
}

/** A pruned network with its latency. `isReached` speaks of all targets, this one by measurement. */
export interface PrunedToLatency extends Pruned {
  readonly latency: MeasuredLatency;
}

/** A result this far below the target is taken; one further below is worth a milder try. */
const slack = 0.03;
/** The estimate is moved a little further than the last measurement asks. */
const margin = 0.98;
const budgetName = "latency";

/** Lets both networks take turns, and gives the latency of the second. */
async function measured(
  original: ModelSource,
  pruned: ModelSource,
  how: BenchOptions,
): Promise<Omit<MeasuredLatency, "round">> {
  const models = [
    { name: "original", model: original },
    { name: "pruned", model: pruned },
  ];
  const { models: latencies, ratios, threads, provider } = await bench(models, how);
  return {
    medianMs: latencies[1].medianMs,
    originalMs: latencies[0].medianMs,
    ratio: ratios[0].ratio,
    ci95: ratios[0].ci95,
    threads,
    provider,
  };
}

/**
 * Prunes until the measured latency is at most `target.fraction` of the original's, and as near to
 * it as the rounds allow. When no round gets there, the fastest is returned, `isReached` false.
 */
export async function pruneToLatency(
  model: Model,
  options: PruneOptions,
  target: LatencyTarget,
): Promise<PrunedToLatency> {
  const { fraction, threads, providers, signal, rounds = 5, seconds = 2 } = target;
  const structure = structureOf(model.graph, options);
  groupsToPrune(structure, options.rules ?? {});
  const { dims } = structure.analysis;
  const original = writeModel(model).chunks;
  const how = { threads, providers, signal, dims, seconds };
  target.onRound?.({ round: 0, rounds });
  const estimate = latencyModel(
    structure,
    await profile(original, { threads, providers, signal, dims }),
  );

  let best: PrunedToLatency | undefined;
  let passing = 0;
  let failing = Number.POSITIVE_INFINITY;
  let aim = fraction;
  let last: Removed | undefined;
  for (let round = 1; round <= rounds; round++) {
    const budget: Budget = { name: budgetName, fraction: aim, remaining: estimate };
    const choice = chooseUnits(structure, {
      ...options,
      budgets: (pruned) => [...(options.budgets?.(pruned) ?? []), budget],
    });
    // Other targets, or the rules, leave no further choice.
    if (best !== undefined && choice.removed.join() === last?.join()) break;
    last = choice.removed;
    const pruned = finishPruning(model, structure, choice);
    target.onRound?.({ round, rounds });
    const latency = { ...(await measured(original, pruned.bytes.chunks, how)), round };
    const { ratio } = latency;
    const isMet = ratio <= fraction;
    const candidate = withLatency(pruned, options, latency, fraction);
    best = better(best, candidate, fraction);
    if (isMet && ratio >= fraction - slack) break;
    if (isMet) passing = Math.max(passing, aim);
    else if (choice.isReached) failing = Math.min(failing, aim);
    else break; // nothing more may be removed
    const next = Math.min(1, (aim * fraction * (isMet ? 1 : margin)) / ratio);
    const isBetween = next > passing && next < failing;
    aim = isBetween ? next : (passing + Math.min(failing, 1)) / 2;
    requireGoOn(signal);
  }
  assert(best !== undefined, "at least one round was made");
  return best;
}

/**
 * The share of the original's time that a removal leaves, by the times of single nodes. Time that
 * belongs to no node (reordering between kernels) is taken to shrink like the rest.
 */
export function latencyModel(
  structure: Structure,
  times: ReadonlyMap<string, number>,
): (removed: Removed) => number {
  const { graph, operands } = structure.analysis;
  const nothing = removeNothing(structure);
  const parts = graph.nodes.flatMap((node) => {
    // Kernels for blocked layouts are named after the value that they compute.
    const names = [node.name, ...node.outputs.map((output) => `${output}_nchwc`)];
    const ms = names.reduce((sum, name) => sum + (times.get(name) ?? 0), 0);
    if (ms === 0) return [];
    const own = operands.get(node);
    const bound = operatorOf(node);
    const work = (removed: Removed): number => {
      if (own === undefined || bound === undefined) return 1;
      const shape = (tensor: (typeof own.inputs)[number]) =>
        tensor && shapeAfter(structure, removed, own.layoutOf(tensor));
      const outputs = own.outputs.map((tensor) =>
        shapeAfter(structure, removed, own.layoutOf(tensor)),
      );
      const { attrs, operator } = bound;
      const macs = operator.macs({ attrs, inputs: own.inputs.map(shape), outputs });
      return macs > 0 ? macs : outputs.reduce((sum, output) => sum + sizeOf(output), 0);
    };
    return [{ ms, work, before: Math.max(1, work(nothing)) }];
  });
  const total = parts.reduce((sum, { ms }) => sum + ms, 0);
  return (removed) =>
    total === 0
      ? 1
      : parts.reduce((sum, { ms, work, before }) => sum + (ms * work(removed)) / before, 0) / total;
}

/** The result with its measurement in place of what the estimate said. */
function withLatency(
  pruned: Pruned,
  options: PruneOptions,
  latency: MeasuredLatency,
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
  return { ...pruned, notes, isReached, missed: [...missed, ...slow], latency };
}

/** The mildest that meets the target, else the fastest. */
function better(
  a: PrunedToLatency | undefined,
  b: PrunedToLatency,
  fraction: number,
): PrunedToLatency {
  if (a === undefined) return b;
  const [ra, rb] = [a.latency.ratio, b.latency.ratio];
  if (ra <= fraction && rb <= fraction) return rb > ra ? b : a;
  if (ra <= fraction || rb <= fraction) return ra <= fraction ? a : b;
  return rb < ra ? b : a;
}
