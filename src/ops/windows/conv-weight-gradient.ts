/** @file dW of a convolution, in the form that is fastest on onnxruntime for the shape at hand. */
import { sizeOf } from "../../tensor/host-tensor.ts";
import { padZeros, placeAt, sliceRuns } from "../operator/cutting.ts";
import type { Emitter, Value } from "../operator/gradient.ts";
import { range } from "../operator/known.ts";
import { afterOf, axes, type ConvShape, extentsOf, tapsOf } from "./conv-shape.ts";

type Form = "taps" | "shifts" | "columns" | "images" | "products" | "convolution";

/**
 * The form of dW that is fastest. Measured in CPU ms of one thread, batch 64 (U-Net: 8), 3x3 where no kernel is given:
 *
 * | input, filters        | taps | shifts | columns | images | products | convolution |
 * | --------------------- | ---- | ------ | ------- | ------ | -------- | ----------- |
 * | 3 x 32², 16           |  3.1 |        |     1.7 |    3.0 |          |         2.7 |
 * | 1 x 28², 20, 5x5      |  1.5 |        |     0.9 |    5.2 |          |         1.0 |
 * | 16 x 32², 16          |  4.6 |    3.9 |     8.8 |    4.7 |          |        12.4 |
 * | 64 x 8², 64           |  2.2 |        |     3.9 |    3.4 |          |         5.5 |
 * | 64 x 32², 64          |  45  |    31  |     52  |    40  |          |          90 |
 * | 256 x 8², 256         |  26  |        |     32  |    38  |          |          55 |
 * | U-Net 32 x 128², 32   |  36  |    23  |     41  |    29  |          |          70 |
 * | 32 x 16², 32          |  2.4 |    2.6 |     5.6 |    3.6 |          |         8.3 |
 * | U-Net 128 x 32², 128  |  14.0|   13.6 |    17.3 |   14.6 |          |        33.5 |
 * | 16 x 32², 32, stride 2|  3.1 |        |     5.2 |    4.2 |          |         5.1 |
 * | 16 x 32², 64, 1x1     |  3.0 |        |     2.5 |    1.7 |          |         8.2 |
 * | 256 x 8², 256, 1x1    |  3.2 |        |     3.3 |    4.0 |          |        14.7 |
 * | 64 x 32², depthwise   |  79  |        |         |        |     30   |          38 |
 * | the same with stride 2|  34  |        |         |        |     14.6 |        11.4 |
 * | 64 x 16², 64, 4 groups|  7.8 |        |         |        |          |        12.4 |
 * | 128 x 16², 128, 32 groups | 24.6 |    |         |        |          |        20.2 |
 */
function formOf(s: ConvShape): Form {
  const taps = sizeOf(s.kernel);
  const perGroup = s.channels / s.group;
  const places = sizeOf(s.output);
  const isDense = s.strides.every((stride) => stride === 1);
  if (s.group > 1) {
    if (s.group === s.channels && s.group === s.filters)
      return isDense ? "products" : "convolution";
    const isWide = perGroup === 1 || (perGroup * s.filters) / s.group >= 64;
    return isWide ? "taps" : "convolution";
  }
  if (taps === 1) return places >= 256 ? "images" : "taps";
  if (perGroup * taps <= 32) return "columns";
  const after = afterOf(s, s.input, s.output);
  const hasRoom = extentsOf(s).every((extent, i) => s.before[i] < extent && after[i] < extent);
  // The products of all images must not be larger than what is multiplied.
  const isSmall = s.filters * s.channels * taps <= (s.filters + s.channels) * places;
  const isPlane = s.kernel.length === 2 && isDense && hasRoom;
  return isPlane && isSmall && places >= 1024 ? "shifts" : "taps";
}

/** dW [filters, channels / group, ...kernel] from X [batch, channels, ...input] and dY. */
export function weightGradient(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const form = formOf(s);
  const dw = forms[form](emit, x, dy, s);
  return emit.reshape(dw, [s.filters, s.channels / s.group, ...s.kernel]);
}

const forms: Readonly<Record<Form, (emit: Emitter, x: Value, dy: Value, s: ConvShape) => Value>> = {
  taps,
  shifts,
  columns,
  images,
  products,
  convolution,
};

/** The form with one product [filters, places] x [places, channels] for each tap. */
function taps(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const { batch, group, channels, filters, input, output } = s;
  const n = input.length;
  const places = batch * sizeOf(output);
  const [perGroup, out] = [channels / group, filters / group];
  const lead = group === 1 ? [] : [group];
  const channelsLast =
    group === 1
      ? emit.transpose(x, [0, ...axes(2, n), 1])
      : emit.transpose(emit.reshape(x, [batch, group, perGroup, ...input]), [
          1,
          0,
          ...axes(3, n),
          2,
        ]);
  const rows = emit.reshape(emit.transpose(dy, [1, 0, ...axes(2, n)]), [...lead, out, places]);
  const products = tapsOf(emit, channelsLast, lead.length + 1, s, output).map((tap) =>
    emit.matmul(rows, emit.reshape(tap, [...lead, places, perGroup])),
  );
  return joined(emit, products, [filters, perGroup, 1]);
}

