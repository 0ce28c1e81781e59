/**
 * @file Are two series of tensors equal, different, or is there nothing to tell? Rounding is told from
 * faults by what it does to the reference itself.
 */
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, isStrings, toNumbers } from "../../tensor/host-tensor.ts";

/** What a comparison of one tensor shows. */
export type Finding =
  /** Both compute the same, and it depends on the input. */
  | "equal"
  | "different"
  /** Both give the same, which does not depend on the inputs tried. */
  | "constant"
  /** Both give the same, but it has no elements. */
  | "empty"
  /** Both give the same indices, counts or truth values, which tell little of what they came from. */
  | "coarse"
  /** They differ, but rounding alone moves the reference by more than can be told from a fault. */
  | "rounding";

/**
 * What a difference at an optimisation level shows, beside what the exact level shows. Of a quantised network
 * the runtime fuses layers into kernels with whole numbers there, which saturate on some processors: a fault of
 * the file would show at the exact level as well.
 */
export function findingWhenOptimised(
  exact: Finding,
  optimised: Finding,
  isQuantised: boolean,
): Finding | "runtime" {
  const isOnlyHere = optimised === "different" && exact !== "different" && exact !== "rounding";
  return isOnlyHere && isQuantised ? "runtime" : optimised;
}

/** One comparison, judged. */
export interface Judgement {
  /**
   * Largest absolute difference, as a share of the range of the values expected on that input; 0 where rounding
   * explains it.
   */
  readonly maxError: number;
  /** What rounding alone moves, as a share of that range. */
  readonly noise: number;
  readonly finding: Finding;
}

/** A tensor on every input, as the reference and the smaller network compute it. */
export interface Series {
  readonly expected: readonly (HostTensor | undefined)[];
  readonly actual: readonly (HostTensor | undefined)[];
  /** The reference again, with nothing changed but rounding: otherwise optimised, or on inputs one step away. */
  readonly again: readonly (readonly (HostTensor | undefined)[])[];
}

/** Differences of up to so many times what rounding moves are rounding: sums of more terms round more. */
const roundingFactor = 8;

/** Where rounding moves more than this share of the range, a small fault could not be told from it. */
const loudNoise = 0.01;

/** A sample whose range is a smaller share of the whole range is measured by that share. */
const smallestRange = 1e-3;

/** Values that change by less from input to input, as a share of their size, do not depend on it. */
const sameFromInputToInput = 1e-6;

/** Judges a series: differences up to `tolerance` times the range are none. */
export function judge({ expected, actual, again }: Series, tolerance: number): Judgement {
  const values = expected.map(numbersOf);
  const spans = values.map(spanOf);
  const whole = Math.max(0, ...spans.map(({ range }) => range));
  let [maxError, noise, different, drowned, equal] = [0, 0, false, false, false];
  const jitter: number[] = [];
  for (const [i, tensor] of expected.entries()) {
    const range = Math.max(spans[i].range, smallestRange * whole) || 1;
    const error = distance(tensor, actual[i]) / range;
    const moved = Math.max(0, ...again.map((series) => distance(tensor, series[i]))) / range;
    // A shape that follows from values may change with rounding, which says nothing about its size.
    const rounding = Number.isFinite(moved) ? moved : loudNoise * 2;
    if (error <= tolerance) {
      maxError = Math.max(maxError, error);
      equal = true;
    } else if (rounding > loudNoise) drowned = true;
    else if (error <= tolerance + roundingFactor * rounding) equal = true;
    else {
      different = true;
      maxError = Math.max(maxError, error);
    }
    noise = Math.max(noise, rounding);
    jitter.push(roundingFactor * rounding * range);
  }
  const finding = (): Finding => {
    if (different) return "different";
    if (!equal) return drowned ? "rounding" : "empty";
    if (values.every((numbers) => numbers.length === 0)) return "empty";
    if (expected.some((tensor) => tensor && !isFloat(tensor.dtype))) return "coarse";
    return dependsOnInput(expected, values, jitter) ? "equal" : "constant";
  };
  return { maxError, noise, finding: finding() };
}

/** The largest absolute difference; infinite where shapes differ or one side alone is NaN. */
function distance(a: HostTensor | undefined, b: HostTensor | undefined): number {
  if (!a || !b || a.shape.join() !== b.shape.join()) return Number.POSITIVE_INFINITY;
  if (isStrings(a.data) || isStrings(b.data))
    return a.data.every((text, i) => text === b.data[i]) ? 0 : Number.POSITIVE_INFINITY;
  const [x, y] = [numbersOf(a), numbersOf(b)];
  let largest = 0;
  for (let k = 0; k < x.length; k++) {
    if (x[k] === y[k]) continue;
    const apart = Math.abs(x[k] - y[k]);
    if (!Number.isNaN(apart)) largest = Math.max(largest, apart);
    else if (!(Number.isNaN(x[k]) && Number.isNaN(y[k]))) return Number.POSITIVE_INFINITY;
  }
  return largest;
}

/** The elements, without a copy where they are numbers already. */
function numbersOf(tensor: HostTensor | undefined): Float32Array | Float64Array {
  if (tensor === undefined || isStrings(tensor.data)) return new Float64Array();
  return tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
}

/** Range of the finite values; their magnitude where they are all the same. */
function spanOf(values: Float32Array | Float64Array): { readonly range: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = high - low || Math.max(Math.abs(low), Math.abs(high));
  return { range: Number.isFinite(range) ? range : 0 };
}

/**
 * Whether the values differ between inputs by more than rounding does: between inputs that give as many
 * values, if there are such. The values of a single input must differ from place to place.
 */
function dependsOnInput(
  tensors: readonly (HostTensor | undefined)[],
  values: readonly (Float32Array | Float64Array)[],
  jitter: readonly number[],
): boolean {
  const [first, ...others] = values;
  if (others.length === 0) return first.some((value) => value !== first[0]);
  const shape = tensors[0]?.shape.join();
  const isAlike = (i: number) => tensors[i + 1]?.shape.join() === shape;
  if (!others.some((_, i) => isAlike(i))) return true;
  return others.some((other, i) => {
    if (!isAlike(i)) return false;
    const own = Math.max(jitter[0], jitter[i + 1]);
    return first.some((value, k) => {
      const size = Math.max(Math.abs(value), Math.abs(other[k]));
      return Math.abs(value - other[k]) > sameFromInputToInput * size + own;
    });
  });
}
