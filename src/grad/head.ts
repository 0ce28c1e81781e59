/** @file Where a loss should read a network: before the Softmax or Sigmoid at its end. */
import type { Value } from "../ops/gradient.ts";
import { squashingOf } from "../ops/roles.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import type { GraphEmitter } from "./emitter.ts";
import type { PredictionForm } from "./losses.ts";

/** What a loss reads. */
export interface Head {
  readonly prediction: Value;
  readonly form: PredictionForm;
  /** What the network makes of its scores itself; `"none"` where its output holds them. */
  readonly squashing: "softmax" | "log-softmax" | "sigmoid" | "none";
}

/**
 * The scores behind an output: the input of the Softmax, LogSoftmax (over axis 1) or Sigmoid that
 * computes it, which is numerically safer than the logarithm of probabilities; else the output
 * itself. Probabilities over another axis are taken as they are.
 */
export function headOf(emit: GraphEmitter, output: Value): Head {
  const node = emit.nodes.find(({ outputs }) => outputs.includes(output.name));
  const role = node && squashingOf(node);
  if (node === undefined || role === undefined)
    return { prediction: output, form: "logits", squashing: "none" };
  const { kind, axis, toEnd } = role;
  const { shape } = output;
  const isOverClasses =
    axis === undefined ||
    ((axis < 0 ? axis + shape.length : axis) === 1 && (!toEnd || sizeOf(shape.slice(2)) === 1));
  if (!isOverClasses) return { prediction: output, form: "probabilities", squashing: kind };
  return { prediction: emit.value(node.inputs[0]), form: "logits", squashing: kind };
}
