/**
 * @file The order in which parts of a network are removed: whole units, or single weights together with the units that
 * become superfluous.
 */
import { assert } from "../errors.ts";
import { emptyUnits } from "../methods/compensation/empty-units.ts";
import type { Proposal } from "../methods/method/method.ts";
import { type Budget, groupsToPrune, removalsInOrder } from "../structure/choice/select.ts";
import type { SelectionRules } from "../structure/choice/selection-rules.ts";
import type { PrefixOrder } from "../structure/choice/shortest-prefix.ts";
import type { Removed } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import type { Edit } from "../structure/weights/edits.ts";
import { weightConstants } from "../structure/weights/layer-weights.ts";
import { noZeros, withZeros, type Zeros } from "../structure/weights/zeros.ts";
import { pow } from "../tensor/elementary.ts";
import { sizeOf, toNumbers } from "../tensor/host-tensor.ts";

/** A removal from a network. */
export interface Cut {
  readonly removed: Removed;
  /** Weights that become 0 beforehand. */
  readonly zeros: Zeros;
  /** The edits by which readers compensate for removed units. */
  readonly edits: () => readonly Edit[];
}

/** Cuts that take more and more. */
export interface CutOrder extends PrefixOrder<Cut> {
  readonly what: "units" | "weights";
  /** Counts that are worth a network each in a search, ascending from above `least` to `count`. */
  readonly steps: readonly number[];
}

/**
 * The order that a proposal gives: over weights where it has scores of weights, over units else.
 *
 * @param scores Scores of units, where others than the proposal's own count.
 * @param gone Weights that are 0 and stay so, whatever the network holds there.
 */
export function cutsInOrder(
  structure: Structure,
  proposal: Proposal,
  rules: SelectionRules,
  { scores = proposal.scores, gone = noZeros } = {},
): CutOrder {
  const { weightScores } = proposal;
  if (weightScores !== undefined) return weightsInOrder(structure, weightScores, rules, gone);
  const { choose, giveBack, ...order } = removalsInOrder(structure, scores, rules);
  const cutOf = (removed: Removed): Cut => ({
    removed,
    zeros: noZeros,
    edits: () => proposal.edits(removed),
  });
  return {
    ...order,
    what: "units",
    choose: (units) => cutOf(choose(units)),
    giveBack: ({ removed }, isAllowed) =>
      cutOf(giveBack(removed, (each) => isAllowed(cutOf(each)))),
    steps: Array.from({ length: order.count }, (_, i) => i + 1),
  };
}

/** Tells whether a cut leaves no more than the budgets allow. */
export function meeting(budgets: readonly Budget[]): (cut: Cut) => boolean {
  return ({ removed, zeros }) =>
    budgets.every(({ remaining, fraction }) => remaining(removed, zeros) <= fraction);
}

/** Among single weights, how many must go is found to this share of those that stay. */
const precision = 0.002;

/** A weight with the order of its elements: gone already where -∞, never to go where +∞. */
interface Ranked {
  readonly name: string;
  readonly ranks: Float64Array;
}

