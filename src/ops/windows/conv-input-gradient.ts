/** @file dX of a convolution, in the form that is fastest on onnxruntime for the shape at hand. */
import { sizeOf } from "../../tensor/host-tensor.ts";
import { indicesOf, padZeros, sliceRuns } from "../operator/cutting.ts";
import type { Emitter, Value } from "../operator/gradient.ts";
import { afterOf, axes, type ConvShape, extentsOf } from "./conv-shape.ts";

type Form = "flipped" | "transposed" | "columns";

/**
 * The form of dX that is fastest. Measured in CPU ms of one thread, batch 64 (U-Net: 8), 3x3 where no kernel is given:
 *
 * | input           | flipped | transposed | columns |
 * | --------------- | ------- | ---------- | ------- |
 * | 16 x 32²        |     4.1 |        5.2 |         |
 * | 64 x 8²         |     2.4 |        2.5 |         |
 * | 64 x 32²        |    32.5 |       38.9 |         |
 * | 256 x 8²        |    26.7 |       32.8 |         |
 * | 512 x 4²        |    34   |       53   |    26   |
 * | 512 x 2²        |    33   |       54   |     7.2 |
 * | 20 x 12², 5x5, no padding | 5.9 | 1.6  |         |
 * | U-Net 32 x 128² |    19.6 |       28.9 |         |
 * | U-Net 512 x 8²  |    19.0 |       17.4 |    13.4 |
 *
 * With stride 2 (16 to 32 channels, 32² to 16²): transposed 2.3, a convolution for each of the four
 * phases 4.2, flipped over dY spread out with zeros 12.8.
 */
function formOf(s: ConvShape): Form {
  const extents = extentsOf(s);
  const places = sizeOf(s.output);
  const after = afterOf(s, s.input, s.output);
  if (s.strides.some((stride) => stride !== 1)) return "transposed";
  // onnxruntime multiplies image by image, and a product with few places per image is too small to be fast.
  if (s.group === 1 && sizeOf(s.kernel) > 1 && (places <= 16 || s.batch * places <= 2 * s.filters))
    return "columns";
  // Flipped, a window slides over the input's places and the padding around them.
  const isPadded = extents.every((extent, i) => s.before[i] < extent && after[i] < extent);
  return isPadded && sizeOf(s.input) <= 1.3 * places ? "flipped" : "transposed";
}

/** dX [batch, channels, ...input] from dY [batch, filters, ...output] and the weights. */
export function inputGradient(emit: Emitter, dy: Value, w: Value, s: ConvShape): Value {
  const form = formOf(s);
  switch (form) {
    case "flipped":
      return flipped(emit, dy, w, s);
    case "transposed":
      return transposed(emit, dy, w, s);
    case "columns":
      return columns(emit, dy, w, s);
    default:
      return form satisfies never;
  }
}

/** A convolution of dY with the kernel turned around, channels and filters exchanged. */
function flipped(emit: Emitter, dy: Value, w: Value, s: ConvShape): Value {
  const { group, kernel, dilations } = s;
  const turned = sliceRuns(
    emit,
    w,
    kernel.map((size, i) => ({ axis: 2 + i, start: size - 1, step: -1, count: size })),
  );
  const weights = exchanged(emit, turned, s);
  const after = afterOf(s, s.input, s.output);
  const pads = [s.before, after].flatMap((margins) =>
    extentsOf(s).map((extent, i) => extent - 1 - margins[i]),
  );
  return emit.op("Conv", [dy, weights], { group, dilations, pads, kernel_shape: kernel });
}

/** [filters, channels / group, ...k] → [channels, filters / group, ...k]. */
function exchanged(
  emit: Emitter,
  w: Value,
  { group, channels, filters, kernel }: ConvShape,
): Value {
  const n = kernel.length;
  if (group === 1) return emit.transpose(w, [1, 0, ...axes(2, n)]);
  const split = emit.reshape(w, [group, filters / group, channels / group, ...kernel]);
  const turned = emit.transpose(split, [0, 2, 1, ...axes(3, n)]);
  return emit.reshape(turned, [channels, filters / group, ...kernel]);
}

function transposed(emit: Emitter, dy: Value, w: Value, s: ConvShape): Value {
  const { group, strides, dilations, kernel } = s;
  const after = afterOf(s, s.input, s.output);
  return emit.op("ConvTranspose", [dy, w], {
    group,
    strides,
    dilations,
    kernel_shape: kernel,
    pads: [...s.before, ...after.map((margin) => Math.max(0, margin))],
    // Places of X that no window reached get zeros.
    output_padding: after.map((margin) => Math.max(0, -margin)),
  });
}

/** One product over the whole batch gives what each place of dY sends to each tap; the taps are then added up. */
function columns(emit: Emitter, dy: Value, w: Value, s: ConvShape): Value {
  const { batch, channels, filters, kernel, output, dilations, before } = s;
  const n = kernel.length;
  const taps = sizeOf(kernel);
  const places = batch * sizeOf(output);
  const rows = emit.reshape(emit.transpose(dy, [0, ...axes(2, n), 1]), [places, filters]);
  const products = emit.matmul(rows, emit.reshape(w, [filters, channels * taps]));
  const byTap = emit.transpose(emit.reshape(products, [places * channels, taps]), [1, 0]);
  const apart = emit.reshape(byTap, [taps, batch, ...output, channels]);
  const terms = indicesOf(kernel).map((tap, t) => {
    const one = sliceRuns(emit, apart, [{ axis: 0, start: t, step: 1, count: 1 }]);
    const start = tap.map((k, i) => k * dilations[i] - before[i]);
    const end = start.map((first, i) => s.input[i] - first - output[i]);
    const placed = emit.reshape(one, [batch, ...output, channels]);
    return padZeros(emit, placed, [0, ...start, 0], [0, ...end, 0]);
  });
  const sum = terms.length === 1 ? terms[0] : emit.op("Sum", terms);
  return emit.transpose(sum, [0, n + 1, ...axes(1, n)]);
}
