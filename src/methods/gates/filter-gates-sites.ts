/**
 * @file The places for factors. A factor per filter stands behind the layer that computes the channel, with its bias
 * and batch normalization, and before the activation, so that it can be folded into them exactly. A factor per feature
 * that a layer selects stands before that layer, whose columns it is folded into.
 *
 * The channels of a unit share one factor. A layer is gated only where its result is read directly: a result that first
 * passes a depthwise convolution is gated behind it (a normalization there would undo an earlier factor), and a result
 * that is only multiplied into a gated channel (squeeze and excitation) gets no factor.
 */
import { consumersOf, type Graph, type Node } from "../../ir/graph.ts";
import type { BatchNormRole, LinearRole } from "../../ops/operator/role.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Structure } from "../../structure/units/units.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";

/** A vector of factors, one for each unit of a group. */
export interface Gate {
  /** The group that it belongs to: a position in `Structure.groups`. */
  readonly group: number;
  /** The unit that each factor belongs to. */
  readonly units: Int32Array;
  /** The places of the factors; at least one. */
  readonly sites: readonly GateSite[];
}

/** One value that is multiplied by factors, channel by channel. */
export interface GateSite {
  /** The linear layer that computes the channels, or that selects what it reads, by node name. */
  readonly layer: string;
  readonly role: LinearRole;
  /** The batch normalization that alone reads the layer, by node name. */
  readonly batchNorm: { readonly node: string; readonly role: BatchNormRole } | undefined;
  /** The value that is multiplied: behind bias and normalization, before the activation. */
  readonly value: string;
  /** The input at which the layer alone reads the product, where it selects what it reads. */
  readonly selects: number | undefined;
  readonly dtype: DType;
  /** Axis of its channels, from the front, and number of its axes. */
  readonly axis: number;
  readonly rank: number;
  /** The position in the gate of each channel. [C] */
  readonly entries: Int32Array;
  /** The parameters into which the factors fold. */
  readonly parameters: readonly GatedParameter[];
}

/** An input of a node that has one slice for each channel of a site. */
export interface GatedParameter {
  readonly node: string;
  readonly input: number;
  /** Axis of the slices, from the front; `"filters"` for those of a weight that computes channels. */
  readonly axis: number | "filters";
}

/**
 * Places for factors on all units that can be removed, in the order of the layers. Groups of a single unit, which must
 * stay, have none.
 */
export function gatesOf(structure: Structure): readonly Gate[] {
  const { nodes } = structure.analysis.graph;
  const order = new Map(nodes.map(({ name }, place) => [name, place]));
  const placeOf = ({ site }: Site) => order.get(site.layer) ?? 0;
  const sites = [
    ...selectionSites(structure),
    ...foldable(structure, withoutFollowed(structure, sitesOf(structure))),
  ].sort((a, b) => placeOf(a) - placeOf(b));
  const byGroup = new Map<number, Site[]>();
  for (const site of sites) byGroup.set(site.group, [...(byGroup.get(site.group) ?? []), site]);
  return [...byGroup].flatMap(([group, own]): Gate[] => {
    const gated = new Set(own.flatMap(({ units }) => [...units]));
    const units = structure.groups[group].units.filter((unit) => gated.has(unit));
    if (units.length < 2) return [];
    const place = new Map(units.map((unit, i) => [unit, i]));
    const placed = own.map(({ site, units: along }) => ({
      ...site,
      entries: along.map((unit) => place.get(unit) ?? 0),
    }));
    return [{ group, units: Int32Array.from(units), sites: placed }];
  });
}

/** A site before it is assigned to a gate. */
interface Site {
  readonly site: Omit<GateSite, "entries">;
  readonly group: number;
  /** The unit of each channel. */
  readonly units: Int32Array;
  /** Whether each channel is made of channels of its own unit alone, as in a depthwise convolution. */
  readonly passesOn: boolean;
}

