/**
 * @file Layouts: how the axes of a tensor map to the element ids of a base tensor.
 *
 * Reshape, Transpose, Slice, Gather and Split only move elements. Their outputs are *views* of a base
 * tensor: the axes are partitioned into blocks, and each block maps its positions to positions over
 * some axes of the base. A block over one axis can lose any subset of its positions. A block over
 * several axes (channels split into [groups, channels per group], say) can only be cut to a
 * rectangle; as long as nothing but moves follows, it need not be: see `surgery.ts`.
 */
import { assert } from "../../errors.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { IdPool } from "./id-pool.ts";

/** A tensor whose axes own element ids. */
export interface Base {
  /** The value's name, or a parameter use. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Ids per axis: `ids[axis][index]`. */
  readonly ids: readonly Int32Array[];
}

/** Some axes of a view, and where their positions lie in the base. */
export interface Block {
  /** Axes of the view, ascending. */
  readonly axes: readonly number[];
  /** Axes of the base, ascending. */
  readonly baseAxes: readonly number[];
  /** Row-major position over `axes` → row-major position over `baseAxes`. */
  readonly source: Int32Array;
  /** The axis along which a block of several axes is cut to a rectangle; `undefined` if uncut. */
  cut: number | undefined;
}

/** A tensor as a view of a base. */
export interface Layout {
  readonly shape: readonly number[];
  readonly base: Base;
  /** The blocks partition the axes. */
  readonly blocks: readonly Block[];
  /** The view that this one was made from, when not the base itself. */
  readonly parent: Layout | undefined;
}

/** The layout of a tensor that owns its ids. */
export function ownLayout(base: Base): Layout {
  const blocks = base.shape.map((size, axis) => block([axis], [axis], iota(size)));
  return { shape: base.shape, base, blocks, parent: undefined };
}

/** The block that holds `axis`. */
export function blockOf(layout: Layout, axis: number): Block {
  const found = layout.blocks.find((candidate) => candidate.axes.includes(axis));
  assert(found !== undefined, "the blocks of a layout partition its axes");
  return found;
}

/** True for a block that has several axes and has not been cut to a rectangle. */
export function isJoint(candidate: Block): boolean {
  return candidate.axes.length > 1 && candidate.cut === undefined;
}

/** Output axis i is axis `permutation[i]` of `layout`. */
export function transposed(layout: Layout, permutation: readonly number[]): Layout {
  const shape = permutation.map((axis) => layout.shape[axis]);
  const blocks = layout.blocks.map((old) => {
    const axes = old.axes.map((axis) => permutation.indexOf(axis)).sort((a, b) => a - b);
    const oldShape = old.axes.map((axis) => layout.shape[axis]);
    const oldStrides = stridesOf(oldShape);
    const strides = axes.map((axis) => oldStrides[old.axes.indexOf(permutation[axis])]);
    const source = new Int32Array(old.source.length);
    walk(
      axes.map((axis) => shape[axis]),
      strides,
      (to, from) => {
        source[to] = old.source[from];
      },
    );
    return block(axes, old.baseAxes, source);
  });
  return { shape, base: layout.base, blocks, parent: layout };
}

/** The positions `indices` of one axis; the others as they are. */
export function selected(layout: Layout, axis: number, indices: ArrayLike<number>): Layout {
  const shape = layout.shape.map((size, i) => (i === axis ? indices.length : size));
  const blocks = layout.blocks.map((old) => {
    if (!old.axes.includes(axis)) return block(old.axes, old.baseAxes, old.source);
    const oldStrides = stridesOf(old.axes.map((a) => layout.shape[a]));
    const stride = oldStrides[old.axes.indexOf(axis)];
    const newShape = old.axes.map((a) => shape[a]);
    const strides = old.axes.map((a, i) => (a === axis ? 0 : oldStrides[i]));
    const source = new Int32Array(sizeOf(newShape));
    const at = old.axes.indexOf(axis);
    const newStrides = stridesOf(newShape);
    walk(newShape, strides, (to, from) => {
      const k = Math.floor(to / newStrides[at]) % indices.length;
      source[to] = old.source[from + indices[k] * stride];
    });
    return block(old.axes, old.baseAxes, source);
  });
  return {
    shape,
    base: layout.base,
    blocks: blocks.flatMap((b) => simplified(b, shape, layout.base)),
    parent: layout,
  };
}

/** How many positions the blocks over several axes list. */
export function jointPositions({ blocks }: Layout): number {
  let positions = 0;
  for (const { axes, baseAxes, source } of blocks)
    if (axes.length > 1 || baseAxes.length > 1) positions += source.length;
  return positions;
}

