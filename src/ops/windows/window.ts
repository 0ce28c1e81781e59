/** @file Sliding windows: what convolutions and pools share. */
import type { Dim, Shape } from "../../ir/graph.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import type { InferContext } from "../operator/operator.ts";
import type { Window } from "../operator/role.ts";
import { mapDims } from "../operator/shapes.ts";

/** Reads kernel_shape, strides, dilations, pads and auto_pad. */
export function windowAttributes(raw: AttributeReader): Window {
  const autoPad = raw.string("auto_pad", "NOTSET");
  switch (autoPad) {
    case "":
    case "NOTSET":
    case "SAME_UPPER":
    case "SAME_LOWER":
    case "VALID":
      break;
    default:
      return raw.fail(`auto_pad "${autoPad}" is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID`);
  }
  const positive = (name: string) => {
    const values = raw.ints(name);
    if (values?.some((value) => value < 1)) raw.fail(`"${name}" is [${values.join(", ")}]`);
    return values;
  };
  return {
    autoPad: autoPad === "" ? "NOTSET" : autoPad,
    kernel: positive("kernel_shape"),
    strides: positive("strides"),
    dilations: positive("dilations"),
    pads: raw.ints("pads"),
  };
}

/** Sizes after sliding a window of `kernel` over `spatial`; `ceilMode` as pools have it. */
export function slidingOutput(
  context: InferContext<unknown>,
  spatial: Shape,
  window: Window,
  kernel: Shape,
  ceilMode = false,
): Dim[] {
  const n = spatial.length;
  checkWindow(context, n, window, kernel);
  return spatial.map((size, i) => {
    const stride = window.strides?.[i] ?? 1;
    const dilation = window.dilations?.[i] ?? 1;
    const before = window.autoPad === "NOTSET" ? (window.pads?.[i] ?? 0) : 0;
    const after = window.autoPad === "NOTSET" ? (window.pads?.[i + n] ?? 0) : 0;
    return mapDims(context, [size, kernel[i]], (input, k) => {
      const extent = dilation * (k - 1) + 1;
      if (window.autoPad === "SAME_UPPER" || window.autoPad === "SAME_LOWER")
        return Math.ceil(input / stride);
      const room = before + input + after - extent;
      if (room < 0)
        context.fail(`a window of ${extent} does not fit into ${before} + ${input} + ${after}`);
      if (!ceilMode) return Math.floor(room / stride) + 1;
      const steps = Math.ceil(room / stride) + 1;
      // ONNX: a window that would start in the end padding is dropped.
      return (steps - 1) * stride >= input + before ? steps - 1 : steps;
    });
  });
}

/** Fails where a list of window attributes does not have one entry (pads: two) per spatial axis. */
export function checkWindow(
  context: InferContext<unknown>,
  n: number,
  window: Window,
  kernel: Shape,
): void {
  for (const [name, list, length] of [
    ["kernel", kernel, n],
    ["strides", window.strides, n],
    ["dilations", window.dilations, n],
    ["pads", window.pads, 2 * n],
  ] as const) {
    if (list && list.length !== length)
      context.fail(`${name} has ${list.length} entries, ${length} expected for ${n} spatial axes`);
  }
}
