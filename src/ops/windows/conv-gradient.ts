/** @file The gradient rules of Conv and ConvTranspose. */

import { sliceRuns } from "../operator/cutting.ts";
import {
  channelSum,
  type Emitter,
  type GradientContext,
  type GradientRule,
  type Value,
} from "../operator/gradient.ts";
import type { Window } from "../operator/role.ts";
import { inputGradient } from "./conv-input-gradient.ts";
import { afterOf, type ConvShape, extentsOf, knownWindow } from "./conv-shape.ts";
import { weightGradient } from "./conv-weight-gradient.ts";

interface ConvAttributes extends Window {
  readonly group: number;
}

interface ConvTransposeAttributes extends ConvAttributes {
  readonly outputShape: readonly number[] | undefined;
  readonly outputPadding: readonly number[] | undefined;
}

/** dX, dW and dB of Conv. */
export const convGradient: GradientRule<ConvAttributes> = (context) => {
  const { emit, attrs } = context;
  const [x, w, [dy]] = [context.input(0), context.input(1), context.dy];
  if (!dy) return [];
  const [batch, channels, ...input] = x.shape;
  const [, filters, ...output] = dy.shape;
  const window = knownWindow(attrs, input, w.shape.slice(2));
  const s = { batch, channels, filters, input, output, group: attrs.group, ...window };
  return [
    context.needs(0) ? inputGradient(emit, dy, w, s) : undefined,
    context.needs(1) ? weightGradient(emit, x, dy, s) : undefined,
    biasGradient(context, dy),
  ];
};

/**
 * dX, dW and dB of ConvTranspose. A transposed convolution computes the dX of a convolution, so its own dX is that
 * convolution of dY, and its dW is the dW of that convolution with X and dY exchanged.
 */
export const convTransposeGradient: GradientRule<ConvTransposeAttributes> = (context) => {
  const { emit, attrs } = context;
  const [x, w, [dy]] = [context.input(0), context.input(1), context.dy];
  if (!dy) return [];
  const [batch, filters, ...output] = x.shape;
  const [, channels, ...input] = dy.shape;
  const window = transposedWindow(attrs, input, output, w.shape.slice(2));
  const s: ConvShape = { batch, channels, filters, input, output, group: attrs.group, ...window };
  return [
    context.needs(0) ? convolved(emit, dy, w, s) : undefined,
    context.needs(1) ? weightGradient(emit, dy, x, s) : undefined,
    biasGradient(context, dy),
  ];
};

function convolved(emit: Emitter, x: Value, w: Value, s: ConvShape): Value {
  const { group, strides, dilations, kernel, before, input, output } = s;
  const after = afterOf(s, input, output);
  // Positions at the end that no window reaches are cut off.
  const seen = sliceRuns(
    emit,
    x,
    after.map((margin, i) => {
      return { axis: 2 + i, start: 0, step: 1, count: input[i] + Math.min(0, margin) };
    }),
  );
  const pads = [...before, ...after.map((margin) => Math.max(0, margin))];
  return emit.op("Conv", [seen, w], { group, strides, dilations, pads, kernel_shape: kernel });
}

function biasGradient(context: GradientContext<unknown>, dy: Value): Value | undefined {
  return context.needs(2) ? channelSum(context.emit, dy) : undefined;
}

/** The window of the convolution from Y (`input`) to X (`output`). */
function transposedWindow(
  attrs: ConvTransposeAttributes,
  input: readonly number[],
  output: readonly number[],
  kernel: readonly number[],
) {
  const { autoPad, outputShape, outputPadding } = attrs;
  const isGiven = outputShape === undefined && (autoPad === "NOTSET" || autoPad === "VALID");
  const window = knownWindow({ ...attrs, autoPad: isGiven ? autoPad : "VALID" }, input, kernel);
  if (isGiven) return window;
  // The output's size is given, and determines the padding.
  const before = extentsOf(window).map((extent, i) => {
    const whole = (output[i] - 1) * window.strides[i] + extent + (outputPadding?.[i] ?? 0);
    const total = Math.max(0, whole - input[i]);
    return autoPad === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  return { ...window, before };
}
