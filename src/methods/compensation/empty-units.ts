/**
 * @file Units that zeros in the weights have made superfluous, and their removal without any change of the network's
 * results.
 *
 * A unit is superfluous where each of its readers either multiplies it with 0, or finds a constant there
 * (its filters are all 0, say) that a bias can stand in for at every place. A constant other than 0 that
 * is read next to zero padding is no such constant.
 */
import { consumersOf } from "../../ir/graph.ts";
import { channelOf } from "../../ops/operator/linear-layer.ts";
import type { ConstantChannels } from "../../ops/operator/operator.ts";
import { constantChannels } from "../../ops/passes/constant-channels.ts";
import type { Analysis } from "../../structure/analysis/analysis.ts";
import { candidateUnits, removalsInOrder } from "../../structure/choice/select.ts";
import type { SelectionRules } from "../../structure/choice/selection-rules.ts";
import { type Removed, removeNothing } from "../../structure/units/removal.ts";
import type { Structure } from "../../structure/units/units.ts";
import type { Edit } from "../../structure/weights/edits.ts";
import { lowerMean } from "./compensation.ts";
import { otherReadsOf, type Reader, readersOf } from "./readers.ts";

/** A removal that changes nothing. */
export interface EmptyUnits {
  readonly removed: Removed;
  /** New parameters of the readers, which absorb the constants of the removed units. */
  readonly edits: readonly Edit[];
}

/**
 * All superfluous units that the rules allow to be removed, including units that become superfluous when others are
 * removed.
 */
export function emptyUnits(structure: Structure, rules: SelectionRules = {}): EmptyUnits {
  const { graph } = structure.analysis;
  const constants = constantsOf(structure.analysis);
  const consumers = consumersOf(graph);
  const readers = readersOf(structure).map((reader): ConstantReader => {
    const known = reader.axis === 1 ? constants.get(reader.source) : undefined;
    const isFoldable =
      lowerMean(graph, consumers, reader, new Float64Array(reader.weight.outputs)) !== undefined;
    return { ...reader, known, isFoldable };
  });
  const fixed = new Set<number>();
  for (const { source, axis, sourceUnits } of otherReadsOf(structure, readers))
    for (const [channel, unit] of sourceUnits.entries())
      if (axis !== 1 || constants.get(source)?.[channel] !== 0) fixed.add(unit);

  const candidates = candidateUnits(structure, rules);
  let removed = removeNothing(structure);
  // A unit that is not empty stays, even where rounding would prefer a narrower width.
  const scores = new Float64Array(removed.length).fill(Number.POSITIVE_INFINITY);
  for (let step = 0; ; step++) {
    const isNeeded = neededUnits(readers, removed, fixed);
    const isEmpty = (unit: number): boolean =>
      !isNeeded[unit] && (structure.dependants.get(unit) ?? []).every(isEmpty);
    let count = 0;
    for (const unit of candidates) {
      if (!isEmpty(unit)) continue;
      count++;
      // Units that were removed in earlier passes stay removed.
      scores[unit] = Math.min(scores[unit], step);
    }
    const next = removalsInOrder(structure, scores, rules).choose(count);
    if (next.every((flag, unit) => flag === removed[unit])) break;
    removed = next;
  }
  return { removed, edits: readers.flatMap((reader) => folded(structure, reader, removed)) };
}

/** The constant parts of every value of a network, by name. */
export function constantsOf({ graph, operands }: Analysis): ReadonlyMap<string, ConstantChannels> {
  const known = new Map<string, ConstantChannels>();
  for (const node of graph.nodes) {
    const own = operands.get(node);
    if (own === undefined) continue;
    const found = constantChannels(node, {
      inputs: own.inputs,
      outputs: own.outputs,
      channels: (index) => known.get(node.inputs[index] ?? ""),
      constant: (index) => graph.constants.get(node.inputs[index] ?? "")?.read(),
    });
    if (found?.some((value) => !Number.isNaN(value))) known.set(node.outputs[0], found);
  }
  return known;
}

/** A reader with the known constants of its source. */
interface ConstantReader extends Reader {
  readonly known: ConstantChannels | undefined;
  /** Whether there is a place for a bias. */
  readonly isFoldable: boolean;
}

/** Flags of the units that some reader needs, after a removal. */
function neededUnits(
  readers: readonly ConstantReader[],
  removed: Removed,
  fixed: ReadonlySet<number>,
): Uint8Array {
  const needed = new Uint8Array(removed.length);
  for (const unit of fixed) if (unit >= 0) needed[unit] = 1;
  for (const { weight, shares, known, isFoldable, sourceUnits, resultUnits } of readers) {
    const { outputs, inputs, taps, values } = weight;
    for (let o = 0; o < outputs; o++) {
      if (resultUnits[o] >= 0 && removed[resultUnits[o]] === 1) continue;
      const first = channelOf(weight, o, 0);
      for (let i = 0; i < inputs; i++) {
        const unit = sourceUnits[first + i];
        if (unit < 0 || needed[unit] === 1) continue;
        const x = known?.[first + i] ?? Number.NaN;
        if (x === 0) continue;
        const isFolded = isFoldable && !Number.isNaN(x);
        const at = (o * inputs + i) * taps;
        for (let k = 0; k < taps; k++)
          if (values[at + k] !== 0 && !(isFolded && shares[k] === 1)) needed[unit] = 1;
      }
    }
  }
  return needed;
}

/** The bias that stands in for the constants among what a reader loses. */
function folded({ analysis }: Structure, reader: ConstantReader, removed: Removed): Edit[] {
  const { weight, known, sourceUnits, resultUnits } = reader;
  const { outputs, inputs, taps, values } = weight;
  const loss = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    if (resultUnits[o] >= 0 && removed[resultUnits[o]] === 1) continue;
    const first = channelOf(weight, o, 0);
    for (let i = 0; i < inputs; i++) {
      const unit = sourceUnits[first + i];
      if (unit < 0 || removed[unit] === 0) continue;
      const x = known?.[first + i] ?? 0;
      const at = (o * inputs + i) * taps;
      // Unknown constants are NaN, and 0 · NaN is not 0, so weights of 0 are skipped.
      for (let k = 0; k < taps; k++) if (values[at + k] !== 0) loss[o] += values[at + k] * x;
    }
  }
  if (loss.every((value) => value === 0)) return [];
  const edit = lowerMean(analysis.graph, consumersOf(analysis.graph), reader, loss);
  return edit ? [edit] : [];
}