/** One candidate for every linear layer with filters that can go, in graph order. */
function sitesOf(structure: Structure): readonly Site[] {
  const { graph, operands } = structure.analysis;
  const consumers = consumersOf(graph);
  return graph.nodes.flatMap((node): Site[] => {
    const role = roleOf(node);
    const own = operands.get(node);
    if (role.kind !== "linear" || own === undefined) return [];
    const data = own.inputs[role.dataInput];
    const [result] = own.outputs;
    if (data === undefined || data.isParameter || !isFloat(result.dtype)) return [];
    const rank = result.shape.length;
    const axis = role.resultAxis < 0 ? role.resultAxis + rank : role.resultAxis;
    const units = structure.unitsAlong(own.layoutOf(result), axis);
    const [first = -1] = units;
    const group = structure.units[first]?.group;
    const isWhole = units.every((unit) => unit >= 0 && structure.units[unit].group === group);
    if (!isWhole || units.every((unit) => structure.units[unit].reason !== undefined)) return [];
    const place = { axis, rank, width: units.length };
    const tail = tailOf(graph, consumers, node, role, place);
    if (tail === undefined) return [];
    const dtype = result.dtype;
    const site = { ...tail, selects: undefined, layer: node.name, role, dtype, axis, rank };
    const sources = structure.unitsAlong(own.layoutOf(data), axis);
    const passesOn =
      role.group > 1 &&
      sources.every((unit, c) => {
        const first = Math.floor((c * role.group) / sources.length) * (units.length / role.group);
        return units[first] === unit;
      });
    return [{ site, group, units, passesOn }];
  });
}

/** A site before every layer that may select what it alone reads, with a weight of its own. */
function selectionSites(structure: Structure): readonly Site[] {
  const { graph, selections, operands } = structure.analysis;
  const consumers = consumersOf(graph);
  return [...selections].flatMap(([node, selection]): Site[] => {
    const { input, value, axis, layout, weight } = selection;
    const role = roleOf(node);
    const dtype = operands.get(node)?.inputs[input]?.dtype;
    const constant = node.inputs[weight.input];
    const isAlone = [value, constant].every(
      (name) => onlyConsumer(graph, consumers, name)?.name === node.name,
    );
    const units = structure.unitsAlong(layout, axis);
    if (role.kind !== "linear" || dtype === undefined || !isAlone) return [];
    if (units.every((unit) => structure.units[unit]?.reason !== undefined)) return [];
    const parameters = [{ node: node.name, input: weight.input, axis: weight.axis }];
    const site = { layer: node.name, role, batchNorm: undefined, value, selects: input };
    const { group } = structure.units[units[0]];
    const rank = layout.shape.length;
    return [{ site: { ...site, dtype, axis, rank, parameters }, group, units, passesOn: false }];
  });
}

/** The nodes from a layer to its activation; `undefined` where factors cannot be folded. */
function tailOf(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  layer: Node,
  role: LinearRole,
  place: { readonly axis: number; readonly rank: number; readonly width: number },
): Pick<GateSite, "value" | "batchNorm" | "parameters"> | undefined {
  const { axis, rank, width } = place;
  const own = layerParameters(graph, layer, role, width);
  let parameters = own;
  let batchNorm: GateSite["batchNorm"];
  let [value] = layer.outputs;
  for (;;) {
    const next = onlyConsumer(graph, consumers, value);
    if (next === undefined) break;
    const follower = roleOf(next);
    if (follower.kind === "batch-norm" && axis === 1) {
      const inputs = [follower.scaleInput, follower.biasInput];
      if (!inputs.every((i) => floatShape(graph, next, i)?.[0] === width)) break;
      // A layer before a normalization needs no factor of its own.
      parameters = inputs.map((input) => ({ node: next.name, input, axis: 0 }));
      batchNorm = { node: next.name, role: follower };
    } else if (follower.kind === "add" && parameters !== undefined) {
      const input = next.inputs[0] === value ? 1 : 0;
      const shape = floatShape(graph, next, input) ?? [];
      const at = axis - (rank - shape.length);
      if (shape.length > rank || shape[at] !== width) break;
      parameters = [...parameters, { node: next.name, input, axis: at }];
    } else break;
    [value] = next.outputs;
  }
  return parameters && { value, batchNorm, parameters };
}