/** The lowest scores go first; of each layer the weight that matters most stays. */
function weightsInOrder(
  structure: Structure,
  weightScores: ReadonlyMap<string, Float64Array>,
  rules: SelectionRules,
  gone: Zeros,
): CutOrder {
  const { analysis } = structure;
  const ranked = rankedWeights(structure, weightScores, rules, gone);
  const all = joined(ranked.map(({ ranks }) => ranks)).sort();
  const sorted = all.subarray(0, firstFrom(all, Number.POSITIVE_INFINITY));
  const least = firstFrom(sorted, -Number.MAX_VALUE);
  const cutAt = (wanted: number): Cut => {
    const count = Math.max(least, wanted);
    const border = count === 0 ? Number.NEGATIVE_INFINITY : sorted[count - 1];
    // The first ones of equal rank go.
    let equals = count - firstFrom(sorted, border);
    const zeros = new Map(gone);
    for (const { name, ranks } of ranked) {
      const flags = new Uint8Array(ranks.length);
      for (let i = 0; i < ranks.length; i++)
        if (ranks[i] < border || (ranks[i] === border && equals-- > 0)) flags[i] = 1;
      if (flags.includes(1)) zeros.set(name, flags);
    }
    const zeroed = structureOf(withZeros(analysis.graph, zeros), analysis);
    const { removed, edits } = emptyUnits(zeroed, rules);
    return { removed, zeros, edits: () => edits };
  };
  let last: { readonly count: number; readonly cut: Cut } | undefined;
  return {
    what: "weights",
    least,
    count: sorted.length,
    precision,
    choose(count) {
      if (last?.count !== count) last = { count, cut: cutAt(count) };
      return last.cut;
    },
    giveBack: (cut) => cut,
    steps: stepsBetween(least, sorted.length),
  };
}

function rankedWeights(
  structure: Structure,
  weightScores: ReadonlyMap<string, Float64Array>,
  rules: SelectionRules,
  gone: Zeros,
): readonly Ranked[] {
  const constants = weightConstants(structure.analysis.graph);
  const isPruned = prunedWeights(structure, rules);
  return [...weightScores].flatMap(([name, scores]): Ranked[] => {
    const constant = constants.get(name);
    if (constant === undefined || !isPruned(name)) return [];
    assert(scores.length === sizeOf(constant.shape), "there is a score for every weight");
    const values = toNumbers(constant.read());
    const flags = gone.get(name);
    const ranks = new Float64Array(scores.length);
    let best = 0;
    for (let i = 0; i < ranks.length; i++) {
      const isGone = values[i] === 0 || flags?.[i] === 1;
      const score = Number.isNaN(scores[i]) ? Number.POSITIVE_INFINITY : scores[i];
      ranks[i] = isGone ? Number.NEGATIVE_INFINITY : Math.max(score, -Number.MAX_VALUE);
      if (ranks[i] > ranks[best]) best = i;
    }
    if (ranks[best] > Number.NEGATIVE_INFINITY) ranks[best] = Number.POSITIVE_INFINITY;
    return [{ name, ranks }];
  });
}

/** Whether the rules leave a weight to be pruned, by its name: those of the groups that they name. */
function prunedWeights(structure: Structure, rules: SelectionRules): (name: string) => boolean {
  const groups = groupsToPrune(structure, rules);
  const kept = new Set<string>();
  const pruned = new Set<string>();
  for (const [index, { axes }] of structure.groups.entries())
    for (const axis of axes) {
      const { tensor, isSelection } = structure.filterAxes[axis];
      if (!isSelection) (groups.has(index) ? pruned : kept).add(tensor);
    }
  return (name) => (rules.only === undefined ? !kept.has(name) : pruned.has(name));
}

/** Whether the rules leave any weight that may become 0: of each layer one always stays. */
export function anyWeightMayGo(structure: Structure, rules: SelectionRules): boolean {
  const isPruned = prunedWeights(structure, rules);
  for (const [name, constant] of weightConstants(structure.analysis.graph))
    if (isPruned(name) && toNumbers(constant.read()).filter((value) => value !== 0).length > 1)
      return true;
  return false;
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The first place in an ascending list of a number that is not below `least`. */
function firstFrom(sorted: Float64Array, least: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Steps of a search over weights, and the share of what is left that remains after all but the last. */
const searchSteps = 300;
const leastLeft = 1e-3;

/** Counts each of which leaves the same share of what the one before has left. */
function stepsBetween(least: number, count: number): readonly number[] {
  const counts = Array.from({ length: searchSteps }, (_, i) => {
    const left = (count - least) * pow(leastLeft, (i + 1) / searchSteps);
    return i + 1 === searchSteps ? count : count - Math.round(left);
  });
  return [...new Set(counts)].filter((step) => step > least);
}
