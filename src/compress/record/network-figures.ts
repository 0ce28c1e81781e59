/** @file The figures of a report that follow from the two networks: what they cost, and what was removed. */
import type { Graph } from "../../ir/graph.ts";
import type { Model } from "../../onnx/model.ts";
import type { Cost } from "../../structure/cost/cost.ts";
import type { Removed } from "../../structure/units/removal.ts";
import type { Structure } from "../../structure/units/units.ts";
import {
  figuresOf,
  isSparse,
  layerSupports,
  magnitudeSupportOf,
  supportedWeights,
} from "../../structure/weights/supports.ts";
import type { CompressReport } from "./compress-report.ts";

/** What one side costs. */
export function costFigures(
  { macs, params }: Cost,
  { sizeBytes }: Pick<Model, "sizeBytes">,
): Pick<CompressReport["result"], "macs" | "params" | "sizeBytes"> {
  return { macs, params, sizeBytes };
}

/** The groups of the original, and what is left of each. */
export function groupsOf(
  { groups, filterAxes }: Structure,
  removed: Removed,
): CompressReport["groups"] {
  return groups.map(({ id, units, axes }) => ({
    id,
    layers: axes.map((axis) => filterAxes[axis].node.name),
    before: units.length,
    after: units.filter((unit) => removed[unit] === 0).length,
  }));
}

/** Every layer that costs anything, by its name before. */
export function layersOf(before: Cost, after: Cost): CompressReport["layers"] {
  const small = new Map(after.layers.map((layer) => [layer.name, layer]));
  return before.layers
    .filter(({ macs, params }) => macs > 0 || params > 0)
    .map(({ name, opType, macs, params }) => ({
      name,
      opType,
      before: { macs, params },
      after: { macs: small.get(name)?.macs ?? 0, params: small.get(name)?.params ?? 0 },
    }));
}

/** The weights of each linear layer before and after; none where the result has no zeros beyond chance. */
export function sparsityOf(original: Graph, result: Graph): CompressReport["sparsity"] {
  const [before, after] = [layerSupports(original), layerSupports(result)];
  const densities = [...after.values()].map(({ weights, nonZero }) => nonZero / weights);
  if (!densities.some(isSparse)) return [];
  const weights = supportedWeights(original);
  return [...after].flatMap(([layer, own]) => {
    const [first, weight] = [before.get(layer), weights.get(layer)];
    if (first === undefined || weight === undefined) return [];
    const magnitude = figuresOf(magnitudeSupportOf(weight, own.nonZero));
    return [{ layer, before: first, magnitude, after: own }];
  });
}