/** How many positions {@link reshaped} will list in blocks over several axes. */
export function reshapedPositions(layout: Layout, shape: readonly number[]): number {
  let positions = 0;
  for (const { from, to } of joinByBlocks(alignAxes(layout.shape, shape), layout))
    if (from.length > 1 || to.length > 1) positions += sizeOf(to.map((axis) => shape[axis]));
  return positions;
}

/** The same elements in row-major order under a new shape. */
export function reshaped(layout: Layout, shape: readonly number[]): Layout {
  assert(sizeOf(shape) === sizeOf(layout.shape), "a reshape keeps the number of elements");
  const segments = joinByBlocks(alignAxes(layout.shape, shape), layout);
  const blocks = segments.map((segment) => segmentBlock(layout, shape, segment));
  return {
    shape,
    base: layout.base,
    blocks: blocks.flatMap((b) => simplified(b, shape, layout.base)),
    parent: layout,
  };
}

/** The block over the new axes of one segment of a reshape. */
function segmentBlock(layout: Layout, shape: readonly number[], { from, to }: Segment): Block {
  const parts = layout.blocks.filter((b) => b.axes.some((axis) => from.includes(axis)));
  const baseAxes = parts.flatMap((b) => b.baseAxes).sort((a, b) => a - b);
  if (parts.length === 1) return block(to, baseAxes, parts[0].source);
  const isInOrder = parts.every(
    (part, i) =>
      isWholeAxis(part, layout) &&
      part.baseAxes[0] === baseAxes[i] &&
      (i === 0 || part.axes[0] > parts[i - 1].axes[0]),
  );
  const size = sizeOf(to.map((axis) => shape[axis]));
  return block(to, baseAxes, isInOrder ? iota(size) : mergedSource(layout, from, parts, baseAxes));
}

/**
 * Where the positions over the axes `from`, which the blocks `parts` cover, lie among `baseAxes`. A position is
 * taken apart into indices of the axes, then into positions of the blocks, then into indices of the base axes.
 */
function mergedSource(
  layout: Layout,
  from: readonly number[],
  parts: readonly Block[],
  baseAxes: readonly number[],
): Int32Array {
  const inShape = from.map((axis) => layout.shape[axis]);
  const inStrides = stridesOf(inShape);
  const baseStrides = stridesOf(baseAxes.map((axis) => layout.base.shape[axis]));
  const pieces = parts.map((b) => ({
    source: b.source,
    axes: b.axes.map((axis, i) => ({
      size: layout.shape[axis],
      stride: inStrides[from.indexOf(axis)],
      within: stridesOf(b.axes.map((a) => layout.shape[a]))[i],
    })),
    base: b.baseAxes.map((axis, i) => ({
      size: layout.base.shape[axis],
      within: stridesOf(b.baseAxes.map((a) => layout.base.shape[a]))[i],
      stride: baseStrides[baseAxes.indexOf(axis)],
    })),
  }));
  const source = new Int32Array(sizeOf(inShape));
  for (let position = 0; position < source.length; position++) {
    let target = 0;
    for (const piece of pieces) {
      let index = 0;
      for (const { size, stride, within } of piece.axes)
        index += (Math.floor(position / stride) % size) * within;
      const at = piece.source[index];
      for (const { size, within, stride } of piece.base)
        target += (Math.floor(at / within) % size) * stride;
    }
    source[position] = target;
  }
  return source;
}

/**
 * The ids of a block's positions. Where several base axes are still free, all but the longest are
 * fixed: a position of a merged axis can only answer to one of them.
 */
export function elementIds(pool: IdPool, { baseAxes, source }: Block, base: Base): Int32Array {
  if (baseAxes.length === 0) return pool.fresh(source.length);
  if (baseAxes.length === 1) {
    const own = base.ids[baseAxes[0]];
    return source.map((position) => own[position]);
  }
  const isFree = (axis: number) => base.ids[axis].some((id) => pool.reasonFor(id) === undefined);
  const byWidth = [...baseAxes].sort((a, b) => base.shape[b] - base.shape[a]);
  const [live = byWidth[0], ...others] = byWidth.filter(isFree);
  for (const axis of others)
    for (const id of base.ids[axis]) pool.fix(id, "merged with a wider axis by a reshape");
  const stride = stridesOf(baseAxes.map((axis) => base.shape[axis]))[baseAxes.indexOf(live)];
  return source.map((position) => base.ids[live][Math.floor(position / stride) % base.shape[live]]);
}

/**
 * True when a view is its base with some positions of one axis, in some order, and all other axes
 * untouched: what a single Gather computes. Returns that axis and those positions, or "everything" where
 * the view is its base as it is.
 */
