/** @file Cutting joint blocks: along which axis the ids of a block of several axes stay apart. */
import type { Ids } from "../../ops/operator/operator.ts";
import { IdPool } from "./id-pool.ts";
import type { Block, Layout } from "./layout.ts";
import { asSelection, blockOf, elementIds, isJoint, stridesOf } from "./layout.ts";

/** The ids along one axis; a joint block is cut to a rectangle along it. */
export function axisIds(pool: IdPool, layout: Layout, axis: number): Ids {
  const block = blockOf(layout, axis);
  const ids = elementIds(pool, block, layout.base);
  if (block.axes.length === 1) return ids;
  if (block.cut === undefined) cutBlock(pool, layout, block, axis);
  if (block.cut !== axis) {
    const fixed = pool.fresh(layout.shape[axis]);
    for (const id of fixed) pool.fix(id, "part of a split channel axis");
    return fixed;
  }
  const { firstOf } = linesOf(layout, block, axis);
  return Int32Array.from({ length: layout.shape[axis] }, (_, line) => ids[firstOf(line)]);
}

/** Cuts every joint block along the axis that leaves the most units. */
export function cutLayout(pool: IdPool, layout: Layout): void {
  for (const block of layout.blocks)
    if (isJoint(block)) cutBlock(pool, layout, block, bestCut(pool, layout, block, block.axes));
}

/** Cuts joint blocks so that the axes `kept` stay as wide as they are, where that is possible. */
export function cutBeside(pool: IdPool, layout: Layout, kept: readonly number[]): void {
  for (const block of layout.blocks) {
    if (!isJoint(block) || !block.axes.some((axis) => kept.includes(axis))) continue;
    const others = block.axes.filter((axis) => !kept.includes(axis));
    if (others.length > 0) cutBlock(pool, layout, block, bestCut(pool, layout, block, others));
  }
}

/** Cuts joint blocks of a view along an axis where their ids are united already. */
export function cutWhereUnited(pool: IdPool, layout: Layout): void {
  for (const block of layout.blocks) {
    // A merged axis answers to one base axis; settle now which one.
    const ids = elementIds(pool, block, layout.base).map((id) => pool.find(id));
    if (!isJoint(block)) continue;
    const isUnited = (axis: number) => {
      const { lineOf, firstOf } = linesOf(layout, block, axis);
      return ids.every((id, position) => id === ids[firstOf(lineOf(position))]);
    };
    const axis = block.axes.find(isUnited);
    if (axis !== undefined) cutBlock(pool, layout, block, axis);
  }
}

/** Cuts what a view was moved from, unless the chain of moves ends as one selection from the base. */
export function cutMovedApart(pool: IdPool, layout: Layout, from: Layout): void {
  const wasJoint = from.blocks.some(isJoint);
  const isJointStill = layout.blocks.some(isJoint);
  if (!wasJoint || isJointStill || asSelection(layout) !== undefined) return;
  for (let at = layout.parent; at; at = at.parent) cutLayout(pool, at);
}

/** The one of `axes` along which a cut leaves the most units; the widest of equals. */
function bestCut(pool: IdPool, layout: Layout, block: Block, axes: readonly number[]): number {
  if (axes.length === 1) return axes[0];
  const roots = elementIds(pool, block, layout.base).map((id) => pool.find(id));
  const distinct = [...new Set(roots)];
  const placeOf = new Map(distinct.map((root, place) => [root, place]));
  const places = roots.map((root) => placeOf.get(root) ?? 0);
  const unitsLeft = (axis: number): number => {
    const { lineOf, firstOf } = linesOf(layout, block, axis);
    const united = new IdPool();
    united.fresh(distinct.length);
    for (let position = 0; position < places.length; position++)
      united.unite(places[firstOf(lineOf(position))], places[position]);
    const lost = new Set<number>();
    for (const [place, root] of distinct.entries())
      if (pool.reasonFor(root) !== undefined) lost.add(united.find(place));
    const all = new Set(distinct.map((_, place) => united.find(place)));
    return all.size - lost.size;
  };
  const scored = axes.map((axis) => ({ axis, units: unitsLeft(axis), width: layout.shape[axis] }));
  return scored.reduce((best, next) =>
    next.units > best.units || (next.units === best.units && next.width > best.width) ? next : best,
  ).axis;
}

function cutBlock(pool: IdPool, layout: Layout, block: Block, axis: number): void {
  const ids = elementIds(pool, block, layout.base);
  const { lineOf, firstOf } = linesOf(layout, block, axis);
  for (let position = 0; position < ids.length; position++)
    pool.unite(ids[firstOf(lineOf(position))], ids[position]);
  block.cut = axis;
  // The tensors that this view was moved from must lose the same rectangle.
  for (let at = layout.parent; at; at = at.parent) cutLayout(pool, at);
}

/** The index of `axis` at a position of the block, and the first position that has it. */
function linesOf(layout: Layout, block: Block, axis: number) {
  const stride = stridesOf(block.axes.map((a) => layout.shape[a]))[block.axes.indexOf(axis)];
  const size = layout.shape[axis];
  return {
    lineOf: (position: number) => Math.floor(position / stride) % size,
    firstOf: (line: number) => line * stride,
  };
}
