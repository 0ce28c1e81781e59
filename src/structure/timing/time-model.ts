/** @file The time of a network after any removal, from a cost table. */
import { type Removed, removeNothing, withDependants } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import {
  type CostTable,
  kindKey,
  type LayerTimes,
  type NetworkTime,
  type OtherTimes,
} from "./cost-table.ts";
import { interpolateGrid } from "./interpolate.ts";
import {
  type Shapes,
  type TimedLayer,
  type TimedNode,
  type TimedNodes,
  timedNodes,
  type Widths,
} from "./timed-layers.ts";

/** How the time of a layer is known: from its own kind, a like one, or the time of an average layer. */
export type Evidence = "measured" | "scaled" | "guessed";

/** A layer with its time. */
export interface LayerTime {
  readonly layer: TimedLayer;
  readonly evidence: Evidence;
  /** Where its times come from; `undefined` where they are guessed. */
  readonly grid: LayerTimes | undefined;
  /** Milliseconds at any widths. */
  readonly msAt: (widths: Widths) => number;
}

/** The time of a network. */
export interface TimeModel {
  readonly layers: readonly LayerTime[];
  /** Milliseconds before any removal: measured where the table holds this network, else the sum. */
  readonly originalMs: number;
  /** The sum over layers and other nodes, before any removal. */
  readonly summedMs: number;
  /** Milliseconds that a removal leaves. */
  readonly msAfter: (removed: Removed) => number;
  /**
   * The same without steps: a layer's time shrinks with its multiply-accumulates, and all else with its elements. Tells
   * what single channels save, of which one alone mostly saves nothing, or takes a layer off its blocks.
   */
  readonly evenMsAfter: (removed: Removed) => number;
  /** Layers whose kind was not measured. */
  readonly unmeasured: readonly TimedLayer[];
}

/** The time of the network of a structure by a cost table. */
export function timeModel(structure: Structure, table: CostTable): TimeModel {
  const nodes = timedNodes(structure);
  const layers = nodes.layers.map((layer) => timeOf(table, layer)).map(remembering);
  const others = nodes.others.map((node) => ({ node, msAt: otherTime(table, node) }));
  const sum = (shapes: Shapes): number => {
    let ms = 0;
    for (const { layer, msAt } of layers) ms += msAt(layer.widthsIn(shapes));
    for (const { node, msAt } of others) ms += msAt(node.elementsIn(shapes));
    return ms;
  };
  const elements = (shapes: Shapes) =>
    nodes.others.reduce((total, node) => total + node.elementsIn(shapes), 0) +
    nodes.layers.reduce((total, layer) => total + resultSize(layer, shapes), 0);
  const nothing = nodes.shapesAfter(removeNothing(structure));
  const summedMs = sum(nothing);
  const originalMs = networkIn(table, countsOf(structure, nodes))?.ms ?? summedMs;
  // What no node takes (changes of layout, the engine's own work) goes with the size of what flows between layers.
  const restMs = Math.max(0, originalMs - summedMs);
  const scale = Math.min(1, originalMs / Math.max(summedMs, Number.MIN_VALUE));
  const before = Math.max(1, elements(nothing));
  return {
    layers,
    originalMs,
    summedMs,
    evenMsAfter(removed) {
      const shapes = nodes.shapesAfter(withDependants(structure, removed));
      let ms = 0;
      for (const { layer, msAt } of layers)
        ms += (msAt(layer.widths) * areaOf(layer.widthsIn(shapes))) / areaOf(layer.widths);
      for (const { node, msAt } of others)
        ms += (msAt(node.elements) * node.elementsIn(shapes)) / Math.max(1, node.elements);
      return restMs === 0 ? scale * ms : ms + (restMs * elements(shapes)) / before;
    },
    msAfter(removed) {
      const shapes = nodes.shapesAfter(withDependants(structure, removed));
      if (restMs === 0) return scale * sum(shapes);
      return sum(shapes) + (restMs * elements(shapes)) / before;
    },
    unmeasured: layers.filter(({ evidence }) => evidence !== "measured").map(({ layer }) => layer),
  };
}

function resultSize({ kind, widthsIn }: TimedLayer, shapes: Shapes): number {
  return kind.output.reduce((size, each) => size * each, widthsIn(shapes).outputs);
}

/** What the multiply-accumulates of a layer are proportional to. */
function areaOf({ inputs, outputs, groups }: Widths): number {
  return Math.max(1, inputs * outputs * groups);
}

/** The same times, each computed once: a search asks for the same few widths over and over. */
function remembering(time: LayerTime): LayerTime {
  const known = new Map<string, number>();
  const msAt = (widths: Widths): number => {
    const key = `${widths.inputs} ${widths.outputs} ${widths.groups}`;
    const ms = known.get(key) ?? time.msAt(widths);
    known.set(key, ms);
    return ms;
  };
  return { ...time, msAt };
}

/** The counts by which a table recognises a network. */
export function countsOf(
  structure: Structure,
  { layers }: Pick<TimedNodes, "layers"> = timedNodes(structure),
): { readonly layers: number; readonly macs: number; readonly params: number } {
  const { constants, nodes } = structure.analysis.graph;
  let params = 0;
  for (const { shape } of constants.values())
    params += shape.reduce((size, each) => size * each, 1);
  return {
    layers: nodes.length,
    macs: layers.reduce((sum, { macs }) => sum + macs, 0),
    params,
  };
}

/** The time of the whole network of a structure, where a table holds it. */
export function networkIn(
  { networks }: CostTable,
  own: ReturnType<typeof countsOf>,
): NetworkTime | undefined {
  return networks.find(
    ({ layers, macs, params }) =>
      layers === own.layers && macs === own.macs && params === own.params,
  );
}

