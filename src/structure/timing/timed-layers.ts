/** @file The layers of a network as a cost table knows them: their kinds, and their widths after any removal. */
import type { Attribute, Graph, Node } from "../../ir/graph.ts";
import { operatorOf } from "../../ops/index.ts";
import type { TiedTensor } from "../../ops/operator/operator.ts";
import type { LinearRole } from "../../ops/operator/role.ts";
import { isFoldedInto } from "../../ops/passes/folded.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { Layout } from "../analysis/layout.ts";
import type { Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import type { LayerKind } from "./cost-table.ts";

/** A layer with weights. */
export interface TimedLayer {
  readonly node: Node;
  readonly kind: LayerKind;
  /** Before any removal. */
  readonly widths: Widths;
  /** The least widths that any removal leaves. */
  readonly leastWidths: Widths;
  readonly macs: number;
  readonly widthsIn: (shapes: Shapes) => Widths;
}

/** The widths of a layer. */
export interface Widths {
  /** Channels that one filter reads. */
  readonly inputs: number;
  /** Filters. */
  readonly outputs: number;
  /** As in {@link LayerKind}. */
  readonly groups: number;
}

/** A node without weights. */
export interface TimedNode {
  readonly node: Node;
  /** The type of its operator. */
  readonly operator: string;
  readonly detail: string;
  /** What it reads and writes, before any removal. */
  readonly elements: number;
  readonly elementsIn: (shapes: Shapes) => number;
}

/** The shape that is left of each tensor. */
export type Shapes = (layout: Layout) => readonly number[];

/** The nodes of a network that take time. */
export interface TimedNodes {
  readonly layers: readonly TimedLayer[];
  readonly others: readonly TimedNode[];
  /** Nodes whose sizes are not known. */
  readonly unknown: readonly Node[];
  /** The shapes that a removal leaves, each computed when it is asked for, and once. */
  readonly shapesAfter: (removed: Removed) => Shapes;
}

/** The nodes of a network that take time; those that engines compute together with the layer before take none. */
export function timedNodes(structure: Structure): TimedNodes {
  const { graph, operands } = structure.analysis;
  const layers: TimedLayer[] = [];
  const most = Uint8Array.from(structure.units, ({ reason }) => (reason === undefined ? 1 : 0));
  const shapesAfter = shapesOf(structure);
  const leastShapes = shapesAfter(most);
  const others: TimedNode[] = [];
  const unknown: Node[] = [];
  const isFolded = isFoldedInto(graph, (node) => roleOf(node).kind === "linear");
  const computed = computedFromInputs(graph);
  for (const node of graph.nodes) {
    if (isFolded(node) || !node.inputs.some((name) => computed.has(name))) continue;
    const own = operands.get(node);
    if (own === undefined) {
      unknown.push(node);
      continue;
    }
    const layer = layerOf(structure, node, leastShapes);
    if (layer !== undefined) layers.push(layer);
    else others.push(otherOf(structure, node));
  }
  return { layers, others, unknown, shapesAfter };
}

/** As `shapeAfter`, for many tensors after many removals: axes that hold the same units are counted once. */
function shapesOf(structure: Structure): (removed: Removed) => Shapes {
  const places = new Map<string, number>();
  const axes: Int32Array[] = [];
  const known = new WeakMap<Layout, readonly number[]>();
  const placesOf = (layout: Layout): readonly number[] => {
    const old = known.get(layout);
    if (old !== undefined) return old;
    const own = layout.shape.map((_, axis) => {
      const units = structure.unitsAlong(layout, axis);
      const key = units.join();
      const place = places.get(key) ?? axes.push(units) - 1;
      places.set(key, place);
      return place;
    });
    known.set(layout, own);
    return own;
  };
  return (removed) => {
    const widths: (number | undefined)[] = [];
    const widthAt = (place: number): number => {
      const old = widths[place];
      if (old !== undefined) return old;
      let width = 0;
      for (const unit of axes[place]) if (unit < 0 || removed[unit] === 0) width++;
      widths[place] = width;
      return width;
    };
    return (layout) => placesOf(layout).map(widthAt);
  };
}

/** The values that depend on what is fed: engines compute all others once, when they load a network. */
function computedFromInputs(graph: Graph): ReadonlySet<string> {
  const computed = new Set(graph.inputs);
  for (const { inputs, captures, outputs } of graph.nodes)
    if ([...inputs, ...captures].some((name) => computed.has(name)))
      for (const output of outputs) computed.add(output);
  return computed;
}

function layerOf(structure: Structure, node: Node, leastShapes: Shapes): TimedLayer | undefined {
  const own = structure.analysis.operands.get(node);
  const role = roleOf(node);
  if (own === undefined || role.kind !== "linear") return undefined;
  const data = own.inputs[role.dataInput];
  const weight = own.inputs[role.weightInput];
  const [result] = own.outputs;
  if (!data || !weight?.isParameter || data.isParameter || result === undefined) return undefined;
  const bound = operatorOf(node);
  const kind = kindOf(node, role, { data, weight, result });
  if (bound === undefined || kind === undefined) return undefined;
  const { attrs, operator } = bound;
  const macs = operator.macs({
    attrs,
    inputs: own.inputs.map((tensor) => tensor?.shape),
    outputs: own.outputs.map(({ shape }) => shape),
  });
  const [dataLayout, resultLayout, weightLayout] = [data, result, weight].map(own.layoutOf);
  const widthsIn = (after: Shapes): Widths => {
    const channels = at(after(dataLayout), role.dataAxis);
    const outputs = at(after(resultLayout), role.resultAxis);
    if (kind.form === "depthwise") return { inputs: 1, outputs, groups: 1 };
    if (kind.form === "dense") return { inputs: channels, outputs, groups: 1 };
    const inputs = Math.max(1, after(weightLayout)[role.layout === "outIn" ? 1 : 0]);
    const perFilter = role.layout === "outIn" ? inputs : Math.max(1, channels / kind.groups);
    return { inputs: perFilter, outputs, groups: Math.max(1, channels / perFilter) };
  };
  return {
    node,
    kind,
    macs,
    widths: widthsIn(({ shape }) => shape),
    leastWidths: widthsIn(leastShapes),
    widthsIn,
  };
}

interface LayerTensors {
  readonly data: TiedTensor;
  readonly weight: TiedTensor;
  readonly result: TiedTensor;
}

function kindOf(
  { opType }: Node,
  { window, group, dataAxis, resultAxis }: LinearRole,
  { data, weight, result }: LayerTensors,
): LayerKind | undefined {
  const { dtype } = data;
  if (dtype !== "float32" && dtype !== "float16" && dtype !== "float64") return undefined;
  const channels = at(data.shape, dataAxis);
  const common = { operator: opType, dtype };
  if (window === undefined) {
    if (group !== 1 || weight.shape.length !== 2) return undefined;
    const rows = sizeOf(data.shape) / Math.max(1, channels);
    const none = { kernel: [], strides: [], dilations: [] };
    return { ...common, ...none, form: "dense", groups: 1, input: [rows], output: [rows] };
  }
  const kernel = weight.shape.slice(2);
  const ones = kernel.map(() => 1);
  const isDepthwise = group > 1 && group === channels && group === at(result.shape, resultAxis);
  return {
    ...common,
    form: isDepthwise ? "depthwise" : group > 1 ? "grouped" : "dense",
    groups: isDepthwise ? 1 : group,
    kernel,
    strides: window.strides ?? ones,
    dilations: window.dilations ?? ones,
    input: [data.shape[0], ...data.shape.slice(2)],
    output: [result.shape[0], ...result.shape.slice(2)],
  };
}

/** The size of an axis that is counted from the end if it is below 0. */
function at(shape: readonly number[], axis: number): number {
  return shape.at(axis) ?? 1;
}

function otherOf(structure: Structure, node: Node): TimedNode {
  const own = structure.analysis.operands.get(node);
  const tensors = [...(own?.inputs ?? []), ...(own?.outputs ?? [])].filter(
    (tensor) => tensor !== undefined && !tensor.isParameter,
  );
  const layouts = tensors.flatMap((tensor) => (tensor && own ? [own.layoutOf(tensor)] : []));
  const total = (shapes: readonly (readonly number[])[]) =>
    shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);
  return {
    node,
    operator: node.opType,
    detail: detailOf(node),
    elements: total(layouts.map(({ shape }) => shape)),
    elementsIn: (shapes) => total(layouts.map(shapes)),
  };
}

/** The longest text about attributes. */
const longestDetail = 200;

/** Numbers and words among a node's attributes: what its time may depend on besides sizes. */
function detailOf({ attributes }: Node): string {
  const texts = [...attributes].flatMap(([name, attribute]) => {
    const text = textOf(attribute);
    return text === undefined ? [] : [`${name}=${text}`];
  });
  return texts.sort().join(" ").slice(0, longestDetail);
}

function textOf(attribute: Attribute): string | undefined {
  if (attribute.kind === "int" || attribute.kind === "string") return String(attribute.value);
  if (attribute.kind === "ints") return attribute.value.join("x");
  return undefined;
}
