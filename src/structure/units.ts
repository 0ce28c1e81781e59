/** @file Units and groups: what can be removed, what goes together, and what must stay and why. */
import type { Graph, Node } from "../ir/graph.ts";
import { type Analysis, type AnalyzeOptions, analyze, useKey } from "./analysis.ts";
import { blockOf, elementIds, type Layout } from "./layout.ts";
import { axisIds } from "./tie-session.ts";

/** Channels that live and die together: one class of element ids that some filter produces. */
export interface Unit {
  /** Position in `Structure.units`. */
  readonly index: number;
  /** Position of its group in `Structure.groups`. */
  readonly group: number;
  /** Why it must stay; `undefined` where it may be removed. */
  readonly reason: string | undefined;
  /** Its filters: entries of `Structure.filterAxes`, with the index there. */
  readonly filters: readonly { readonly axis: number; readonly index: number }[];
}

/** A parameter axis with one filter per index. */
export interface FilterAxis {
  /** The node that the parameter belongs to. */
  readonly node: Node;
  /** Which input of the node the parameter is. */
  readonly input: number;
  /** The parameter's value name. */
  readonly tensor: string;
  readonly axis: number;
  readonly width: number;
  /** The unit of each index. */
  readonly units: Int32Array;
}

/** Filter axes that share units: one convolution's filters and all that is tied to them. */
export interface Group {
  /** The name of its first node; stable as long as the model is. */
  readonly id: string;
  /** Positions in `Structure.units`. */
  readonly units: readonly number[];
  /** Positions in `Structure.filterAxes`. */
  readonly axes: readonly number[];
  /** True when branches are added on its channels: a residual stream. */
  readonly isStream: boolean;
}

/** The structure of a network, as pruning sees it. */
export interface Structure {
  readonly analysis: Analysis;
  readonly units: readonly Unit[];
  readonly groups: readonly Group[];
  readonly filterAxes: readonly FilterAxis[];
  /** The unit of an element-id class, or -1 for a class that no filter produces. */
  unitOf(id: number): number;
  /** The unit (or -1) of every index along one axis of a computed value or graph input. */
  unitsAlong(layout: Layout, axis: number): Int32Array;
}

/**
 * The units and groups of a graph. Groups partition the units; both are in graph order.
 */
export function structureOf(graph: Graph, options: AnalyzeOptions = {}): Structure {
  const analysis = analyze(graph, options);
  const { pool, producers } = analysis;
  const unitByRoot = new Map<number, number>();
  const filters: { axis: number; index: number }[][] = [];
  const reasons: (string | undefined)[] = [];
  const axes: FilterAxis[] = [];
  const seen = new Set<string>();

  for (const { node, input, axis } of producers) {
    const operands = analysis.operands.get(node);
    const tensor = operands?.inputs[input];
    if (!operands || !tensor) continue;
    const key = `${useKey(tensor.name, tensor.shape, node, input)}\u0000${axis}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const ids = axisIds(pool, operands.layoutOf(tensor), axis);
    const units = ids.map((id, index) => {
      const root = pool.find(id);
      let unit = unitByRoot.get(root);
      if (unit === undefined) {
        unit = filters.length;
        unitByRoot.set(root, unit);
        filters.push([]);
        reasons.push(pool.reasonFor(root));
      }
      filters[unit].push({ axis: axes.length, index });
      return unit;
    });
    axes.push({ node, input, tensor: tensor.name, axis, width: ids.length, units });
  }

  const unitOf = (id: number): number => unitByRoot.get(pool.find(id)) ?? -1;
  const groupOfAxis = connect(axes, filters.length);
  const known = new WeakMap<Layout, (Int32Array | undefined)[]>();
  const unitsAlong = (layout: Layout, axis: number): Int32Array => {
    const perAxis = known.get(layout) ?? layout.shape.map(() => undefined);
    known.set(layout, perAxis);
    const units = perAxis[axis] ?? computeUnits(layout, axis);
    perAxis[axis] = units;
    return units;
  };
  const computeUnits = (layout: Layout, axis: number): Int32Array => {
    const block = blockOf(layout, axis);
    if (block.axes.length > 1 && block.cut !== axis)
      return new Int32Array(layout.shape[axis]).fill(-1);
    return axisIds(pool, layout, axis).map(unitOf);
  };

  const streamUnits = new Set<number>();
  for (const name of analysis.streams) {
    const layout = analysis.layouts.get(name);
    for (const block of layout?.blocks ?? [])
      if (layout)
        for (const id of elementIds(pool, block, layout.base)) streamUnits.add(unitOf(id));
  }
  const groups: { id: string; units: number[]; axes: number[]; isStream: boolean }[] = [];
  const groupIndex = new Map<number, number>();
  const groupOfUnit = new Array<number>(filters.length).fill(-1);
  for (const [position, axis] of axes.entries()) {
    const representative = groupOfAxis[position];
    let index = groupIndex.get(representative);
    if (index === undefined) {
      index = groups.length;
      groupIndex.set(representative, index);
      groups.push({ id: axis.node.name, units: [], axes: [], isStream: false });
    }
    const group = groups[index];
    group.axes.push(position);
    for (const unit of axis.units) {
      if (groupOfUnit[unit] >= 0) continue;
      groupOfUnit[unit] = index;
      group.units.push(unit);
      group.isStream ||= streamUnits.has(unit);
    }
  }
  const units = filters.map((list, index) => ({
    index,
    group: groupOfUnit[index],
    reason: reasons[index],
    filters: list,
  }));
  return { analysis, units, groups, filterAxes: axes, unitOf, unitsAlong };
}

/** For each axis, the smallest axis that it is connected to by shared units. */
function connect(axes: readonly FilterAxis[], unitCount: number): number[] {
  const first = new Int32Array(unitCount).fill(-1);
  const parent = axes.map((_, i) => i);
  const find = (at: number): number => {
    let root = at;
    while (parent[root] !== root) root = parent[root];
    return root;
  };
  for (const [position, axis] of axes.entries()) {
    for (const unit of axis.units) {
      if (first[unit] < 0) first[unit] = position;
      const a = find(first[unit]);
      const b = find(position);
      parent[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return axes.map((_, i) => find(i));
}