/** What of a table concerns a network: its kinds of layers, its operators and itself. */
export function costsOfNetwork(structure: Structure, table: CostTable): CostTable {
  const nodes = timedNodes(structure);
  const own = networkIn(table, countsOf(structure, nodes));
  const grids = new Set(nodes.layers.map((layer) => timeOf(table, layer).grid));
  const names = new Set(nodes.others.map(({ operator, detail }) => `${operator} ${detail}`));
  return {
    ...table,
    layers: table.layers.filter((layer) => grids.has(layer)),
    others: table.others.filter(({ operator, detail }) => names.has(`${operator} ${detail}`)),
    networks: own === undefined ? [] : [own],
  };
}

/** The time of a layer over its widths, from the nearest kind that the table holds. */
function timeOf(table: CostTable, layer: TimedLayer): LayerTime {
  const key = kindKey(layer.kind);
  const own = table.layers.filter((each) => kindKey(each) === key);
  const nearest = nearestGrid(own, layer.widths);
  if (nearest !== undefined)
    return {
      layer,
      evidence: "measured",
      grid: nearest,
      msAt: (widths) => gridTime(nearest, widths),
    };
  const like = likestOf(table.layers, layer);
  if (like !== undefined) {
    const factor = workPerWidth(layer.kind) / Math.max(1, workPerWidth(like));
    return {
      layer,
      evidence: "scaled",
      grid: like,
      msAt: (widths) => factor * gridTime(like, widths),
    };
  }
  const rate = averageRate(table);
  const { inputs, outputs, groups } = layer.widths;
  const macs = layer.macs / Math.max(1, inputs * outputs * groups);
  return {
    layer,
    evidence: "guessed",
    grid: undefined,
    msAt: (widths) =>
      table.nodeMs + rate * macs * widths.inputs * widths.outputs * Math.max(1, groups),
  };
}

/** The grid whose widest point is nearest to a layer's widths. */
function nearestGrid(grids: readonly LayerTimes[], widths: Widths): LayerTimes | undefined {
  const distance = ({ inputs, outputs }: LayerTimes) =>
    apart(inputs.at(-1) ?? 1, widths.inputs) + apart(outputs.at(-1) ?? 1, widths.outputs);
  return grids.reduce<LayerTimes | undefined>(
    (best, each) => (best === undefined || distance(each) < distance(best) ? each : best),
    undefined,
  );
}

/** How far apart two sizes are, as a factor of at least 1, without logarithms. */
function apart(a: number, b: number): number {
  return Math.max(a, b) / Math.max(1, Math.min(a, b));
}

/** Milliseconds of a kind at some widths; groups that went with their filters take their share of the time. */
function gridTime(grid: LayerTimes, { inputs, outputs, groups }: Widths): number {
  const share = grid.form === "grouped" ? groups / grid.groups : 1;
  const place = [inputs, outputs / share] as const;
  return share * interpolateGrid(grid.inputs, grid.outputs, grid.ms, place);
}

/** Positions times taps: what the work of a kind is proportional to besides its widths. */
function workPerWidth({ kernel, output, form, groups }: LayerTimes | TimedLayer["kind"]): number {
  const perFilter = form === "grouped" ? 1 / groups : 1;
  return perFilter * [...kernel, ...output].reduce((size, each) => size * each, 1);
}

/** The kind of a table that is likest to a layer's: of the same operator and form, and if possible kernel and stride. */
function likestOf(layers: readonly LayerTimes[], { kind, widths }: TimedLayer) {
  const isAlike = (each: LayerTimes, sameWindow: boolean) =>
    each.operator === kind.operator &&
    each.form === kind.form &&
    (!sameWindow ||
      (each.kernel.join() === kind.kernel.join() && each.strides.join() === kind.strides.join()));
  for (const sameWindow of [true, false]) {
    const alike = layers.filter((each) => isAlike(each, sameWindow));
    if (alike.length === 0) continue;
    const work = workPerWidth(kind);
    const nearest = Math.min(...alike.map((each) => apart(workPerWidth(each), work)));
    return nearestGrid(
      alike.filter((each) => apart(workPerWidth(each), work) === nearest),
      widths,
    );
  }
  return undefined;
}

/** Milliseconds for a multiply-accumulate of the widest layers of a table. */
function averageRate({ layers }: CostTable): number {
  let ms = 0;
  let macs = 0;
  for (const layer of layers) {
    ms += layer.ms.at(-1)?.at(-1) ?? 0;
    macs += workPerWidth(layer) * (layer.inputs.at(-1) ?? 1) * (layer.outputs.at(-1) ?? 1);
  }
  return macs === 0 ? 0 : ms / macs;
}

/** The time of a node without weights over its elements. */
function otherTime({ others, nodeMs }: CostTable, { operator, detail }: TimedNode) {
  const sameOperator = others.filter((other) => other.operator === operator);
  const own = sameOperator.filter((other) => other.detail === detail);
  const known: readonly OtherTimes[] =
    own.length > 0 ? own : sameOperator.length > 0 ? sameOperator : others;
  const points = known
    .flatMap(({ elements, ms }) => elements.map((count, i) => ({ count, ms: ms[i] })))
    .sort((a, b) => a.count - b.count);
  return (elements: number): number => {
    const above = points.findIndex(({ count }) => count >= elements);
    const last = points[above < 0 ? points.length - 1 : above];
    const before = above > 0 ? points[above - 1] : { count: 0, ms: nodeMs };
    if (last === undefined) return nodeMs;
    if (above < 0) return (last.ms * elements) / last.count;
    if (last.count === before.count) return last.ms;
    const share = (elements - before.count) / (last.count - before.count);
    return before.ms + share * (last.ms - before.ms);
  };
}
