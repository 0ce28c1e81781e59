/** @file The gradient rules of pools. */
import { assert } from "../../errors.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { algebraOf, steep } from "../operator/algebra.ts";
import { indicesOf, padZeros, sliceRuns, throughFirst } from "../operator/cutting.ts";
import type { Emitter, GradientContext, Value } from "../operator/gradient.ts";
import { range } from "../operator/known.ts";
import type { GradientFacet } from "../operator/operator.ts";
import type { Window } from "../operator/role.ts";
import { afterOf, axes, type KnownWindow, knownWindow } from "./conv-shape.ts";

/** The attributes of pools over windows. */
export interface PoolAttributes extends Window {
  readonly kernel: readonly number[];
  readonly ceilMode: boolean;
  /** Whether AveragePool divides by the padding too. */
  readonly countsPadding: boolean;
  /** The exponent of LpPool's norm. */
  readonly p: number;
}

/** The window of a pool, and the sizes of the spatial axes of X and Y. */
interface Place extends KnownWindow {
  readonly input: readonly number[];
  readonly output: readonly number[];
}

function placeOf(context: GradientContext<PoolAttributes>, dy: Value): Place {
  const { attrs } = context;
  const input = context.input(0).shape.slice(2);
  return { ...knownWindow(attrs, input, attrs.kernel), input, output: dy.shape.slice(2) };
}

/**
 * dX of MaxPool: the largest element of each window gets the dY of the window. Where windows lie side by side, X is
 * compared with Y spread over them, and equal elements share evenly (in PyTorch the first one takes all; the sum is
 * the same). All other windows need the Indices that MaxPool gives, which name the first of the largest elements.
 *
 * CPU ms for [64, 64, 32²], 2x2: shared 10.9, the first one by comparing the elements of windows one by one 20, by
 * Indices 21.
 */
export const maxPoolGradient: GradientFacet<PoolAttributes> = throughFirst((dy, context) => {
  const place = placeOf(context, dy);
  return isTiling(place) ? ofTiles(context, dy, place) : byIndices(context, dy);
});

/** Whether windows lie side by side in planes, without padding. */
function isTiling({ kernel, strides, dilations, before, input, output }: Place): boolean {
  return (
    kernel.length === 2 &&
    kernel.every((size, i) => size === strides[i] && dilations[i] === 1 && before[i] === 0) &&
    output.every((count, i) => count * kernel[i] <= input[i])
  );
}

function ofTiles(context: GradientContext<PoolAttributes>, dy: Value, place: Place): Value {
  const { emit } = context;
  const { kernel, strides, output } = place;
  const x = context.input(0);
  const { mul, div, sub, equals, apply } = algebraOf(emit, dy);
  const tiles = output.map((count, i) => ({
    axis: 2 + i,
    start: 0,
    step: 1,
    count: count * kernel[i],
  }));
  const seen = sliceRuns(emit, x, tiles);
  const y = repeated(emit, outputOf(context), kernel);
  // X - Y is 0 for the largest elements of a window, and negative for all others.
  const isLargest =
    dy.dtype === "float32"
      ? apply("HardSigmoid", sub(seen, y), { alpha: steep, beta: 1 })
      : equals(seen, y);
  const share = emit.op("AveragePool", [isLargest], { kernel_shape: kernel, strides });
  const each = div(dy, mul(share, sizeOf(kernel)));
  const dx = mul(isLargest, repeated(emit, each, kernel));
  const missing = x.shape.map((size, axis) => size - dx.shape[axis]);
  const nothing = missing.map(() => 0);
  return padZeros(emit, dx, nothing, missing);
}

/** Every place of a plane as a block of `sizes`. */
function repeated(emit: Emitter, x: Value, sizes: readonly number[]): Value {
  const scales = emit.constant(tensorOf("float32", [2 + sizes.length], [1, 1, ...sizes]));
  return emit.op("Resize", [x, undefined, scales], {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  });
}

function outputOf({ outputs, node }: GradientContext<unknown>): Value {
  const [y] = outputs;
  assert(y !== undefined, `"${node.name}" names its output`);
  return y;
}

function byIndices(context: GradientContext<PoolAttributes>, dy: Value): Value {
  const { emit, node } = context;
  const x = context.input(0);
  const attributes = { ...Object.fromEntries(node.attributes), storage_order: 0 };
  const [, indices] = emit.ops("MaxPool", [x], attributes, [true, true]);
  const flat = (v: Value | undefined) => v && emit.reshape(v, [sizeOf(dy.shape)]);
  const zeros = emit.filled(0, [sizeOf(x.shape)], dy.dtype);
  const settings = { axis: 0, reduction: "add" };
  const dx = emit.op("ScatterElements", [zeros, flat(indices), flat(dy)], settings);
  return emit.reshape(dx, x.shape);
}

/** dX of AveragePool: every element of a window gets dY divided by the number of elements averaged. */
export const averagePoolGradient: GradientFacet<PoolAttributes> = throughFirst((dy, context) => {
  const { emit } = context;
  const place = placeOf(context, dy);
  return spread(emit, dy, place, countsOf(place, context));
});

