/** @file Several rounds of removal as one, in the indices of the original. */
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { useKey } from "../../structure/analysis/analysis.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import { type Plan, type PlanAxis, zerosOf } from "../../structure/plan.ts";
import {
  keptAlong,
  type Removed,
  removeNothing,
  withDependants,
} from "../../structure/units/removal.ts";
import type { FilterAxis, Structure } from "../../structure/units/units.ts";
import { type LayerWeight, layerWeights } from "../../structure/weights/layer-weights.ts";
import type { Zeros } from "../../structure/weights/zeros.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";

/**
 * The units of the original that are gone after all plans, each of which speaks of what the one before
 * it left. Fails with `PLAN_INVALID` where a plan does not fit what was left.
 */
export function composeRemovals(original: Structure, plans: readonly Plan[]): Removed {
  const removed = removeNothing(original);
  for (const axis of original.filterAxes) {
    let kept = Array.from({ length: axis.width }, (_, index) => index);
    for (const plan of plans) {
      const cut = axisIn(plan, axis);
      if (cut === undefined) continue;
      if (cut.width !== kept.length)
        throw new EspalierError(
          "PLAN_INVALID",
          `"${cut.tensor}" of "${cut.node}" has ${kept.length} channels left; the plan says ${cut.width}`,
        );
      kept = cut.kept.map((index) => kept[index]);
    }
    const isKept = new Set(kept);
    for (const [index, unit] of axis.units.entries()) if (!isKept.has(index)) removed[unit] = 1;
  }
  return withDependants(original, removed);
}

/**
 * The weights of the original that all plans make 0, as {@link composeRemovals} composes units. Fails with
 * `PLAN_INVALID` where a plan speaks of weights that were not left.
 */
export function composeZeros(original: Structure, plans: readonly Plan[]): Zeros {
  const composed = new Map<string, Uint8Array>();
  const weights = new Map(
    layerWeights(original.analysis.graph).map((weight) => [weight.node.name, weight]),
  );
  for (const [round, plan] of plans.entries()) {
    if (plan.zeros === undefined) continue;
    const removed = composeRemovals(original, plans.slice(0, round));
    const left = removeUnits(original, removed);
    const zeros = zerosOf(left, plan);
    for (const { node, constant } of layerWeights(left)) {
      const [weight, flags] = [weights.get(node.name), zeros.get(constant.name)];
      if (weight === undefined || flags === undefined) continue;
      const { name, shape } = weight.constant;
      const own = composed.get(name) ?? new Uint8Array(sizeOf(shape));
      composed.set(name, own);
      for (const [i, place] of placesLeft(original, removed, weight).entries())
        if (flags[i] === 1) own[place] = 1;
    }
  }
  return composed;
}

/** Where the elements of a weight that are left stood in it, row by row. */
function placesLeft(
  structure: Structure,
  removed: Removed,
  { node, role, constant: { name, shape } }: LayerWeight,
): readonly number[] {
  const layout = structure.analysis.parameters.get(useKey(name, shape, node, role.weightInput));
  let places = [0];
  for (const [axis, size] of shape.entries()) {
    const kept = layout ? keptAlong(structure, removed, layout, axis) : [...Array(size).keys()];
    places = places.flatMap((place) => kept.map((index) => place * size + index));
  }
  return places;
}

/** Removal may give a shared parameter another name, so axes are found by their node. */
function axisIn({ groups }: Plan, { node, axis }: FilterAxis): PlanAxis | undefined {
  for (const { axes } of groups)
    for (const cut of axes) if (cut.node === node.name && cut.axis === axis) return cut;
  return undefined;
}

/**
 * The fault in words where `small` does not have the shape that the removal gives the original: the same nodes, and
 * parameters of the same sizes.
 */
export function mismatchAfter(
  original: Structure,
  removed: Removed,
  small: Graph,
): string | undefined {
  return mismatchOf(removeUnits(original, removed), small);
}

/**
 * The fault in words where two networks do not have the same nodes, and parameters of the same sizes. A layer without a
 * bias may have been given one, which makes up for channels that it no longer reads.
 */
export function mismatchOf(expected: Graph, found: Graph): string | undefined {
  const shapeIn = (graph: Graph, input: string | undefined) =>
    graph.constants.get(input ?? "")?.shape.join("x");
  for (const [i, { name, inputs }] of expected.nodes.entries()) {
    const other = found.nodes.at(i);
    const isSame =
      other?.name === name &&
      inputs.every((input, k) => shapeIn(expected, input) === shapeIn(found, other.inputs[k])) &&
      other.inputs.slice(inputs.length).every((input) => found.constants.has(input));
    if (!isSame) return `${name} has other parameters than the plan says`;
  }
  return found.nodes.length === expected.nodes.length
    ? undefined
    : "it has more nodes than the plan leaves";
}
