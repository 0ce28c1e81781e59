/** @file The sizes of a convolution, all known, as its gradient forms read them. */

import { indicesOf, padZeros, sliceRuns } from "../operator/cutting.ts";
import type { Emitter, Value } from "../operator/gradient.ts";
import { range } from "../operator/known.ts";
import type { Window } from "../operator/role.ts";

/**
 * A convolution from [batch, channels, ...input] to [batch, filters, ...output] with weights
 * [filters, channels / group, ...kernel]. A transposed convolution is described with input and output exchanged.
 */
export interface ConvShape {
  readonly batch: number;
  readonly group: number;
  readonly channels: number;
  readonly filters: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before each spatial axis. */
  readonly before: readonly number[];
}

/** A window with every size known. */
export interface KnownWindow {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before each spatial axis. */
  readonly before: readonly number[];
}

/** The window as it slides over `input`, automatic padding resolved. */
export function knownWindow(
  window: Window,
  input: readonly number[],
  kernel: readonly number[],
): KnownWindow {
  const strides = input.map((_, i) => window.strides?.[i] ?? 1);
  const dilations = input.map((_, i) => window.dilations?.[i] ?? 1);
  const before = input.map((size, i) => {
    if (window.autoPad === "NOTSET") return window.pads?.[i] ?? 0;
    if (window.autoPad === "VALID") return 0;
    const steps = Math.ceil(size / strides[i]) - 1;
    const total = Math.max(0, steps * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - size);
    return window.autoPad === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  return { kernel, strides, dilations, before };
}

/** How many positions a dilated kernel spans, by axis. */
export function extentsOf({ kernel, dilations }: Omit<KnownWindow, "before">): number[] {
  return kernel.map((size, i) => dilations[i] * (size - 1) + 1);
}

/** Padding after each spatial axis with which the window ends at its last place; may be negative. */
export function afterOf(
  window: KnownWindow,
  input: readonly number[],
  output: readonly number[],
): number[] {
  return extentsOf(window).map(
    (extent, i) => (output[i] - 1) * window.strides[i] + extent - input[i] - window.before[i],
  );
}

/**
 * For each tap of the kernel, row-major: what it sees of `x`, whose spatial axes begin at `at`; zeros
 * where it stands in the padding.
 */
export function tapsOf(
  emit: Emitter,
  x: Value,
  at: number,
  window: KnownWindow,
  output: readonly number[],
): readonly Value[] {
  const n = output.length;
  const after = afterOf(window, x.shape.slice(at, at + n), output);
  const spread = (margins: readonly number[]) =>
    x.shape.map((_, axis) => (axis >= at && axis < at + n ? Math.max(0, margins[axis - at]) : 0));
  const padded = padZeros(emit, x, spread(window.before), spread(after));
  return indicesOf(window.kernel).map((tap) =>
    sliceRuns(
      emit,
      padded,
      tap.map((k, i) => ({
        axis: at + i,
        start: k * window.dilations[i],
        step: window.strides[i],
        count: output[i],
      })),
    ),
  );
}

/** Axes [first, first + count). */
export const axes = (first: number, count: number): number[] => range(count, first);
