/** @file What is to be timed for a network, or for networks in general. It needs no Node. */
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { type CostTable, kindKey, type LayerKind } from "../../structure/timing/cost-table.ts";
import { countsOf, networkIn } from "../../structure/timing/time-model.ts";
import {
  type TimedLayer,
  type TimedNode,
  timedNodes,
} from "../../structure/timing/timed-layers.ts";
import { productPoints, widthPoints } from "../../structure/timing/width-points.ts";
import type { Structure } from "../../structure/units/units.ts";
import { declaredInputs, randomFeeds } from "../inputs/feeds.ts";
import type { CostRequest, LayerRequest, OtherRequest } from "./measure-costs.ts";
import { nodeNetworks } from "./node-networks.ts";

/** Sizes at which an operator without weights is timed at most. */
const sizesOfOthers = 3;

/** What a table must hold for a network, without what it holds already. */
export function requestFor(
  name: string,
  model: Model,
  structure: Structure,
  known?: CostTable,
): CostRequest {
  const nodes = timedNodes(structure);
  const layers = new Map<string, LayerRequest>();
  const keyOf = (kind: LayerKind, inputs: number, outputs: number) =>
    `${kindKey(kind)} | ${inputs} | ${outputs}`;
  const isKnown = new Set(
    known?.layers.map((layer) => keyOf(layer, layer.inputs.at(-1) ?? 1, layer.outputs.at(-1) ?? 1)),
  );
  for (const layer of nodes.layers) {
    const { kind, widths } = layer;
    const key = keyOf(kind, widths.inputs, widths.outputs);
    if (isKnown.has(key)) continue;
    const points = pointsFor(layer);
    const other = layers.get(key) ?? { kind, inputs: [], outputs: [] };
    const joined = (a: readonly number[], b: readonly number[]) =>
      [...new Set([...a, ...b])].sort((x, y) => x - y);
    layers.set(key, {
      kind,
      inputs: joined(other.inputs, points.inputs),
      outputs: joined(other.outputs, points.outputs),
    });
  }
  const counts = countsOf(structure, nodes);
  const isTimed = known !== undefined && networkIn(known, counts) !== undefined;
  const { dims } = structure.analysis;
  const whole = {
    name,
    ...counts,
    model: writeModel(model).chunks,
    feeds: randomFeeds(declaredInputs(model.graph), { dims }),
  };
  return {
    layers: [...layers.values()],
    others: othersFor(structure, nodes.others, known),
    networks: isTimed ? [] : [whole],
  };
}

/** The widths to time: one where no removal changes it. Filters of grouped layers are timed by whole groups. */
function pointsFor({
  kind: { form, groups, kernel },
  widths,
  leastWidths,
}: TimedLayer): Pick<LayerRequest, "inputs" | "outputs"> {
  const perGroup = form === "grouped" ? groups : 1;
  const isFixed = (axis: "inputs" | "outputs") => leastWidths[axis] === widths[axis];
  const outputs = widths.outputs / perGroup;
  const points = kernel.length === 0 ? productPoints : widthPoints;
  return {
    inputs: isFixed("inputs") ? [widths.inputs] : points(widths.inputs),
    outputs: (isFixed("outputs") ? [outputs] : points(outputs)).map((each) => each * perGroup),
  };
}

function othersFor(
  structure: Structure,
  nodes: readonly TimedNode[],
  known: CostTable | undefined,
): readonly OtherRequest[] {
  const byKey = new Map<string, Map<number, TimedNode>>();
  for (const node of nodes) {
    const isKnown = known?.others.some(
      ({ operator, detail, elements }) =>
        operator === node.operator && detail === node.detail && elements.includes(node.elements),
    );
    if (isKnown || node.elements === 0) continue;
    const key = `${node.operator} ${node.detail}`;
    byKey.set(key, (byKey.get(key) ?? new Map()).set(node.elements, node));
  }
  return [...byKey.values()].flatMap((sizes) => {
    const sorted = [...sizes.values()].sort((a, b) => a.elements - b.elements);
    const middle = Math.floor(sorted.length / 2);
    const chosen = new Set([sorted[0], sorted[middle], sorted[sorted.length - 1]]);
    return [...chosen].slice(0, sizesOfOthers).flatMap((each): OtherRequest[] => {
      const networks = nodeNetworks(structure, each.node);
      const { operator, detail, elements } = each;
      return networks === undefined ? [] : [{ operator, detail, elements, networks }];
    });
  });
}