/** With y = (Σ |x|^p)^(1/p): dX = sign(x) |x|^(p-1) times what the windows spread of dY y^(1-p). */
export const lpPoolGradient: GradientFacet<PoolAttributes> = throughFirst((dy, context) => {
  const { emit, attrs } = context;
  const x = context.input(0);
  const { div, apply, pow, mul, equals, add } = algebraOf(emit, dy);
  const ones = new Float64Array(sizeOf(dy.shape.slice(2))).fill(1);
  const place = placeOf(context, dy);
  if (attrs.p === 1) return mul(apply("Sign", x), spread(emit, dy, place, ones));
  // A window of zeros has no slope: its y is taken as 1, and meets zeros.
  const y = outputOf(context);
  const share = div(dy, pow(add(y, equals(y, 0)), attrs.p - 1));
  return mul(slopeOf(emit, x, attrs.p), spread(emit, share, place, ones));
});

/** sign(x) |x|^(p-1), the derivative of |x|^p / p. */
function slopeOf(emit: Emitter, x: Value, p: number): Value {
  const { apply, pow, mul } = algebraOf(emit, x);
  if (p === 2) return x;
  return p === 1 ? apply("Sign", x) : mul(apply("Sign", x), pow(apply("Abs", x), p - 1));
}

/** How many elements the mean of each window is taken over, by place. */
function countsOf(place: Place, { attrs }: GradientContext<PoolAttributes>): Float64Array {
  const { kernel, strides, dilations, before, input, output } = place;
  const after = afterOf(place, input, output);
  const given = input.map((_, i) => attrs.pads?.[input.length + i] ?? 0);
  const perAxis = input.map((size, i) => {
    // Windows that ceil_mode lets reach beyond the padding do not count what lies there.
    const padding = attrs.autoPad === "NOTSET" ? given[i] : Math.max(0, after[i]);
    const [from, to] = attrs.countsPadding ? [-before[i], size + padding] : [0, size];
    return range(output[i]).map((k) => {
      const first = k * strides[i] - before[i];
      const positions = range(kernel[i]).map((t) => first + t * dilations[i]);
      return positions.filter((position) => position >= from && position < to).length;
    });
  });
  return Float64Array.from(indicesOf(output), (index) =>
    index.reduce((count, k, i) => count * perAxis[i][k], 1),
  );
}

/**
 * Every element gets the sum of dY / count over the windows that see it. CPU ms for 2x2 windows side by side,
 * [64, 64, 32²]: as nearest Resize 3.1, as ConvTranspose of single planes 4.6, as Expand 33.
 */
function spread(emit: Emitter, dy: Value, place: Place, counts: Float64Array): Value {
  const { kernel, strides, dilations, before, input, output } = place;
  const [batch, channels] = dy.shape;
  const { mul } = algebraOf(emit, dy);
  const shares = counts.map((count) => 1 / count);
  const isUniform = shares.every((share) => share === shares[0]);
  const constant = () => emit.constant(tensorOf(dy.dtype, output, shares));
  const share = mul(dy, isUniform ? shares[0] : constant());
  const isDense = input.every((size, i) => size === output[i] * strides[i]);
  const n = input.length;
  const isSideBySide = kernel.every((size, i) => size === strides[i] && before[i] === 0);
  if (isDense && isSideBySide && dilations.every((step) => step === 1) && n === 2)
    return repeated(emit, share, strides);
  const after = afterOf(place, input, output);
  const planes = emit.reshape(share, [batch * channels, 1, ...output]);
  const ones = emit.constant(
    tensorOf(dy.dtype, [1, 1, ...kernel], new Float64Array(sizeOf(kernel)).fill(1)),
  );
  const dx = emit.op("ConvTranspose", [planes, ones], {
    strides,
    dilations,
    kernel_shape: kernel,
    pads: [...before, ...after.map((margin) => Math.max(0, margin))],
    output_padding: after.map((margin) => Math.max(0, -margin)),
  });
  return emit.reshape(dx, [batch, channels, ...input]);
}

/** dX of MaxUnpool: the elements of dY at the places to which those of X were written. */
export const maxUnpoolGradient: GradientFacet<Window> = throughFirst((dy, { emit, input }) => {
  const flat = (v: Value) => emit.reshape(v, [sizeOf(v.shape)]);
  const picked = emit.op("GatherElements", [flat(dy), flat(input(1))], { axis: 0 });
  return emit.reshape(picked, input(0).shape);
});

/** dX of GlobalAveragePool: every position gets dY divided by the number of positions. */
export const globalAverageGradient: GradientFacet = throughFirst((dy, { emit, input }) => {
  const { shape } = input(0);
  return emit.expand(algebraOf(emit, dy).mul(dy, 1 / sizeOf(shape.slice(2))), shape);
});

/** dX of GlobalMaxPool: the largest elements share dY evenly. */
export const globalMaxGradient: GradientFacet = throughFirst((dy, context) => {
  const { emit } = context;
  const x = context.input(0);
  const { mul, div, equals } = algebraOf(emit, dy);
  const isLargest = equals(x, outputOf(context));
  return mul(isLargest, div(dy, emit.sum(isLargest, axes(2, x.shape.length - 2), true)));
});

/** dX of GlobalLpPool, which is LpPool ({@link lpPoolGradient}) with one window. */
export const globalLpGradient: GradientFacet<{ readonly p: number }> = throughFirst(
  (dy, context) => {
    const { emit, attrs } = context;
    const { mul, div, add, pow, equals } = algebraOf(emit, dy);
    const y = outputOf(context);
    const share = () => div(dy, pow(add(y, equals(y, 0)), attrs.p - 1));
    return mul(slopeOf(emit, context.input(0), attrs.p), attrs.p === 1 ? dy : share());
  },
);
