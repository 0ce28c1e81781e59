/** @file Cutting, padding and placing runs of elements, as gradient rules write it. */
import { int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import type { Emitter, GradientContext, Value } from "./gradient.ts";
import { range } from "./known.ts";
import type { GradientFacet } from "./operator.ts";

/**
 * The gradient facet of an operator with one output whose first input alone gets gradients: `dx`
 * gives them from dY (`undefined` where they are zero).
 */
export function throughFirst<A>(
  dx: (dy: Value, context: GradientContext<A>) => Value | undefined,
): GradientFacet<A> {
  return {
    rule: (context) => {
      const [dy] = context.dy;
      return dy && context.needs(0) ? [dx(dy, context)] : [];
    },
  };
}

/** A run of positions along one axis: `count` of them from `start`, `step` apart (0 repeats one). */
export interface Run {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** A run along an axis of a tensor. */
export interface AxisRun extends Run {
  readonly axis: number;
}

/** The elements of `x` at the runs, whose steps are not 0; `x` itself where that is all of it. */
export function sliceRuns(emit: Emitter, x: Value, runs: readonly AxisRun[]): Value {
  const real = runs.filter(
    ({ axis, start, step, count }) => count < x.shape[axis] || (count > 1 && step !== 1) || start,
  );
  if (real.length === 0) return x;
  const column = (f: (run: AxisRun) => number) => emit.ints(real.map(f));
  const steps = real.every(({ step }) => step === 1) ? [] : [column(({ step }) => step)];
  // A negative end counts from the back, so that an end before the first element is given as one below all elements.
  const end = ({ axis, start, step, count }: AxisRun) => {
    const past = start + step * (count - 1) + Math.sign(step);
    return past < 0 ? -x.shape[axis] - 1 : past;
  };
  const bounds = [column(({ start }) => start), column(end), column(({ axis }) => axis)];
  return emit.op("Slice", [x, ...bounds, ...steps]);
}

/** Zeros before and after each axis of `x`, negative where elements are cut off; `x` itself for none. */
export function padZeros(
  emit: Emitter,
  x: Value,
  before: readonly number[],
  after: readonly number[],
): Value {
  if ([...before, ...after].every((margin) => margin === 0)) return x;
  if ([...before, ...after].every((margin) => margin <= 0))
    return sliceRuns(
      emit,
      x,
      x.shape.map((size, axis) => {
        const count = size + before[axis] + after[axis];
        return { axis, start: -before[axis], step: 1, count };
      }),
    );
  return emit.op("Pad", [x, emit.ints([...before, ...after].map((margin) => margin + 0))]);
}

/** Zeros around `x` along one axis, such that `x` starts at index `at` of an axis of `size` ({@link padZeros}). */
export function placeAt(emit: Emitter, x: Value, axis: number, at: number, size: number): Value {
  const margins = (margin: number) => x.shape.map((_, i) => (i === axis ? margin : 0));
  return padZeros(emit, x, margins(at), margins(size - at - x.shape[axis]));
}

/**
 * The gradient of picking `positions` along `axis` of a tensor with `size` there: the elements of
 * `dy` are added up at the positions that they came from.
 */
export function placeAlong(
  emit: Emitter,
  dy: Value,
  axis: number,
  positions: readonly number[],
  size: number,
): Value | undefined {
  if (sizeOf(dy.shape) === 0) return undefined;
  const runs = runsOf(positions);
  if (runs.length > 4) return placeSingly(emit, dy, axis, positions, size);
  let from = 0;
  const terms = runs.map(({ start, step, count }) => {
    const run = sliceRuns(emit, dy, [{ axis, start: from, step: 1, count }]);
    from += count;
    if (step === 0) return placeAt(emit, emit.sum(run, [axis], true), axis, start, size);
    // Zeros between single elements are slow by Pad: for [64, 16, 16², step 2] it takes 4.8 ms, a matrix product 0.8.
    if (Math.abs(step) > 1 && axis === dy.shape.length - 1) {
      const values = new Float64Array(count * size);
      for (let k = 0; k < count; k++) values[k * size + start + k * step] = 1;
      return multiplyAlong(emit, run, axis, { rows: count, columns: size, values });
    }
    const ascending =
      step > 0 ? run : sliceRuns(emit, run, [{ axis, start: count - 1, step: -1, count }]);
    const lowest = step > 0 ? start : start + step * (count - 1);
    const spread = spreadOut(emit, ascending, axis, Math.abs(step));
    return placeAt(emit, spread, axis, lowest, size);
  });
  return terms.length === 1 ? terms[0] : emit.op("Sum", terms);
}

/** The positions as runs, each as long as possible. */
export function runsOf(positions: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (let i = 0; i < positions.length; ) {
    const start = positions[i];
    const step = i + 1 < positions.length ? positions[i + 1] - start : 1;
    let count = 1;
    while (i + count < positions.length && positions[i + count] === start + step * count) count++;
    runs.push({ start, step: count === 1 ? 1 : step, count });
    i += count;
  }
  return runs;
}

/** `step - 1` zeros behind every element along `axis`. */
function spreadOut(emit: Emitter, x: Value, axis: number, step: number): Value {
  if (step === 1) return x;
  const { shape } = x;
  const apart = emit.reshape(x, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]);
  const wide = placeAt(emit, apart, axis + 1, 0, step);
  return emit.reshape(
    wide,
    shape.map((size, i) => (i === axis ? size * step : size)),
  );
}

/** The gradient of any selection: a Gather by the inverse selection where no position occurs twice, else a sum. */
function placeSingly(
  emit: Emitter,
  dy: Value,
  axis: number,
  positions: readonly number[],
  size: number,
): Value {
  if (new Set(positions).size === positions.length) {
    const source = new Array<number>(size).fill(positions.length);
    for (const [k, position] of positions.entries()) source[position] = k;
    const isPermutation = positions.length === size;
    const withZero = isPermutation ? dy : placeAt(emit, dy, axis, 0, positions.length + 1);
    return emit.op("Gather", [withZero, emit.ints(source)], { axis });
  }
  return addAlong(emit, dy, axis, emit.constant(int64Vector(positions)), size);
}

/**
 * Zeros with an axis of `size`, to which the slices of `dy` along `axis` are added at `indices` [n].
 *
 * By ScatterElements: onnxruntime 1.30 adds in ScatterND from several threads without a lock, and
 * loses terms where an index occurs twice.
 */
export function addAlong(
  emit: Emitter,
  dy: Value,
  axis: number,
  indices: Value,
  size: number,
): Value {
  const along = dy.shape.map((n, i) => (i === axis ? n : 1));
  const places = emit.expand(emit.reshape(indices, along), dy.shape);
  const zeros = emit.filled(
    0,
    dy.shape.map((n, i) => (i === axis ? size : n)),
    dy.dtype,
  );
  return emit.op("ScatterElements", [zeros, places, dy], { axis, reduction: "add" });
}

/** `x` times a constant matrix [from, to] along `axis`: Y[.., j, ..] = Σᵢ X[.., i, ..] M[i, j]. */
export function multiplyAlong(
  emit: Emitter,
  x: Value,
  axis: number,
  matrix: { readonly rows: number; readonly columns: number; readonly values: Float64Array },
): Value {
  const { rows, columns, values } = matrix;
  if (axis === x.shape.length - 1)
    return emit.matmul(x, emit.constant(tensorOf(x.dtype, [rows, columns], values)));
  const transposed = Float64Array.from(
    { length: values.length },
    (_, at) => values[(at % rows) * columns + Math.floor(at / rows)],
  );
  const left = emit.constant(tensorOf(x.dtype, [columns, rows], transposed));
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  const product = emit.matmul(left, emit.reshape(x, [outer, rows, inner]));
  return emit.reshape(
    product,
    x.shape.map((size, i) => (i === axis ? columns : size)),
  );
}

/** All index vectors of a box, last axis fastest. */
export function indicesOf(sizes: readonly number[]): readonly (readonly number[])[] {
  return sizes.reduce<readonly (readonly number[])[]>(
    (heads, size) => heads.flatMap((head) => range(size).map((k) => [...head, k])),
    [[]],
  );
}