export function asSelection(
  layout: Layout,
): { readonly axis: number; readonly indices: Int32Array } | "everything" | undefined {
  const { base, shape, blocks } = layout;
  if (shape.length !== base.shape.length) return undefined;
  let moved: { axis: number; indices: Int32Array } | undefined;
  for (const { axes, baseAxes, source } of blocks) {
    const [axis] = axes;
    if (axes.length !== 1) return undefined;
    if (baseAxes.length === 0 && shape[axis] === 1 && base.shape[axis] === 1) continue;
    if (baseAxes.length !== 1 || baseAxes[0] !== axis) return undefined;
    if (source.length === base.shape[axis] && source.every((position, i) => position === i))
      continue;
    if (moved) return undefined;
    moved = { axis, indices: source };
  }
  return moved ?? "everything";
}

function block(axes: readonly number[], baseAxes: readonly number[], source: Int32Array): Block {
  return { axes, baseAxes, source, cut: undefined };
}

/** True for one axis that is one axis of the base, all of it and in its order. */
function isWholeAxis({ axes, baseAxes, source }: Block, { base }: Layout): boolean {
  return (
    axes.length === 1 &&
    baseAxes.length === 1 &&
    source.length === base.shape[baseAxes[0]] &&
    source.every((position, i) => position === i)
  );
}

/** Splits off axes of size 1 and separates axes that merely stand for base axes of their own. */
function simplified(
  { axes, baseAxes, source }: Block,
  shape: readonly number[],
  base: Base,
): Block[] {
  const wideBase = baseAxes.filter((axis) => base.shape[axis] > 1);
  const wide = axes.filter((axis) => shape[axis] > 1);
  const ones = axes.filter((axis) => shape[axis] === 1);
  if (wide.length === 0) {
    // One position: the first axis keeps it, the others stand for nothing.
    return axes.map((axis, i) =>
      i === 0 ? block([axis], baseAxes, source) : block([axis], [], iota(1)),
    );
  }
  const loose = ones.map((axis) => block([axis], [], iota(1)));
  const isSame =
    wide.length > 1 &&
    wide.length === wideBase.length &&
    wide.every((axis, i) => shape[axis] === base.shape[wideBase[i]]) &&
    source.every((position, i) => position === i);
  if (isSame)
    return [...loose, ...wide.map((axis, i) => block([axis], [wideBase[i]], iota(shape[axis])))];
  return [...loose, block(wide, wideBase.length > 0 ? wideBase : baseAxes, source)];
}

/** Axes before and after a reshape that hold the same elements in the same order. */
interface Segment {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** The finest runs of axes with equal products on both sides. */
function alignAxes(from: readonly number[], to: readonly number[]): Segment[] {
  const segments: { from: number[]; to: number[] }[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const segment: { from: number[]; to: number[] } = { from: [], to: [] };
    let left = 1;
    let right = 1;
    if (i < from.length) {
      left = from[i];
      segment.from.push(i++);
    }
    if (j < to.length) {
      right = to[j];
      segment.to.push(j++);
    }
    while (left !== right) {
      if (left < right && i < from.length) {
        left *= from[i];
        segment.from.push(i++);
      } else if (j < to.length) {
        right *= to[j];
        segment.to.push(j++);
      } else {
        left *= from[i];
        segment.from.push(i++);
      }
    }
    // Axes of size 1 beside equal products: keep [1, C] and [C] in one segment.
    const last = segments.at(-1);
    if (last && (segment.from.length === 0 || segment.to.length === 0)) {
      for (const axis of segment.from) last.from.push(axis);
      for (const axis of segment.to) last.to.push(axis);
    } else segments.push(segment);
  }
  return segments;
}

/** Joins segments that a block of several axes connects. */
function joinByBlocks(segments: readonly Segment[], layout: Layout): Segment[] {
  let joined = segments.map(({ from, to }) => ({ from: [...from], to: [...to] }));
  for (const { axes } of layout.blocks) {
    if (axes.length < 2) continue;
    const touched = joined.filter(({ from }) => from.some((axis) => axes.includes(axis)));
    if (touched.length < 2) continue;
    const merged = {
      from: touched.flatMap(({ from }) => from).sort((a, b) => a - b),
      to: touched.flatMap(({ to }) => to).sort((a, b) => a - b),
    };
    joined = joined.filter((segment) => !touched.includes(segment));
    joined.push(merged);
  }
  return joined;
}

function iota(length: number): Int32Array {
  const positions = new Int32Array(length);
  for (let i = 0; i < length; i++) positions[i] = i;
  return positions;
}

/** Row-major strides of a shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/** Visits all positions of `shape`, with the offset that `strides` give each. */
function walk(
  shape: readonly number[],
  strides: readonly number[],
  visit: (position: number, offset: number) => void,
): void {
  const total = sizeOf(shape);
  const own = stridesOf(shape);
  for (let position = 0; position < total; position++) {
    let offset = 0;
    for (let i = 0; i < shape.length; i++)
      offset += (Math.floor(position / own[i]) % shape[i]) * strides[i];
    visit(position, offset);
  }
}