/**
 * The form for two dimensions and stride 1: dY is moved along the rows and X along the columns, so that the
 * shifted copies of both meet at all taps in one product per image. There are as many copies as the kernel is high
 * and wide, instead of one for each tap, and nothing is transposed.
 */
function shifts(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const { batch, channels, filters, before, dilations } = s;
  const [height, width] = s.input;
  const [, outWidth] = s.output;
  const [rows, columns] = s.kernel;
  const places = height * outWidth;
  // Row r of X meets row r + before - k·dilation of dY at tap k.
  const reach = dilations[0] * (rows - 1);
  const padded = placeAt(emit, dy, 2, reach - before[0], height + reach);
  const sources = range(rows * height).map(
    (at) => (at % height) + reach - Math.floor(at / height) * dilations[0],
  );
  const moved = emit.op("Gather", [padded, emit.ints(sources)], { axis: 2 });
  const left = emit.reshape(moved, [batch, filters * rows, places]);

  const shifted = range(columns).map((k) => {
    const start = before[1] - k * dilations[1];
    return padZeros(emit, x, [0, 0, 0, start], [0, 0, 0, outWidth - width - start]);
  });
  const stacked = joinedAlong(emit, shifted, 1);
  const right = emit.reshape(stacked, [batch, columns * channels, places]);
  const dw = emit.sum(emit.matmul(left, emit.transpose(right, [0, 2, 1])), [0]);
  return emit.transpose(emit.reshape(dw, [filters, rows, columns, channels]), [0, 3, 1, 2]);
}

/** The form for few channels: one product with what all taps see, one below the other. */
function columns(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const { batch, channels, filters, kernel, output } = s;
  const n = kernel.length;
  const places = batch * sizeOf(output);
  const channelsFirst = emit.transpose(x, [1, 0, ...axes(2, n)]);
  const seen = joinedAlong(emit, tapsOf(emit, channelsFirst, 2, s, output), 0);
  const rows = emit.reshape(emit.transpose(dy, [1, 0, ...axes(2, n)]), [filters, places]);
  const matrix = emit.reshape(seen, [sizeOf(kernel) * channels, places]);
  const dw = emit.op("Gemm", [rows, matrix], { transB: 1 });
  return emit.transpose(emit.reshape(dw, [filters, sizeOf(kernel), channels]), [0, 2, 1]);
}

/** The form for 1x1 kernels: one product per image, added up, without a Transpose outside the product. */
function images(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const { batch, channels, filters, output } = s;
  const [seen] = tapsOf(emit, x, 2, s, output);
  const places = sizeOf(output);
  const right = emit.transpose(emit.reshape(seen, [batch, channels, places]), [0, 2, 1]);
  return emit.sum(emit.matmul(emit.reshape(dy, [batch, filters, places]), right), [0]);
}

/** The form for depthwise convolutions: the elementwise product for each tap, added up. */
function products(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const sums = tapsOf(emit, x, 2, s, s.output).map((tap) =>
    emit.sum(emit.mul(dy, tap), [0, ...axes(2, s.output.length)]),
  );
  return joined(emit, sums, [s.filters, 1, 1]);
}

/** The form for all other cases: a convolution of X with dY as its kernel, in which images take the place of channels. */
function convolution(emit: Emitter, x: Value, dy: Value, s: ConvShape): Value {
  const { batch, group, channels, kernel, input, output, strides, dilations, before } = s;
  const n = input.length;
  const perGroup = channels / group;
  const split = emit.reshape(x, [batch, group, perGroup, ...input]);
  const turned = emit.transpose(split, [2, 1, 0, ...axes(3, n)]);
  const after = afterOf(s, input, output).map((margin) => Math.max(0, margin));
  const dw = emit.op(
    "Conv",
    [
      emit.reshape(turned, [perGroup, group * batch, ...input]),
      emit.transpose(dy, [1, 0, ...axes(2, n)]),
    ],
    { group, strides: dilations, dilations: strides, pads: [...before, ...after] },
  );
  // Places that no window reached make the result larger than the kernel.
  const cut = sliceRuns(
    emit,
    dw,
    kernel.map((count, i) => ({ axis: 2 + i, start: 0, step: 1, count })),
  );
  return emit.transpose(cut, [1, 0, ...axes(2, n)]);
}

/** The taps, each in `shape`, laid side by side along the last axis. */
function joined(emit: Emitter, parts: readonly Value[], shape: readonly number[]): Value {
  const shaped = parts.map((part) => emit.reshape(part, shape));
  return joinedAlong(emit, shaped, shape.length - 1);
}

function joinedAlong(emit: Emitter, parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0] : emit.op("Concat", parts, { axis });
}