/** The weight and bias of a layer, where both are constants with a slice for each channel. */
function layerParameters(
  graph: Graph,
  layer: Node,
  { weightInput, biasInput }: LinearRole,
  width: number,
): readonly GatedParameter[] | undefined {
  const weight = floatShape(graph, layer, weightInput);
  // A row of a stack of matrices is not a filter.
  if (weight === undefined || weight.length < 2) return undefined;
  if (biasInput === undefined && weight.length > 2) return undefined;
  const filters: GatedParameter = { node: layer.name, input: weightInput, axis: "filters" };
  if (biasInput === undefined || (layer.inputs[biasInput] ?? "") === "") return [filters];
  const bias = floatShape(graph, layer, biasInput);
  if (bias === undefined || bias.at(-1) !== width) return undefined;
  return [filters, { node: layer.name, input: biasInput, axis: bias.length - 1 }];
}

/** The shape of an input that is a constant of floats. */
function floatShape(graph: Graph, node: Node, input: number): readonly number[] | undefined {
  const constant = graph.constants.get(node.inputs[input] ?? "");
  return constant && isFloat(constant.dtype) ? constant.shape : undefined;
}

function onlyConsumer(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  value: string,
): Node | undefined {
  const [next, ...others] = consumers.get(value) ?? [];
  const isOnly = others.length === 0 && !graph.outputs.includes(value);
  return isOnly && next?.inputs.filter((name) => name === value).length === 1 ? next : undefined;
}

/** The sites whose channels are read before a later site computes them again. */
function withoutFollowed(structure: Structure, sites: readonly Site[]): readonly Site[] {
  const { graph, reads, operands, inference } = structure.analysis;
  const consumers = consumersOf(graph);
  const useOf = (node: Node, input: number) => `${node.name}\u0000${input}`;
  const read = new Set(reads.map(({ node, input }) => useOf(node, input)));
  const passing = new Set(
    sites.flatMap(({ site, passesOn }) =>
      passesOn ? [`${site.layer}\u0000${site.role.dataInput}`] : [],
    ),
  );

  /** Every value that channels pass through before they are read, and whether a layer reads them. */
  const walk = (start: string, isBlocked: (node: Node, value: string) => boolean) => {
    const passed = new Set([start]);
    let isRead = false;
    for (const value of passed) {
      isRead ||= graph.outputs.includes(value);
      for (const node of consumers.get(value) ?? []) {
        const isMeasured = node.outputs.every((name) => inference.values.has(name));
        if (isMeasured || isBlocked(node, value)) continue;
        const inputs = [...node.inputs.keys()].filter((i) => node.inputs[i] === value);
        if (inputs.some((i) => passing.has(useOf(node, i)))) continue;
        const isEnd = !operands.has(node) || inputs.some((i) => read.has(useOf(node, i)));
        isRead ||= isEnd;
        if (isEnd) continue;
        for (const name of node.outputs) if (name !== "") passed.add(name);
      }
    }
    return { passed, isRead };
  };

  const kept: Site[] = [];
  const carried = new Map<number, Set<string>>();
  for (const own of sites) {
    const { passed } = walk(own.site.value, () => false);
    const earlier = carried.get(own.group) ?? new Set();
    const isFactor = (node: Node, value: string) =>
      roleOf(node).kind === "product" &&
      node.inputs.some((name) => name !== value && earlier.has(name) && !passed.has(name));
    if (!walk(own.site.value, isFactor).isRead) continue;
    kept.push(own);
    carried.set(own.group, new Set([...earlier, ...passed]));
  }
  return kept;
}

/** The sites without those whose weight is also used by layers without a factor. */
function foldable(structure: Structure, sites: readonly Site[]): readonly Site[] {
  const { graph } = structure.analysis;
  const consumers = consumersOf(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const inWeights = ({ site }: Site) => site.parameters[0].axis === "filters";
  const gated = new Set(sites.filter(inWeights).map(({ site }) => site.layer));
  return sites.filter((own) => {
    if (!inWeights(own)) return true;
    const weight = nodes.get(own.site.layer)?.inputs[own.site.role.weightInput] ?? "";
    const users = consumers.get(weight) ?? [];
    return !graph.outputs.includes(weight) && users.every(({ name }) => gated.has(name));
  });
}
