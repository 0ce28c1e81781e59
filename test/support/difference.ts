/** @file How far tensors are apart, for tests that compare what two networks compute. */
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";

/** How far two series of tensors are apart. */
export interface Difference {
  /** Largest absolute difference; infinite where shapes differ or one side alone is NaN. */
  readonly largest: number;
  /** Range of the finite expected values; their magnitude where they are all the same. */
  readonly range: number;
}

/** Compares tensors pairwise. */
export function differenceOf(
  expected: readonly (HostTensor | undefined)[],
  actual: readonly (HostTensor | undefined)[],
): Difference {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let largest = 0;
  for (const [i, a] of expected.entries()) {
    const b = actual[i];
    if (!a || !b || a.shape.join() !== b.shape.join())
      return { largest: Number.POSITIVE_INFINITY, range: 1 };
    const [x, y] = [toNumbers(a), toNumbers(b)];
    for (let k = 0; k < x.length; k++) {
      if (Number.isFinite(x[k])) {
        low = Math.min(low, x[k]);
        high = Math.max(high, x[k]);
      }
      if (Object.is(x[k], y[k]) || x[k] === y[k]) continue;
      const distance = Math.abs(x[k] - y[k]);
      largest = Math.max(largest, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
    }
  }
  const range = high - low || Math.max(Math.abs(low), Math.abs(high));
  return { largest, range: Number.isFinite(range) && range > 0 ? range : 1 };
}
