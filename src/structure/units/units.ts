/**
 * @file Units and groups: the channels that can be removed, those that must be removed together, and those that must
 * stay, with the reasons.
 */
import type { Graph, Node } from "../../ir/graph.ts";
import { type Analysis, type AnalyzeOptions, analyze, useKey } from "../analysis/analysis.ts";
import { axisIds } from "../analysis/cuts.ts";
import { blockOf, elementIds, type Layout } from "../analysis/layout.ts";

/** Channels that can only be removed together: one class of element ids that some filter produces. */
export interface Unit {
  /** Position in `Structure.units`. */
  readonly index: number;
  /** Position of its group in `Structure.groups`. */
  readonly group: number;
  /** Why it must stay; `undefined` where it may be removed. */
  readonly reason: string | undefined;
  /** The filters of the unit: entries of `Structure.filterAxes`, with the index there. */
  readonly filters: readonly { readonly axis: number; readonly index: number }[];
  /** Units without which it can't be: the channel of a feature that a layer selects. */
  readonly needs: readonly number[];
}

/** A parameter axis with one filter per index, or one feature that its layer selects. */
export interface FilterAxis {
  /** The node that the parameter belongs to. */
  readonly node: Node;
  /** Which input of the node the parameter is. */
  readonly input: number;
  /** The parameter's value name. */
  readonly tensor: string;
  readonly axis: number;
  readonly width: number;
  /** Whether the layer selects what it reads along this axis, instead of making channels. */
  readonly isSelection: boolean;
  /** The unit of each index. */
  readonly units: Int32Array;
}

/** Filter axes that share units: one convolution's filters and all that is tied to them. */
export interface Group {
  /**
   * The name of its first node, with `/inputs` where that selects what it reads; stable as long as the
   * model is.
   */
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
  /** Units that can't be without a unit, by that unit. */
  readonly dependants: ReadonlyMap<number, readonly number[]>;
  /** Units with dependants that nothing else reads: without these they are of no use. */
  readonly carriers: readonly number[];
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
  const { axes, filters, reasons, unitByRoot } = filterAxesOf(analysis);
  const { pool } = analysis;

  const unitOf = (id: number): number => unitByRoot.get(pool.find(id)) ?? -1;
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

  const { groups, groupOfUnit } = groupsOf(axes, filters.length, streamUnits(analysis, unitOf));
  const needs = needsOf(analysis, unitsAlong, filters.length);
  fixNeeded(needs, reasons);
  const units = filters.map((list, index) => ({
    index,
    group: groupOfUnit[index],
    reason: reasons[index],
    filters: list,
    needs: needs[index],
  }));
  const dependants = new Map<number, number[]>();
  for (const { index, needs: needed } of units)
    for (const other of needed) dependants.set(other, [...(dependants.get(other) ?? []), index]);
  const read = readUnits(analysis, unitsAlong);
  const carriers = [...dependants.keys()].filter((unit) => !read.has(unit)).sort((a, b) => a - b);
  return {
    analysis,
    units,
    groups,
    filterAxes: axes,
    dependants,
    carriers,
    unitOf,
    unitsAlong,
  };
}

/** The filter axes, and the units along them: one for each class of element ids, by its root. */
function filterAxesOf({ pool, producers, operands }: Analysis) {
  const unitByRoot = new Map<number, number>();
  const filters: { axis: number; index: number }[][] = [];
  const reasons: (string | undefined)[] = [];
  const axes: FilterAxis[] = [];
  const seen = new Set<string>();
  for (const { node, input, axis, isSelection = false } of producers) {
    const own = operands.get(node);
    const tensor = own?.inputs[input];
    if (!own || !tensor) continue;
    const key = `${useKey(tensor.name, tensor.shape, node, input)}\u0000${axis}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const ids = axisIds(pool, own.layoutOf(tensor), axis);
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
    const parameter = { node, input, tensor: tensor.name, axis };
    axes.push({ ...parameter, width: ids.length, isSelection, units });
  }
  return { axes, filters, reasons, unitByRoot };
}

/** The units of residual streams; -1 may be among them. */
function streamUnits(
  { streams, layouts, pool }: Analysis,
  unitOf: Structure["unitOf"],
): ReadonlySet<number> {
  const units = new Set<number>();
  for (const name of streams) {
    const layout = layouts.get(name);
    for (const block of layout?.blocks ?? [])
      if (layout) for (const id of elementIds(pool, block, layout.base)) units.add(unitOf(id));
  }
  return units;
}

/** The groups in graph order, and the group of each unit. */
function groupsOf(axes: readonly FilterAxis[], unitCount: number, streams: ReadonlySet<number>) {
  const groupOfAxis = connect(axes, unitCount);
  const groups: { id: string; units: number[]; axes: number[]; isStream: boolean }[] = [];
  const groupIndex = new Map<number, number>();
  const groupOfUnit = new Array<number>(unitCount).fill(-1);
  for (const [position, axis] of axes.entries()) {
    const representative = groupOfAxis[position];
    let index = groupIndex.get(representative);
    if (index === undefined) {
      index = groups.length;
      groupIndex.set(representative, index);
      const id = axis.isSelection ? `${axis.node.name}/inputs` : axis.node.name;
      groups.push({ id, units: [], axes: [], isStream: false });
    }
    const group = groups[index];
    group.axes.push(position);
    for (const unit of axis.units) {
      if (groupOfUnit[unit] >= 0) continue;
      groupOfUnit[unit] = index;
      group.units.push(unit);
      group.isStream ||= streams.has(unit);
    }
  }
  return { groups, groupOfUnit };
}

/** What something fixed needs must stay as well, for the same reason. */
function fixNeeded(needs: readonly (readonly number[])[], reasons: (string | undefined)[]): void {
  for (let isStable = false; !isStable; ) {
    isStable = true;
    for (const [unit, needed] of needs.entries())
      for (const other of needed)
        if (reasons[unit] !== undefined && reasons[other] === undefined) {
          reasons[other] = reasons[unit];
          isStable = false;
        }
  }
}

/** The units of the channels that a unit's features are positions of, for each unit. */
function needsOf(
  { selections, layouts }: Analysis,
  unitsAlong: Structure["unitsAlong"],
  count: number,
): readonly (readonly number[])[] {
  const needs = Array.from({ length: count }, () => new Set<number>());
  for (const { layout, value, axis } of selections.values()) {
    const read = layouts.get(value);
    if (read === undefined) continue;
    const channels = unitsAlong(read, axis);
    for (const [place, unit] of unitsAlong(layout, axis).entries())
      if (unit >= 0 && channels[place] >= 0 && channels[place] !== unit)
        needs[unit].add(channels[place]);
  }
  return needs.map((own) => [...own]);
}

/** The units whose channels something sums over. */
function readUnits(
  { reads, operands }: Analysis,
  unitsAlong: Structure["unitsAlong"],
): ReadonlySet<number> {
  const read = new Set<number>();
  for (const { node, input, axis } of reads) {
    const own = operands.get(node);
    const tensor = own?.inputs[input];
    if (own && tensor) for (const unit of unitsAlong(own.layoutOf(tensor), axis)) read.add(unit);
  }
  return read;
}

/** The smallest axis that an axis is connected to by shared units, for each axis. */
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
