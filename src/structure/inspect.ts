/** @file The description of a model: cost per layer, groups of channels, and the reasons why some must stay. */
import { type Graph, operatorName, type Shape } from "../ir/graph.ts";
import type { DType } from "../tensor/dtype.ts";
import type { AnalyzeOptions } from "./analysis/analysis.ts";
import { costOf, type LayerCost, type UncountedLayer } from "./cost/cost.ts";
import { type NotUnderstood, notUnderstood } from "./units/not-understood.ts";
import { type Structure, structureOf } from "./units/units.ts";
import { countWeights } from "./weights/layer-weights.ts";
import { layerDensities } from "./weights/supports.ts";

/** An input or output of the network. */
export interface Port {
  readonly name: string;
  readonly dtype: DType | undefined;
  readonly shape: Shape | undefined;
}

/** A group as a user sees it. */
export interface GroupSummary {
  readonly id: string;
  readonly units: number;
  readonly prunableUnits: number;
  /** Why the other units must stay; the commonest reason. */
  readonly reason?: string;
  readonly isStream: boolean;
  readonly axes: readonly {
    readonly node: string;
    readonly tensor: string;
    readonly axis: number;
    readonly width: number;
  }[];
}

/** The parts of a model that `inspect` reads; `readModel` gives them. */
export interface InspectedModel {
  readonly graph: Graph;
  readonly sizeBytes: number;
  readonly opset: number;
  readonly producer: string;
}

/** A layer as a user sees it. */
export interface InspectedLayer extends LayerCost {
  /** The share of its weights that are not 0; only linear layers with a constant weight have one. */
  readonly density?: number;
}

/** The result of `inspect`. */
export interface Inspection {
  /** Elements of all weights, biases and statistics. */
  readonly params: number;
  /** Multiply-accumulates of convolutions and matrix products, for one run at `dims`. */
  readonly macs: number;
  /** The share of the weights of linear layers that are not 0; 1 where there are none. */
  readonly density: number;
  readonly sizeBytes: number;
  readonly opset: number;
  readonly producer: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Sizes that symbolic dims were given for counting. */
  readonly dims: Readonly<Record<string, number>>;
  readonly units: number;
  readonly prunableUnits: number;
  readonly layers: readonly InspectedLayer[];
  readonly groups: readonly GroupSummary[];
  /** Layers whose multiply-accumulates are not known: `macs` leaves them out. */
  readonly uncounted: readonly UncountedLayer[];
  /** Operators without a rule: they stay unchanged, and so do all channels that they touch. */
  readonly unknownOperators: readonly string[];
  /** The same operators with their nodes, what stays because of them, and what their bodies hold. */
  readonly notUnderstood: readonly NotUnderstood[];
}

/** Inspects a model, whose groups are those that the analysis finds with the same options. */
export function inspect(model: InspectedModel, options: AnalyzeOptions = {}): Inspection {
  const structure = structureOf(model.graph, options);
  const { analysis, units } = structure;
  const cost = costOf(model.graph, analysis.dims, analysis.inference);
  const { weights, nonZero } = countWeights(model.graph);
  const densities = layerDensities(model.graph);
  const port = (name: string): Port => {
    const declared = model.graph.types.get(name) ?? analysis.inference.types.get(name);
    return { name, dtype: declared?.dtype, shape: declared?.shape };
  };
  return {
    params: cost.params,
    macs: cost.macs,
    density: weights === 0 ? 1 : nonZero / weights,
    sizeBytes: model.sizeBytes,
    opset: model.opset,
    producer: model.producer,
    inputs: model.graph.inputs.map(port),
    outputs: model.graph.outputs.map(port),
    dims: Object.fromEntries(analysis.dims),
    units: units.length,
    prunableUnits: units.filter((unit) => unit.reason === undefined).length,
    layers: cost.layers.map((layer) => {
      const density = densities.get(layer.name);
      return density === undefined ? layer : { ...layer, density };
    }),
    groups: groupSummaries(structure),
    uncounted: cost.uncounted,
    notUnderstood: notUnderstood(structure),
    unknownOperators: [...new Set(analysis.inference.unknown.map(operatorName))].sort(),
  };
}

/** All groups in graph order. */
function groupSummaries(structure: Structure): GroupSummary[] {
  return structure.groups.map(({ id, units, axes, isStream }) => {
    const reasons = new Map<string, number>();
    for (const index of units) {
      const { reason } = structure.units[index];
      if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    const [commonest] = [...reasons].sort((a, b) => b[1] - a[1]);
    const fixed = [...reasons.values()].reduce((sum, count) => sum + count, 0);
    return {
      id,
      units: units.length,
      prunableUnits: units.length - fixed,
      ...(commonest && { reason: commonest[0] }),
      isStream,
      axes: axes.map((position) => {
        const { node, tensor, axis, width } = structure.filterAxes[position];
        return { node: node.name, tensor, axis, width };
      }),
    };
  });
}
